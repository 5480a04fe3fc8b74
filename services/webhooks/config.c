#include "webhooks/config.h"

#include "base/err.h"
#include "base/net.h"
#include "cache/cache_url.h"
#include "crypto/crypto_seal.h"
#include "ws/ws_tls.h"

#define S struct config

static int check_nets(const char *text, struct err *err)
{
    struct net_blocks nets;

    return net_blocks_parse(text, &nets, err);
}

/* libcurl would tell at the first delivery, and at every one. */
static int check_ca_file(const char *path, struct err *err)
{
    struct ws_tls *tls = NULL;
    int rc = ws_tls_client_new(path, &tls, err);

    ws_tls_free(&tls);
    return rc;
}

static const struct svc_config_entry entries[] = {
    SVC_COMMON(S, common, cache_url_check),
    SVC_TEXT(S, webhook_key, "WEBHOOK_KEY", NULL,
             "opens webhook secrets, 64 hex digits; retired keys after commas", .min = 64,
             .check = crypto_keyring_check, SVC_SECRET),
    SVC_TEXT(S, allow_nets, "WEBHOOK_ALLOW_NETS", "",
             "private networks where subscribers may be: 10.1.0.0/16,127.0.0.1",
             .check = check_nets),
    SVC_TEXT(S, ca_file, "WEBHOOK_CA_FILE", "",
             "certificates (PEM) to trust for https beside the machine's own; empty: none",
             .check = check_ca_file),
    SVC_INT(S, timeout_ms, "WEBHOOK_TIMEOUT_MS", "10000", 100, 60000,
            "longest time of one attempt"),
    SVC_INT(S, queue_max, "WEBHOOK_QUEUE_MAX", "10000", 1, 1000000,
            "deliveries of a session that may wait; more are dropped, each with its event"),
};

const struct svc_config_table config_table = SVC_CONFIG_TABLE(
    "webhooks", "posts what happens to the subscribers of the sessions", entries, NULL);
