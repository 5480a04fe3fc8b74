-- Building the projections again beside the live ones, in schema proj_next, and putting them in their place in one
-- transaction. The tracker may call these and so needs no right to make or drop anything.
-- requires: proj_tables
BEGIN;

CREATE SCHEMA proj_tools;
REVOKE ALL ON SCHEMA proj_tools FROM PUBLIC;
GRANT USAGE ON SCHEMA proj_tools TO tracker;

-- The ledger's own tables hold what a service knows of its inputs, as blast_uploads does; all others are folds of the log.
CREATE FUNCTION proj_tools.is_fold(name name) RETURNS boolean LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT name NOT IN ('partition_owner', 'input_offset', 'output_position', 'outbox', 'command_verdict',
                        'blast_uploads');
END;

-- An empty copy of every table and view of proj, with keys, indexes, comments and rights as they are now, so that later
-- migrations need not know of this. Drops what an earlier try left.
CREATE FUNCTION proj_tools.build() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t record;
    x record;
    text_of_view text;
BEGIN
    DROP SCHEMA IF EXISTS proj_next CASCADE;
    CREATE SCHEMA proj_next;

    FOR t IN SELECT c.oid, c.relname, c.reloptions FROM pg_class c
             WHERE c.relnamespace = 'proj'::regnamespace AND c.relkind = 'r' ORDER BY c.relname
    LOOP
        EXECUTE format('CREATE TABLE proj_next.%I (LIKE proj.%I INCLUDING ALL EXCLUDING INDEXES)', t.relname, t.relname);
        IF t.reloptions IS NOT NULL THEN
            EXECUTE format('ALTER TABLE proj_next.%I SET (%s)', t.relname, array_to_string(t.reloptions, ', '));
        END IF;
        EXECUTE format('COMMENT ON TABLE proj_next.%I IS %L', t.relname, obj_description(t.oid, 'pg_class'));
        FOR x IN SELECT conname, pg_get_constraintdef(oid) AS def FROM pg_constraint
                 WHERE conrelid = t.oid AND contype IN ('p', 'u')
        LOOP
            EXECUTE format('ALTER TABLE proj_next.%I ADD CONSTRAINT %I %s', t.relname, x.conname, x.def);
        END LOOP;
        FOR x IN SELECT pg_get_indexdef(i.indexrelid) AS def FROM pg_index i
                 WHERE i.indrelid = t.oid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
        LOOP
            EXECUTE regexp_replace(x.def, ' ON proj\.', ' ON proj_next.');
        END LOOP;
    END LOOP;

    FOR t IN SELECT c.oid, c.relname FROM pg_class c
             WHERE c.relnamespace = 'proj'::regnamespace AND c.relkind = 'v' ORDER BY c.oid
    LOOP
        PERFORM set_config('search_path', 'proj, pg_catalog', true); -- names come out bare
        text_of_view := pg_get_viewdef(t.oid);
        PERFORM set_config('search_path', 'proj_next, pg_catalog', true);
        EXECUTE format('CREATE VIEW proj_next.%I AS %s', t.relname, text_of_view);
        PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
        EXECUTE format('COMMENT ON VIEW proj_next.%I IS %L', t.relname, obj_description(t.oid, 'pg_class'));
    END LOOP;

    PERFORM proj_tools.copy_rights();
END
$$;

-- Rights of the schema, of what is in it, and of what later migrations will make in it.
CREATE FUNCTION proj_tools.copy_rights() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT a.privilege_type AS what, a.grantee::regrole AS who
             FROM pg_namespace n, aclexplode(n.nspacl) a
             WHERE n.nspname = 'proj' AND a.grantee NOT IN (0, n.nspowner)
    LOOP
        EXECUTE format('GRANT %s ON SCHEMA proj_next TO %s', r.what, r.who);
    END LOOP;
    FOR r IN SELECT c.relname, a.privilege_type AS what, a.grantee::regrole AS who
             FROM pg_class c, aclexplode(c.relacl) a
             WHERE c.relnamespace = 'proj'::regnamespace AND c.relkind IN ('r', 'v') AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT %s ON proj_next.%I TO %s', r.what, r.relname, r.who);
    END LOOP;
    FOR r IN SELECT c.relname, t.attname, a.privilege_type AS what, a.grantee::regrole AS who
             FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
             WHERE c.relnamespace = 'proj'::regnamespace AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT %s (%I) ON proj_next.%I TO %s', r.what, r.attname, r.relname, r.who);
    END LOOP;
    FOR r IN SELECT d.defaclrole::regrole AS maker, a.privilege_type AS what, a.grantee::regrole AS who,
                    CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' END AS kind
             FROM pg_default_acl d, aclexplode(d.defaclacl) a
             WHERE d.defaclnamespace = 'proj'::regnamespace AND d.defaclobjtype IN ('r', 'S')
    LOOP
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA proj_next GRANT %s ON %s TO %s',
                       r.maker, r.what, r.kind, r.who);
    END LOOP;
