#include "webhooks/config.h"

#define S struct config

static const struct svc_config_entry entries[] = {
    SVC_COMMON(S, common),
    SVC_TEXT(S, webhook_key, "WEBHOOK_KEY", NULL,
             "opens webhook secrets, 64 hex digits; retired keys after commas", .min = 64,
             SVC_SECRET),
    SVC_TEXT(S, allow_nets, "WEBHOOK_ALLOW_NETS", "",
             "private networks where subscribers may be: 10.1.0.0/16,127.0.0.1", .min = 0),
    SVC_TEXT(S, ca_file, "WEBHOOK_CA_FILE", "",
             "certificates to trust for https; empty: the machine's own", .min = 0),
    SVC_INT(S, timeout_ms, "WEBHOOK_TIMEOUT_MS", "10000", 100, 60000,
            "longest time of one attempt"),
    SVC_INT(S, queue_max, "WEBHOOK_QUEUE_MAX", "10000", 1, 1000000,
            "deliveries of a session that may wait; more are parked untried"),
};

const struct svc_config_table config_table = SVC_CONFIG_TABLE(
    "webhooks", "posts what happens to the subscribers of the sessions", entries, NULL);
