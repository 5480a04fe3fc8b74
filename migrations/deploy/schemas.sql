-- One schema per service. Tables belong to the role that migrates; a service may read and write the
-- rows of its own schema and change nothing else. proj is written by tracker and read by ingress and
-- dashboards. Tables made here later get their grants by default.
-- requires: roles
BEGIN;

REVOKE ALL ON SCHEMA public FROM PUBLIC;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO ingress, connector, scheduler, tracker, webhooks, dashboard',
                   current_database());
END
$$;

CREATE SCHEMA ingress;
CREATE SCHEMA connector;
CREATE SCHEMA scheduler;
CREATE SCHEMA webhooks;
CREATE SCHEMA proj;

DO $$
DECLARE
    pair text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY ARRAY[['ingress', 'ingress'], ['connector', 'connector'], ['scheduler', 'scheduler'],
                                        ['webhooks', 'webhooks'], ['proj', 'tracker']]
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', pair[1], pair[2]);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
                       pair[1], pair[2]);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO %I', pair[1], pair[2]);
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %I', pair[2], current_database(), pair[1]);
    END LOOP;
    EXECUTE format('ALTER ROLE dashboard IN DATABASE %I SET search_path = proj', current_database());
END
$$;

GRANT USAGE ON SCHEMA proj TO ingress, dashboard;
ALTER DEFAULT PRIVILEGES IN SCHEMA proj GRANT SELECT ON TABLES TO ingress, dashboard;

COMMIT;