END
$$;

-- In how many partitions of the log the new reader is behind the live one, and ahead of it.
CREATE FUNCTION proj_tools.distance(live_group text, next_group text, OUT behind bigint, OUT ahead bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT count(*) FILTER (WHERE coalesce(n.next_offset, 0) < coalesce(l.next_offset, 0)),
           count(*) FILTER (WHERE coalesce(n.next_offset, 0) > coalesce(l.next_offset, 0))
    INTO behind, ahead
    FROM (SELECT * FROM proj.input_offset WHERE grp = live_group) l
    FULL JOIN (SELECT * FROM proj_next.input_offset WHERE grp = next_group) n USING (topic, partition);
END
$$;

-- Put proj_next in the place of proj. True when done; false when it is behind. The locks wait for the transactions of
-- both readers and hold new ones back: then the live reader finds other offsets than it knows, and reads them again;
-- its ownership, and what of its dead letters is not in the log yet, go over.
CREATE FUNCTION proj_tools.swap(live_group text, next_group text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE proj.partition_owner, proj_next.partition_owner IN EXCLUSIVE MODE;
    IF (SELECT behind FROM proj_tools.distance(live_group, next_group)) > 0 THEN
        RETURN false;
    END IF;
    DELETE FROM proj_next.partition_owner;
    INSERT INTO proj_next.partition_owner SELECT * FROM proj.partition_owner;
    UPDATE proj_next.input_offset SET grp = live_group WHERE grp = next_group;
    DELETE FROM proj_next.outbox;
    DELETE FROM proj_next.output_position;
    INSERT INTO proj_next.outbox SELECT * FROM proj.outbox;
    INSERT INTO proj_next.output_position SELECT * FROM proj.output_position;
    DROP SCHEMA IF EXISTS proj_old CASCADE;
    ALTER SCHEMA proj RENAME TO proj_old;
    ALTER SCHEMA proj_next RENAME TO proj;
    RETURN true;
END
$$;

-- What a swap or a comparison left.
CREATE FUNCTION proj_tools.drop_old() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DROP SCHEMA IF EXISTS proj_old CASCADE;
END
$$;

CREATE FUNCTION proj_tools.drop_next() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DROP SCHEMA IF EXISTS proj_next CASCADE;
END
$$;

-- The rows of a table that queries can reach: all, but recipients only of uploads that a blast names. The others are
-- swept from the live table at some time, and stand in a rebuilt one again until then.
CREATE FUNCTION proj_tools.rows_of(schema name, name name) RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE name
        WHEN 'blast_recipients' THEN
            format('SELECT r.* FROM %1$I.blast_recipients r JOIN %1$I.blasts b ON b.uuid = r.blast_id'
                   ' AND b.upload_id = r.upload_id', schema)
        ELSE format('TABLE %I.%I', schema, name)
    END;
END;

-- Row by row, both ways. In a transaction that sees one moment (REPEATABLE READ), so that both are at rest.
CREATE FUNCTION proj_tools.compare() RETURNS TABLE (name text, live_rows bigint, next_rows bigint, differing bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t record;
    live_sql text;
    next_sql text;
BEGIN
    FOR t IN SELECT c.relname FROM pg_class c
             WHERE c.relnamespace = 'proj'::regnamespace AND c.relkind = 'r' AND proj_tools.is_fold(c.relname)
             ORDER BY c.relname
    LOOP
        name := t.relname;
        live_sql := proj_tools.rows_of('proj', name);
        next_sql := proj_tools.rows_of('proj_next', name);
        EXECUTE format('SELECT count(*) FROM (%s) a', live_sql) INTO live_rows;
        EXECUTE format('SELECT count(*) FROM (%s) a', next_sql) INTO next_rows;
        EXECUTE format('SELECT (SELECT count(*) FROM ((%1$s) EXCEPT ALL (%2$s)) a)
                             + (SELECT count(*) FROM ((%2$s) EXCEPT ALL (%1$s)) b)', live_sql, next_sql)
            INTO differing;
        RETURN NEXT;
    END LOOP;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA proj_tools FROM PUBLIC;
GRANT EXECUTE ON FUNCTION proj_tools.build, proj_tools.distance, proj_tools.swap, proj_tools.drop_old,
    proj_tools.drop_next, proj_tools.compare TO tracker;

COMMIT;
