SELECT 1 FROM webhooks.endpoint, webhooks.delivery, webhooks.sent WHERE false;
