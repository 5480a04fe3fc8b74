#include "scheduler/scheduler.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "cache/cache.h"
#include "domain/zone.h"
#include "scheduler/ask.h"
#include "scheduler/load.h"
#include "scheduler/run.h"
#include "scheduler/sweep.h"
#include "scheduler/timezone.h"
#include "scheduler/turn.h"
#include "svc/svc_drain.h"
#include "svc/svc_exit.h"
#include "svc/svc_health.h"
#include "svc/svc_main.h"

enum { REFRESH_MS = 1000 };

static void on_redis(void *ctx)
{
    struct scheduler *scheduler = ctx;

    svc_health_set(scheduler->health, "redis", true, NULL);
}

static void on_redis_trouble(const struct err *err, void *ctx)
{
    struct scheduler *scheduler = ctx;

    svc_health_set(scheduler->health, "redis", false, err->text);
    log_warn("Redis is away", LOG_STR("why", err->text));
}

static int open_cache(struct scheduler *scheduler, struct err *err)
{
    struct cache_options options = {
        .url = scheduler->config->common.redis_url,
        .events = {.connected = on_redis, .trouble = on_redis_trouble, .ctx = scheduler},
    };

    return cache_new(scheduler->loop, &options, &scheduler->cache, err);
}

static void on_not_taken(int partition, const struct err *why, void *ctx)
{
    (void)ctx;
    log_error("partition cannot be loaded", LOG_INT("partition", partition),
              LOG_STR("why", why->text));
}

static void on_fatal(const struct err *err, void *ctx)
{
    struct scheduler *scheduler = ctx;

    scheduler->exit_status = svc_die("scheduler", err);
    loop_stop(scheduler->loop);
}

static int open_ledger(struct scheduler *scheduler, struct err *err)
{
    static const struct ledger_input inputs[] = {{TOPIC_BLAST_CMD, true},
                                                 {TOPIC_BLAST_RECIPIENTS, false},
                                                 {TOPIC_SESSION_EVENTS, false},
                                                 {TOPIC_MESSAGE_EVENTS, false}};
    static const enum topic outputs[] = {TOPIC_BLAST_EVENTS, TOPIC_MESSAGE_CMD};
    const struct svc_common *common = &scheduler->config->common;
    struct ledger_config config = {
        .service = "scheduler",
        .group = "scheduler",
        .instance = common->instance_id,
        .brokers = common->kafka_brokers,
        .session_timeout_ms = common->kafka_session_timeout_ms,
        .pg = pg_config_for(common->kafka_session_timeout_ms),
        .inputs = inputs,
        .n_inputs = sizeof(inputs) / sizeof(inputs[0]),
        .outputs = outputs,
        .n_outputs = sizeof(outputs) / sizeof(outputs[0]),
        .events = {.not_taken = on_not_taken, .fatal = on_fatal, .ctx = scheduler},
    };
    struct ledger_handlers handlers;
    struct buf conninfo = {0};
    int rc;

    pg_conninfo(&conninfo, common->db_host, (int)common->db_port, common->db_name,
                common->db_user[0] == '\0' ? "scheduler" : common->db_user, common->db_pass);
    config.pg.conninfo = buf_text(&conninfo);
    config.pg.application = common->instance_id;
    config.pg.schema = "scheduler";
    turn_handlers(scheduler, &handlers);
    rc = ledger_new(scheduler->loop, &config, &handlers, &scheduler->ledger, err);
    buf_wipe(&conninfo);
    return rc;
}

static void make_metrics(struct scheduler_metrics *m)
{
    m->handed_over =
        metric_counter("kentongan_scheduler_handed_over_total", "Messages handed over");
    m->left_out = metric_counter("kentongan_scheduler_left_out_total",
                                 "Recipients that cannot get a message");
    m->came_back = metric_counter("kentongan_scheduler_came_back_total",
                                  "Messages not sent in time, to be handed over again");
    m->blank_names = metric_counter("kentongan_scheduler_blank_variables_total",
                                    "Variables of templates without a value");
    m->chunks = metric_counter("kentongan_scheduler_chunks_total", "Chunks of recipients read");
    m->chunks_dropped =
        metric_counter("kentongan_scheduler_chunks_dropped_total", "Chunks nobody needs any more");
    m->strays = metric_counter("kentongan_scheduler_stray_events_total",
                               "Message events that fit no blast");
    m->runs = metric_gauge("kentongan_scheduler_blasts", "Blasts in memory");
    m->flights = metric_gauge("kentongan_scheduler_unsettled_messages",
                              "Messages handed over and not settled");
    m->parked = metric_gauge("kentongan_scheduler_parked_commands",
                             "Commands that wait for recipients or for their session");
}

