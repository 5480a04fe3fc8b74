BEGIN;

DO $$
DECLARE
    pair text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY ARRAY[['ingress', 'ingress'], ['connector', 'connector'], ['scheduler', 'scheduler'],
                                        ['webhooks', 'webhooks'], ['proj', 'tracker']]
    LOOP
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON TABLES FROM %I', pair[1], pair[2]);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON SEQUENCES FROM %I', pair[1], pair[2]);
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET search_path', pair[2], current_database());
    END LOOP;
    EXECUTE format('ALTER ROLE dashboard IN DATABASE %I RESET search_path', current_database());
    EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM ingress, connector, scheduler, tracker, webhooks, dashboard',
                   current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
END
$$;

ALTER DEFAULT PRIVILEGES IN SCHEMA proj REVOKE ALL ON TABLES FROM ingress, dashboard;
GRANT USAGE ON SCHEMA public TO PUBLIC;

DROP SCHEMA ingress;
DROP SCHEMA connector;
DROP SCHEMA scheduler;
DROP SCHEMA webhooks;
DROP SCHEMA proj;

COMMIT;
