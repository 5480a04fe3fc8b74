/* webhooks: posts what happens to the subscribers of the sessions. One loop, one thread; what lasts
 * goes through the ledger. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "svc/svc_drain.h"
#include "svc/svc_exit.h"
#include "svc/svc_health.h"
#include "svc/svc_main.h"
#include "webhooks/endpoint.h"
#include "webhooks/poster.h"
#include "webhooks/store.h"
#include "webhooks/turn.h"
#include "webhooks/webhooks.h"

enum { SETTLE_LOOK_MS = 20 };

static int open_poster(struct webhooks *webhooks, struct err *err)
{
    const struct config *config = &webhooks->config;
    struct poster_options options = {
        .timeout_ms = config->timeout_ms,
        .ca_file = config->ca_file[0] == '\0' ? NULL : config->ca_file,
    };
    int rc = net_blocks_parse(config->allow_nets, &options.allowed, err);

    if (rc < 0) {
        return err_wrap(err, rc, "WEBHOOK_ALLOW_NETS");
    }
    return poster_new(webhooks->loop, &options, &webhooks->poster, err);
}

static void on_not_taken(int partition, const struct err *why, void *ctx)
{
    (void)ctx;
    log_error("partition cannot be loaded", LOG_INT("partition", partition),
              LOG_STR("why", why->text));
}

static void on_fatal(const struct err *err, void *ctx)
{
    struct webhooks *webhooks = ctx;

    webhooks->exit_status = svc_die("webhooks", err);
    loop_stop(webhooks->loop);
}

static int open_ledger(struct webhooks *webhooks, struct err *err)
{
    static const struct ledger_input inputs[] = {{TOPIC_SESSION_EVENTS, false},
                                                 {TOPIC_MESSAGE_EVENTS, false}};
    static const enum topic outputs[] = {TOPIC_WEBHOOK_EVENTS};
    const struct svc_common *common = &webhooks->config.common;
    struct ledger_config config = {
        .service = "webhooks",
        .group = "webhooks",
        .instance = common->instance_id,
        .brokers = common->kafka_brokers,
        .session_timeout_ms = common->kafka_session_timeout_ms,
        .pg = pg_config_for(common->kafka_session_timeout_ms),
        .inputs = inputs,
        .n_inputs = sizeof(inputs) / sizeof(inputs[0]),
        .outputs = outputs,
        .n_outputs = sizeof(outputs) / sizeof(outputs[0]),
        .events = {.not_taken = on_not_taken, .fatal = on_fatal, .ctx = webhooks},
    };
    struct ledger_handlers handlers;
    struct buf conninfo = {0};
    int rc;

    pg_conninfo(&conninfo, common->db_host, (int)common->db_port, common->db_name,
                common->db_user[0] == '\0' ? "webhooks" : common->db_user, common->db_pass);
    config.pg.conninfo = buf_text(&conninfo);
    config.pg.application = common->instance_id;
    config.pg.schema = "webhooks";
    turn_handlers(webhooks, &handlers);
    rc = ledger_new(webhooks->loop, &config, &handlers, &webhooks->ledger, err);
    buf_wipe(&conninfo);
    return rc;
}

static void make_metrics(struct webhooks *webhooks)
{
    static const char name[] = "kentongan_webhooks_attempts_total";
    static const char help[] = "Attempts to deliver, by how they ended";

    webhooks->metrics.delivered = metric_counter_for(name, help, "result=\"delivered\"");
    webhooks->metrics.failed = metric_counter_for(name, help, "result=\"failed\"");
    webhooks->metrics.dead = metric_counter("kentongan_webhooks_dead_total",
                                            "Deliveries that ended without having arrived");
    webhooks->metrics.sealed = metric_counter("kentongan_webhooks_sealed_total",
                                              "Attempts put off: the secret does not open");
    webhooks->metrics.seconds =
        metric_histogram("kentongan_webhooks_attempt_seconds", "Time of one attempt");
    webhooks->metrics.running =
        metric_gauge("kentongan_webhooks_running", "Attempts under way at this moment");
    webhooks->metrics.in_line = metric_gauge("kentongan_webhooks_in_line",
                                             "Attempts that wait because their host has enough");
}

static void on_refresh(struct loop_timer *timer, void *ctx)
{
    struct webhooks *webhooks = ctx;
    struct err why = {0};
    bool ready = ledger_is_ready(webhooks->ledger, &why);

    svc_health_set(webhooks->health, "ledger", ready, why.text);
    svc_health_set_ready(webhooks->health, ready && !webhooks->draining);
    metric_set(webhooks->metrics.running, (int64_t)poster_running(webhooks->poster));
    metric_set(webhooks->metrics.in_line, (int64_t)poster_waiting(webhooks->poster));
    loop_timer_start(webhooks->loop, timer, WEBHOOKS_REFRESH_MS, on_refresh, webhooks);
}

static void on_sweep(struct loop_timer *timer, void *ctx)
{
    struct webhooks *webhooks = ctx;

    store_sweep(webhooks);
    loop_timer_start(webhooks->loop, timer, WEBHOOKS_SWEEP_MS, on_sweep, webhooks);
}

/* ---- the end ---- */

