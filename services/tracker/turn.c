/* A turn of the ledger: a batch of the log, folded. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "tracker/projection.h"
#include "tracker/sweep.h"
#include "tracker/tracker.h"

/* What a turn keeps; in its arena. */
struct turn {
    struct ledger_tx *tx;
    int partition; /* of the first record: statements count as that one's */
    struct projection *projection;
    int64_t records;
    int64_t oldest_ms;
};

static struct pg_stmt *on_sql(void *ctx, const char *text)
{
    const struct turn *turn = ctx;

    return ledger_sql(turn->tx, turn->partition, text);
}

static void on_ask(void *ctx, struct pg_stmt *stmt, pg_rows_cb *fn, void *fn_ctx)
{
    const struct turn *turn = ctx;

    ledger_ask(turn->tx, stmt, fn, fn_ctx);
}

static void take(struct tracker *tracker, struct turn *turn, const struct ledger_record *record)
{
    struct err err = {0};

    turn->partition = turn->records == 0 ? record->partition : turn->partition;
    turn->records++;
    if (record->timestamp_ms > 0 &&
        (turn->oldest_ms == 0 || record->timestamp_ms < turn->oldest_ms)) {
        turn->oldest_ms = record->timestamp_ms;
    }
    if (projection_add(turn->projection, record->topic, record->partition, record->data, &err) <
        0) {
        metric_add(tracker->metrics.refused, 1);
        log_error("record makes no sense", LOG_STR("topic", topics[record->topic].name),
                  LOG_INT("partition", record->partition), LOG_INT("offset", record->offset),
                  LOG_STR("why", err.text));
        ledger_dead(turn->tx, record, err.text);
    }
}

static void on_turn(struct ledger_tx *tx, void *ctx)
{
    struct tracker *tracker = ctx;
    struct turn *turn = arena_new0(ledger_tx_arena(tx), sizeof(*turn));
    struct projection_sink sink = {.sql = on_sql, .ask = on_ask, .ctx = turn};
    const struct ledger_record *record;

    turn->tx = tx;
    turn->projection = projection_new(ledger_tx_arena(tx));
    ledger_tx_set(tx, turn);
    while (projection_weight(turn->projection) < TRACKER_WEIGHT_MAX &&
           (record = ledger_next(tx)) != NULL) {
        take(tracker, turn, record);
    }
    if (turn->records > 0) {
        projection_stage(turn->projection, &sink);
    }
}

static void on_committed(struct ledger_tx *tx, void *ctx)
{
    struct tracker *tracker = ctx;
    const struct turn *turn = ledger_tx_get(tx);
    const struct projection_applied *applied = NULL;
    size_t n = projection_applied(turn->projection, &applied);
    size_t gaps = projection_gaps(turn->projection);

    for (size_t i = 0; i < n; i++) {
        tracker_announce(tracker, applied[i].aggregate_id, applied[i].sequence);
    }
    metric_add(tracker->metrics.applied, turn->records);
    if (turn->oldest_ms > 0) {
        metric_observe_us(tracker->metrics.delay, (clock_wall_ms() - turn->oldest_ms) * 1000);
    }
    if (gaps > 0) {
        metric_add(tracker->metrics.gaps, (int64_t)gaps);
        log_error("sequences of the log have gaps", LOG_INT("events", gaps));
    }
    if (tracker->cache != NULL) { /* a rebuild leaves it to the tracker that takes over */
        sweep_if_due(tracker);
    }
}

static void on_failed(struct ledger_tx *tx, const struct err *err, void *ctx)
{
    (void)tx;
    (void)ctx;
    log_warn("transaction failed, its records come again", LOG_STR("why", err->text));
}

static void on_return(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger;
    (void)partition;
    (void)ctx;
}

static void on_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    (void)ledger;
    (void)ctx;
    log_debug("partition given up", LOG_INT("partition", partition),
              LOG_STR("why", ledger_reset_name(why)));
}

/* The session's events first: whoever has that partition of theirs has it of all (L8). */
static const struct ledger_input inputs[] = {{.topic = TOPIC_SESSION_EVENTS},
                                             {.topic = TOPIC_MESSAGE_EVENTS},
                                             {.topic = TOPIC_BLAST_EVENTS},
                                             {.topic = TOPIC_BLAST_RECIPIENTS},
                                             {.topic = TOPIC_WEBHOOK_EVENTS}};

const struct ledger_config tracker_ledger = {
    .service = "tracker",
    .group = TRACKER_GROUP,
    .pg.schema = "proj",
    .inputs = inputs,
    .n_inputs = sizeof(inputs) / sizeof(inputs[0]),
};

void tracker_handlers(struct tracker *tracker, struct ledger_handlers *out)
{
    tracker->metrics.applied =
        metric_counter("kentongan_projection_records_total", "Records folded");
    tracker->metrics.refused =
        metric_counter("kentongan_projection_refused_total", "Records that made no sense");
    tracker->metrics.swept = metric_counter("kentongan_projection_swept_total",
                                            "Recipients dropped that no blast came to name");
    tracker->metrics.gaps =
        metric_counter("kentongan_projection_gaps_total",
                       "Events whose sequence was not the next of its aggregate");
    tracker->metrics.delay = metric_histogram("kentongan_projection_delay_seconds",
                                              "From the log to the tables, the oldest of a batch");
    *out = (struct ledger_handlers){.on_return = on_return,
                                    .on_revoke = on_return, /* nothing but the turn writes */
                                    .on_reset = on_reset,
                                    .on_turn = on_turn,
                                    .on_committed = on_committed,
                                    .on_failed = on_failed,
                                    .ctx = tracker};
}
