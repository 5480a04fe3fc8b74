BEGIN;

DROP TABLE connector.inbound, connector.retry, connector.message, connector.phone_in_use, connector.lid,
           connector.signal_record, connector.to_unlink, connector.credentials, connector.session;

COMMIT;
