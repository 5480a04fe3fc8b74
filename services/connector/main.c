/* connector: runs WhatsApp sessions. One loop, one thread; what lasts goes through the ledger. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cache/cache.h"
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
#include "sigstore/sigstore.h"
#include "sigstore/sigstore_curve.h"
#include "svc/svc_drain.h"
#include "svc/svc_exit.h"
#include "svc/svc_health.h"
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

static void on_redis(void *ctx)
{
    struct connector *connector = ctx;

    svc_health_set(connector->health, "redis", true, NULL);
    presence_refresh(connector);
}

static void on_redis_trouble(const struct err *err, void *ctx)
{
    struct connector *connector = ctx;

    svc_health_set(connector->health, "redis", false, err->text);
    log_warn("Redis is away", LOG_STR("why", err->text));
}

static int open_cache(struct connector *connector, struct err *err)
{
    struct cache_options options = {
        .url = connector->config.common.redis_url,
        .events = {.connected = on_redis, .trouble = on_redis_trouble, .ctx = connector},
    };

    return cache_new(connector->loop, &options, &connector->cache, err);
}

static void on_not_taken(int partition, const struct err *why, void *ctx)
{
    (void)ctx;
    log_error("partition cannot be loaded", LOG_INT("partition", partition),
              LOG_STR("why", why->text));
}

static void on_fatal(const struct err *err, void *ctx)
{
    struct connector *connector = ctx;

    connector->exit_status = svc_die("connector", err);
    loop_stop(connector->loop);
}

static int open_ledger(struct connector *connector, struct err *err)
{
    static const struct ledger_input inputs[] = {{TOPIC_SESSION_CMD, true},
                                                 {TOPIC_MESSAGE_CMD, true}};
    static const enum topic outputs[] = {TOPIC_SESSION_EVENTS, TOPIC_MESSAGE_EVENTS};
    const struct svc_common *common = &connector->config.common;
    struct ledger_config config = {
        .service = "connector",
        .group = "connector",
        .instance = common->instance_id,
        .brokers = common->kafka_brokers,
        .session_timeout_ms = common->kafka_session_timeout_ms,
        .pg = pg_config_for(common->kafka_session_timeout_ms),
        .inputs = inputs,
        .n_inputs = sizeof(inputs) / sizeof(inputs[0]),
        .outputs = outputs,
        .n_outputs = sizeof(outputs) / sizeof(outputs[0]),
        .events = {.not_taken = on_not_taken, .fatal = on_fatal, .ctx = connector},
    };
    struct ledger_handlers handlers;
    struct buf conninfo = {0};
    int rc;

    pg_conninfo(&conninfo, common->db_host, (int)common->db_port, common->db_name,
                common->db_user[0] == '\0' ? "connector" : common->db_user, common->db_pass);
    config.pg.conninfo = buf_text(&conninfo);
    config.pg.application = common->instance_id;
    config.pg.schema = "connector";
    turn_handlers(connector, &handlers);
    rc = ledger_new(connector->loop, &config, &handlers, &connector->ledger, err);
    buf_wipe(&conninfo);
    return rc;
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

/* Presence, and whether this process is ready, every few seconds. */
static void on_refresh(struct loop_timer *timer, void *ctx)
{
    struct connector *connector = ctx;
    struct err why = {0};
    bool ready = ledger_is_ready(connector->ledger, &why);

    svc_health_set(connector->health, "ledger", ready, why.text);
    svc_health_set_ready(connector->health, ready && !connector->draining);
    metrics_measure(connector);
    if (++connector->refreshes % (CONNECTOR_PRESENCE_EVERY_MS / CONNECTOR_REFRESH_MS) == 0) {
        presence_refresh(connector);
        rest_idle(connector);
    }
    loop_timer_start(connector->loop, timer, CONNECTOR_REFRESH_MS, on_refresh, connector);
}

static void on_drained(void *ctx)
{
    struct connector *connector = ctx;

    loop_stop(connector->loop);
}

static void on_drain(void *ctx)
{
    struct connector *connector = ctx;

    connector->draining = true;
    svc_health_set_ready(connector->health, false);
    ledger_drain(connector->ledger, connector->config.common.drain_timeout_ms / 2, on_drained,
                 connector);
}

static int open_all(struct connector *connector, struct err *err)
{
    const struct svc_common *common = &connector->config.common;
    int rc = loop_new(&connector->loop, err);

    if (rc == 0) {
        connector->health = svc_health_new(connector->loop);
        connector->drain =
            svc_drain_new(connector->loop, common->drain_timeout_ms, on_drain, connector);
        rc = common->health_port == 0
                 ? 0
                 : svc_health_listen(connector->health, (int)common->health_port, err);
    }
    if (rc == 0) {
        rc = open_tls(connector, err);
    }
    if (rc == 0) {
        rc = sigstore_new(&connector->signal, err);
    }
    if (rc == 0) {
        rc = open_cache(connector, err);
    }
    if (rc == 0) {
        rc = open_ledger(connector, err);
    }
    return rc;
}

static void close_all(struct connector *connector)
{
    struct account *account;
    struct map_entry *next;

    loop_timer_stop(&connector->refresh);
    loop_timer_stop(&connector->opening_timer);
    loop_timer_stop(&connector->prune);
    ledger_close(&connector->ledger);
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
    cache_close(&connector->cache);
    sigstore_free(&connector->signal);
    ws_tls_free(&connector->tls);
    svc_drain_free(&connector->drain);
    svc_health_free(&connector->health);
    loop_free(&connector->loop);
    crypto_keyring_wipe(&connector->keyring);
}

static int run(void *ctx, struct err *err)
{
    struct connector *connector = ctx;
    int rc = crypto_start(err);

    if (rc == 0) {
        rc = read_keys(connector, err);
    }
    if (rc == 0) {
        rc = open_all(connector, err);
    }
    if (rc == 0 && !sigstore_curve_is_used()) {
        const char *instead = "curve functions of libsignal: right, but slow";

        log_warn("our own are not used", LOG_STR("instead", instead));
    }
    if (rc == 0) {
        metrics_make();
        prune_start(connector);
        loop_timer_start(connector->loop, &connector->refresh, 0, on_refresh, connector);
        loop_run(connector->loop);
    }
    close_all(connector);
    return rc < 0 ? rc : connector->exit_status;
}

int main(int argc, char **argv)
{
    struct connector connector = {0};

    return svc_main(&connector_config_table, argc, argv, &connector.config.common, run, &connector);
}
