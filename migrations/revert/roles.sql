-- A role that another database of the cluster still uses stays.
BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ingress', 'connector', 'scheduler', 'tracker', 'webhooks', 'dashboard']
    LOOP
        BEGIN
            EXECUTE format('DROP ROLE IF EXISTS %I', name);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            RAISE NOTICE 'role % is used elsewhere and stays', name;
        END;
    END LOOP;
END
$$;

COMMIT;
