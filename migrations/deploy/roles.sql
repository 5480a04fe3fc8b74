-- One role per service and one for dashboards. They belong to the cluster, so another database may
-- have made them already. Passwords are set by whoever deploys.
BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ingress', 'connector', 'scheduler', 'tracker', 'webhooks', 'dashboard']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- made by another database's migration at this moment
            END;
        END IF;
    END LOOP;
END
$$;

COMMIT;
