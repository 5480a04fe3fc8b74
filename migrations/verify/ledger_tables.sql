SELECT 1 / (count(*) = 20)::int
FROM pg_tables
WHERE schemaname IN ('connector', 'scheduler', 'webhooks', 'proj')
  AND tablename IN ('partition_owner', 'input_offset', 'output_position', 'outbox', 'command_verdict');
SELECT 1 / (has_table_privilege('scheduler', 'scheduler.outbox', 'DELETE')
            AND NOT has_table_privilege('dashboard', 'proj.outbox', 'SELECT')
            AND NOT has_table_privilege('scheduler', 'scheduler.outbox', 'TRUNCATE'))::int;
