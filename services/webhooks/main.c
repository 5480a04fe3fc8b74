/* webhooks: posts what happens to the subscribers of the sessions. One loop, one thread; what lasts
 * goes through the ledger. */
#include "base/err.h"
#include "base/metric.h"
#include "member/member.h"
#include "svc/svc_main.h"
#include "webhooks/endpoint.h"
#include "webhooks/poster.h"
#include "webhooks/store.h"
#include "webhooks/turn.h"
#include "webhooks/webhooks.h"

static int open_keyring(struct webhooks *webhooks, struct err *err)
{
    int rc = crypto_keyring_parse(webhooks->config.webhook_key, &webhooks->keyring, err);

    return rc < 0 ? err_wrap(err, rc, "WEBHOOK_KEY") : 0;
}

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

static void make_metrics(struct webhooks *webhooks)
{
    static const char name[] = "kentongan_webhooks_attempts_total";
    static const char help[] = "Attempts to deliver, by how they ended";
    static const char dead[] = "kentongan_webhooks_dead_total";
    static const char dead_help[] = "Deliveries that ended without having arrived, by why";

    webhooks->metrics.delivered = metric_counter_for(name, help, "result=\"delivered\"");
    webhooks->metrics.failed = metric_counter_for(name, help, "result=\"failed\"");
    webhooks->metrics.given_up = metric_counter_for(dead, dead_help, "reason=\"given_up\"");
    webhooks->metrics.cancelled = metric_counter_for(dead, dead_help, "reason=\"cancelled\"");
    webhooks->metrics.dropped = metric_counter_for(dead, dead_help, "reason=\"dropped\"");
    webhooks->metrics.sealed = metric_counter("kentongan_webhooks_sealed_total",
                                              "Attempts put off: the secret does not open");
    webhooks->metrics.seconds =
        metric_histogram("kentongan_webhooks_attempt_seconds", "Time of one attempt");
    webhooks->metrics.running =
        metric_gauge("kentongan_webhooks_running", "Attempts under way at this moment");
    webhooks->metrics.in_line = metric_gauge("kentongan_webhooks_in_line",
                                             "Attempts that wait because their host has enough");
    webhooks->metrics.waiting = metric_gauge("kentongan_webhooks_waiting",
                                             "Deliveries that wait for their turn or a retry");
}

static void on_sweep(struct loop_timer *timer, void *ctx)
{
    struct webhooks *webhooks = ctx;

    store_sweep(webhooks);
    loop_timer_start(webhooks->loop, timer, WEBHOOKS_SWEEP_MS, on_sweep, webhooks);
}

static int open_own(void *ctx, struct err *err)
{
    struct webhooks *webhooks = ctx;
    int rc = crypto_start(err);

    if (rc == 0) {
        rc = open_keyring(webhooks, err);
    }
    if (rc == 0) {
        rc = open_poster(webhooks, err);
    }
    if (rc == 0) {
        make_metrics(webhooks);
        loop_timer_start(webhooks->loop, &webhooks->sweep, WEBHOOKS_SWEEP_MS, on_sweep, webhooks);
    }
    return rc;
}

static void close_own(void *ctx)
{
    struct webhooks *webhooks = ctx;

    loop_timer_stop(&webhooks->sweep);
    loop_timer_stop(&webhooks->early);
    poster_close(&webhooks->poster); /* the posts ended with their partitions (on_reset) */
    crypto_keyring_wipe(&webhooks->keyring);
}

static void refresh(void *ctx)
{
    struct webhooks *webhooks = ctx;

    metric_set(webhooks->metrics.running, (int64_t)poster_running(webhooks->poster));
    metric_set(webhooks->metrics.in_line, (int64_t)poster_waiting(webhooks->poster));
    metric_set(webhooks->metrics.waiting, (int64_t)endpoint_waiting(webhooks));
}

/* What is under way may arrive, and its result be kept, so that it is not posted again. */
static bool is_settled(void *ctx)
{
    struct webhooks *webhooks = ctx;

    return poster_running(webhooks->poster) == 0;
}

static int run(void *ctx, struct err *err)
{
    static const struct ledger_input inputs[] = {{TOPIC_SESSION_EVENTS, false},
                                                 {TOPIC_MESSAGE_EVENTS, false}};
    static const enum topic outputs[] = {TOPIC_WEBHOOK_EVENTS};
    struct webhooks *webhooks = ctx;
    struct member member = {
        .common = &webhooks->config.common,
        .config = {.service = "webhooks",
                   .inputs = inputs,
                   .n_inputs = sizeof(inputs) / sizeof(inputs[0]),
                   .outputs = outputs,
                   .n_outputs = sizeof(outputs) / sizeof(outputs[0])},
        .refresh_ms = WEBHOOKS_REFRESH_MS,
        .loop = &webhooks->loop,
        .ledger = &webhooks->ledger,
        .draining = &webhooks->draining,
        .open = open_own,
        .close = close_own,
        .refresh = refresh,
        .is_settled = is_settled,
        .ctx = webhooks,
    };

    turn_handlers(webhooks, &member.handlers);
    return member_run(&member, err);
}

int main(int argc, char **argv)
{
    struct webhooks webhooks = {0};

    return svc_main(&config_table, argc, argv, &webhooks.config.common, run, &webhooks);
}
