BEGIN;

SELECT id, username, password_hash, role, created_at, updated_at FROM ingress.users WHERE false;
SELECT id, user_id, name, prefix, sha256, created_at, last_used_at, revoked_at FROM ingress.api_keys WHERE false;
SELECT id, session_key, uuid, user_id, position, idempotency_key, created_at FROM ingress.session_names WHERE false;
SELECT day, last FROM ingress.blast_days WHERE false;
SELECT uuid, id, blast_key, user_id, created_at FROM ingress.blast_names WHERE false;

ROLLBACK;
