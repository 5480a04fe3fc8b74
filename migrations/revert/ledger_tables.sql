BEGIN;

DO $$
DECLARE
    owner text;
BEGIN
    FOREACH owner IN ARRAY ARRAY['connector', 'scheduler', 'webhooks', 'proj']
    LOOP
        EXECUTE format('DROP TABLE %1$I.partition_owner, %1$I.input_offset, %1$I.output_position, %1$I.outbox, '
                       '%1$I.command_verdict', owner);
    END LOOP;
END
$$;

COMMIT;
