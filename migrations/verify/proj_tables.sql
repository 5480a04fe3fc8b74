SELECT uuid, state, connected, logged_in, is_active, applied_seq FROM proj.sessions WHERE false;
SELECT uuid, status, delivered_count, read_count, applied_seq FROM proj.blasts WHERE false;
SELECT id, blast_id, message_index, status, last_error FROM proj.messages WHERE false;
SELECT id, status, applied_seq FROM proj.webhook_deliveries WHERE false;
SELECT aggregate_id, sequence, payload FROM proj.events WHERE false;
SELECT 1 / (has_table_privilege('dashboard', 'proj.blasts', 'SELECT')
            AND NOT has_table_privilege('dashboard', 'proj.blasts', 'UPDATE')
            AND NOT has_column_privilege('dashboard', 'proj.sessions', 'token_enc', 'SELECT'))::integer;