static void on_drained(void *ctx)
{
    struct webhooks *webhooks = ctx;

    loop_stop(webhooks->loop);
}

/* What is under way may arrive, and its result be kept, so that it is not posted again. */
static void on_settling(struct loop_timer *timer, void *ctx)
{
    struct webhooks *webhooks = ctx;

    if (poster_running(webhooks->poster) > 0 && clock_mono_ms() < webhooks->settle_until_ms) {
        loop_timer_start(webhooks->loop, timer, SETTLE_LOOK_MS, on_settling, webhooks);
        return;
    }
    ledger_drain(webhooks->ledger, webhooks->config.common.drain_timeout_ms / 3, on_drained,
                 webhooks);
}

static void on_drain(void *ctx)
{
    struct webhooks *webhooks = ctx;

    webhooks->draining = true;
    webhooks->settle_until_ms = clock_mono_ms() + webhooks->config.common.drain_timeout_ms / 3;
    svc_health_set_ready(webhooks->health, false);
    loop_timer_start(webhooks->loop, &webhooks->settling, 0, on_settling, webhooks);
}

/* ---- life ---- */

static int open_all(struct webhooks *webhooks, struct err *err)
{
    const struct svc_common *common = &webhooks->config.common;
    int rc = loop_new(&webhooks->loop, err);

    if (rc == 0) {
        webhooks->health = svc_health_new(webhooks->loop);
        webhooks->drain =
            svc_drain_new(webhooks->loop, common->drain_timeout_ms, on_drain, webhooks);
        rc = common->health_port == 0
                 ? 0
                 : svc_health_listen(webhooks->health, (int)common->health_port, err);
    }
    if (rc == 0) {
        rc = open_poster(webhooks, err);
    }
    if (rc == 0) {
        rc = open_ledger(webhooks, err);
    }
    return rc;
}

static void close_all(struct webhooks *webhooks)
{
    loop_timer_stop(&webhooks->refresh);
    loop_timer_stop(&webhooks->sweep);
    loop_timer_stop(&webhooks->early);
    loop_timer_stop(&webhooks->settling);
    ledger_close(&webhooks->ledger); /* resets every partition: on_reset ends the posts */
    poster_close(&webhooks->poster);
    svc_drain_free(&webhooks->drain);
    svc_health_free(&webhooks->health);
    loop_free(&webhooks->loop);
    crypto_keyring_wipe(&webhooks->keyring);
}

static int run(void *ctx, struct err *err)
{
    struct webhooks *webhooks = ctx;
    int rc = crypto_start(err);

    if (rc < 0) {
        return rc;
    }
    rc = crypto_keyring_parse(webhooks->config.webhook_key, &webhooks->keyring, err);
    if (rc < 0) {
        return err_wrap(err, rc, "WEBHOOK_KEY");
    }
    make_metrics(webhooks);
    rc = open_all(webhooks, err);
    if (rc == 0) {
        loop_timer_start(webhooks->loop, &webhooks->refresh, 0, on_refresh, webhooks);
        loop_timer_start(webhooks->loop, &webhooks->sweep, WEBHOOKS_SWEEP_MS, on_sweep, webhooks);
        loop_run(webhooks->loop);
    }
    close_all(webhooks);
    return rc < 0 ? rc : webhooks->exit_status;
}

int main(int argc, char **argv)
{
    struct webhooks webhooks = {0};

    return svc_main(&config_table, argc, argv, &webhooks.config.common, run, &webhooks);
}