/* Gauges, and whether this process is ready, every second. */
static void on_refresh(struct loop_timer *timer, void *ctx)
{
    struct scheduler *scheduler = ctx;
    struct err why = {0};
    bool ready = ledger_is_ready(scheduler->ledger, &why);

    svc_health_set(scheduler->health, "ledger", ready, why.text);
    svc_health_set_ready(scheduler->health, ready && !scheduler->draining);
    metric_set(scheduler->metrics.runs, (int64_t)map_count(&scheduler->runs));
    metric_set(scheduler->metrics.flights, (int64_t)scheduler->n_flights);
    loop_timer_start(scheduler->loop, timer, REFRESH_MS, on_refresh, scheduler);
}

static void on_drained(void *ctx)
{
    struct scheduler *scheduler = ctx;

    loop_stop(scheduler->loop);
}

static void on_drain(void *ctx)
{
    struct scheduler *scheduler = ctx;

    scheduler->draining = true; /* nothing more is handed over */
    svc_health_set_ready(scheduler->health, false);
    ledger_drain(scheduler->ledger, scheduler->config->common.drain_timeout_ms / 2, on_drained,
                 scheduler);
}

static int open_all(struct scheduler *scheduler, struct err *err)
{
    const struct svc_common *common = &scheduler->config->common;
    int rc = timezone_read(scheduler->config->timezone, &scheduler->zone, err);

    if (rc == 0) {
        rc = loop_new(&scheduler->loop, err);
    }
    if (rc == 0) {
        scheduler->health = svc_health_new(scheduler->loop);
        scheduler->drain =
            svc_drain_new(scheduler->loop, common->drain_timeout_ms, on_drain, scheduler);
        rc = common->health_port == 0
                 ? 0
                 : svc_health_listen(scheduler->health, (int)common->health_port, err);
    }
    if (rc == 0) {
        rc = open_cache(scheduler, err);
    }
    if (rc == 0) {
        rc = open_ledger(scheduler, err);
    }
    return rc;
}

static void close_all(struct scheduler *scheduler)
{
    loop_timer_stop(&scheduler->refresh);
    loop_timer_stop(&scheduler->sweep);
    ledger_close(&scheduler->ledger);
    load_forget(scheduler);
    ask_free_all(scheduler);
    cache_close(&scheduler->cache);
    svc_drain_free(&scheduler->drain);
    svc_health_free(&scheduler->health);
    if (scheduler->loop != NULL) {
        loop_free(&scheduler->loop);
    }
    zone_free(&scheduler->zone);
}

static struct blast_delay delay_of(struct svc_range range)
{
    return (struct blast_delay){(int32_t)range.min, (int32_t)range.max};
}

static int run(void *ctx, struct err *err)
{
    const struct scheduler_config *config = ctx;
    struct scheduler scheduler = {.config = config, .defaults = blast_config_default()};
    int rc;

    scheduler.defaults.message_delay = delay_of(config->message_delay_ms);
    scheduler.defaults.contact_delay = delay_of(config->contact_delay_ms);
    make_metrics(&scheduler.metrics);
    rc = open_all(&scheduler, err);
    if (rc == 0) {
        loop_timer_start(scheduler.loop, &scheduler.refresh, 0, on_refresh, &scheduler);
        sweep_start(&scheduler);
        loop_run(scheduler.loop);
    }
    close_all(&scheduler);
    return rc < 0 ? rc : scheduler.exit_status;
}

int scheduler_main(int argc, char **argv)
{
    struct scheduler_config config = {0};

    return svc_main(&scheduler_config_table, argc, argv, &config.common, run, &config);
}
