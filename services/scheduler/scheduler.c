#include "scheduler/scheduler.h"

#include "base/metric.h"
#include "domain/zone.h"
#include "member/member.h"
#include "scheduler/ask.h"
#include "scheduler/load.h"
#include "scheduler/run.h"
#include "scheduler/sweep.h"
#include "scheduler/timezone.h"
#include "scheduler/turn.h"
#include "svc/svc_main.h"

enum { REFRESH_MS = 1000 };

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
    m->left = metric_gauge("kentongan_scheduler_recipients_left",
                           "Of blasts that run or are paused: not handed over yet, or came back");
    m->parked = metric_gauge("kentongan_scheduler_parked_commands",
                             "Commands that wait for recipients or for their session");
}

static struct blast_delay delay_of(struct svc_range range)
{
    return (struct blast_delay){(int32_t)range.min, (int32_t)range.max};
}

static int open_own(void *ctx, struct err *err)
{
    struct scheduler *scheduler = ctx;
    const struct scheduler_config *config = scheduler->config;
    int rc = timezone_read(config->timezone, &scheduler->zone, err);

    if (rc < 0) {
        return rc;
    }
    scheduler->defaults = blast_config_default();
    scheduler->defaults.message_delay = delay_of(config->message_delay_ms);
    scheduler->defaults.contact_delay = delay_of(config->contact_delay_ms);
    make_metrics(&scheduler->metrics);
    sweep_start(scheduler);
    return 0;
}

static void close_own(void *ctx)
{
    struct scheduler *scheduler = ctx;

    loop_timer_stop(&scheduler->sweep);
    load_forget(scheduler);
    ask_free_all(scheduler);
    zone_free(&scheduler->zone);
}

/* Of blasts that run or are paused: those that were not handed over yet, or came back. */
static int64_t recipients_left(const struct scheduler *scheduler)
{
    int64_t left = 0;

    for (struct map_entry *at = map_first(&scheduler->runs); at != NULL; at = map_next(at)) {
        const struct run *run = map_value(at);

        if (run->state.status == BLAST_RUNNING || run->state.status == BLAST_PAUSED) {
            left += run->state.total - run->next_index + (int64_t)run->n_back;
        }
    }
    return left;
}

static void refresh(void *ctx)
{
    struct scheduler *scheduler = ctx;

    metric_set(scheduler->metrics.runs, (int64_t)map_count(&scheduler->runs));
    metric_set(scheduler->metrics.flights, (int64_t)scheduler->n_flights);
    metric_set(scheduler->metrics.left, recipients_left(scheduler));
}

static int run(void *ctx, struct err *err)
{
    static const struct ledger_input inputs[] = {{TOPIC_BLAST_CMD, true},
                                                 {TOPIC_BLAST_RECIPIENTS, false},
                                                 {TOPIC_SESSION_EVENTS, false},
                                                 {TOPIC_MESSAGE_EVENTS, false}};
    static const enum topic outputs[] = {TOPIC_BLAST_EVENTS, TOPIC_MESSAGE_CMD};
    const struct scheduler_config *config = ctx;
    struct scheduler scheduler = {.config = config};
    struct member member = {
        .common = &config->common,
        .config = {.service = "scheduler",
                   .inputs = inputs,
                   .n_inputs = sizeof(inputs) / sizeof(inputs[0]),
                   .outputs = outputs,
                   .n_outputs = sizeof(outputs) / sizeof(outputs[0])},
        .refresh_ms = REFRESH_MS,
        .loop = &scheduler.loop,
        .ledger = &scheduler.ledger,
        .cache = &scheduler.cache,
        .draining = &scheduler.draining,
        .open = open_own,
        .close = close_own,
        .refresh = refresh,
        .ctx = &scheduler,
    };

    turn_handlers(&scheduler, &member.handlers);
    return member_run(&member, err);
}

int scheduler_main(int argc, char **argv)
{
    struct scheduler_config config = {0};

    return svc_main(&scheduler_config_table, argc, argv, &config.common, run, &config);
}
