BEGIN;

DROP TABLE ingress.blast_names, ingress.blast_days, ingress.session_names, ingress.api_keys, ingress.users;

COMMIT;
