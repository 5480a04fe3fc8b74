BEGIN;

DROP VIEW proj.messages;
DROP TABLE proj.sessions, proj.blasts, proj.blast_skipped, proj.blast_cancelled, proj.blast_recipients,
    proj.blast_uploads, proj.message_states, proj.webhook_deliveries, proj.events;

COMMIT;
