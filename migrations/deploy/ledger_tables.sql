-- The ledger's tables in the schema of every service that has one.
-- requires: schemas
BEGIN;

SET LOCAL search_path = connector;
\ir ../include/ledger_tables.sql
SET LOCAL search_path = scheduler;
\ir ../include/ledger_tables.sql
SET LOCAL search_path = webhooks;
\ir ../include/ledger_tables.sql
SET LOCAL search_path = proj;
\ir ../include/ledger_tables.sql

-- Those of proj are the tracker's alone, not a projection to read.
REVOKE ALL ON proj.partition_owner, proj.input_offset, proj.output_position, proj.outbox, proj.command_verdict
    FROM ingress, dashboard;

COMMIT;
