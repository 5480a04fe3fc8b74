SELECT 1 FROM connector.session, connector.credentials, connector.signal_record, connector.lid, connector.phone_in_use,
              connector.message, connector.retry, connector.inbound, connector.to_unlink WHERE false;
