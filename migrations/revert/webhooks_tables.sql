BEGIN;

DROP TABLE webhooks.sent, webhooks.delivery, webhooks.endpoint;

COMMIT;
