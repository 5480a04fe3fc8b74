/* connector: runs WhatsApp sessions. One loop, one thread; what lasts goes through the ledger. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/farewell.h"
#include "connector/idle.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/presence.h"
#include "connector/prune.h"
#include "connector/query.h"
#include "connector/turn.h"
#include "member/member.h"
#include "sigstore/sigstore.h"
#include "sigstore/sigstore_curve.h"
#include "svc/svc_main.h"
#include "ws/ws_tls.h"

static int read_keys(struct connector *connector, struct err *err)
{
    const struct connector_config *config = &connector->config;
    struct buf root = {0};
    int rc = crypto_keyring_parse(config->credentials_key, &connector->keyring, err);

    if (rc < 0) {
        return err_wrap(err, rc, "CREDENTIALS_KEY");
    }
    if (text_unhex(&root, config->root_key, strlen(config->root_key)) < 0 || root.n != CRYPTO_KEY) {
        rc = err_set(err, ERR_INVALID, "WHATSAPP_ROOT_KEY is not 64 hex digits");
    } else {
        memcpy(connector->root_key, root.p, CRYPTO_KEY);
    }
    buf_done(&root);
    return rc;
}

static int open_tls(struct connector *connector, struct err *err)
{
    const struct connector_config *config = &connector->config;

    if (strncmp(config->server_url, "wss:", 4) != 0) {
        return 0;
    }
    return ws_tls_client_new(config->ca_file[0] == '\0' ? NULL : config->ca_file, &connector->tls,
                             err);
}

static int open_own(void *ctx, struct err *err)
{
    struct connector *connector = ctx;
    int rc = crypto_start(err);

    if (rc == 0) {
        rc = read_keys(connector, err);
    }
    if (rc == 0) {
        rc = open_tls(connector, err);
    }
    if (rc == 0) {
        rc = sigstore_new(&connector->signal, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (!sigstore_curve_is_used()) {
        const char *instead = "curve functions of libsignal: right, but slow";

        log_warn("our own are not used", LOG_STR("instead", instead));
    }
    metrics_make();
    prune_start(connector);
    return 0;
}

static void close_own(void *ctx)
{
    struct connector *connector = ctx;
    struct account *account;
    struct map_entry *next;

    loop_timer_stop(&connector->opening_timer);
    loop_timer_stop(&connector->prune);
    query_drop_all(connector);
    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = next) {
        next = map_next(at);
        account = map_value(at);
        account_free(&account);
    }
    for (int partition = 0; partition < LEDGER_PARTITIONS; partition++) {
        farewell_drop(connector, partition);
    }
    idle_drop_all(connector);
    sigstore_free(&connector->signal);
    ws_tls_free(&connector->tls);
    crypto_keyring_wipe(&connector->keyring);
}

static void redis_is_up(void *ctx)
{
    presence_refresh(ctx);
}

/* Accounts that have had nothing to do for a while need little memory. */
static void rest_idle(struct connector *connector)
{
    bool gives = false;

    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = map_next(at)) {
        gives |= mailbox_rest(map_value(at));
    }
    if (gives) {
        mem_give_back();
    }
}

static void refresh(void *ctx)
{
    struct connector *connector = ctx;

    metrics_measure(connector);
    if (++connector->refreshes % (CONNECTOR_PRESENCE_EVERY_MS / CONNECTOR_REFRESH_MS) == 0) {
        presence_refresh(connector);
        rest_idle(connector);
    }
}

static int run(void *ctx, struct err *err)
{
    static const struct ledger_input inputs[] = {{TOPIC_SESSION_CMD, true},
                                                 {TOPIC_MESSAGE_CMD, true}};
    static const enum topic outputs[] = {TOPIC_SESSION_EVENTS, TOPIC_MESSAGE_EVENTS};
    struct connector *connector = ctx;
    struct member member = {
        .common = &connector->config.common,
        .config = {.service = "connector",
                   .inputs = inputs,
                   .n_inputs = sizeof(inputs) / sizeof(inputs[0]),
                   .outputs = outputs,
                   .n_outputs = sizeof(outputs) / sizeof(outputs[0])},
        .refresh_ms = CONNECTOR_REFRESH_MS,
        .loop = &connector->loop,
        .ledger = &connector->ledger,
        .cache = &connector->cache,
        .draining = &connector->draining,
        .open = open_own,
        .close = close_own,
        .refresh = refresh,
        .redis_is_up = redis_is_up,
        .ctx = connector,
    };

    turn_handlers(connector, &member.handlers);
    return member_run(&member, err);
}

int main(int argc, char **argv)
{
    struct connector connector = {0};

    return svc_main(&connector_config_table, argc, argv, &connector.config.common, run, &connector);
}
