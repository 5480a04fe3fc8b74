#include "base/log.h"
#include "ledger/ledger_internal.h"

enum { DATABASE_AGAIN_MS = 500 };

/* Another process of this instance that took something since we were in the group for certain. */
#define TWIN_SQL                                                                                \
    "SELECT count(*) FROM partition_owner WHERE grp = $1 AND owner = $2 AND process <> $3 AND " \
    "taken_at > now() - $4 * interval '1 ms'"

static void look_for_twin(struct loop_timer *timer, void *ctx);

/* ---- what Kafka tells ---- */

static void on_assigned(const struct bus_partition *partitions, size_t n, void *ctx)
{
    ledger_parts_assigned(ctx, partitions, n);
}

static void on_revoked(bool is_lost, void *ctx)
{
    (void)is_lost;
    ledger_parts_revoked(ctx);
}

static void on_record(struct bus_record *record, void *ctx)
{
    ledger_input_add(ctx, record);
}

/* "Fenced by another with the same instance id" is what a broker also says, once in a while, to a
 * member that joined shortly before the broker restarted and that is the only one. Who the other is
 * would show within a session: it takes partitions. */
static void on_failed(const struct err *err, bool is_fatal, void *ctx)
{
    struct ledger *ledger = ctx;

    ledger->trouble = *err;
    if (is_fatal && err->code == -ERR_FENCED) {
        ledger->was_assigned = false;
        ledger->expelled_ms = loop_now_ms(ledger->loop);
        loop_timer_start(ledger->loop, &ledger->rejoin, ledger->session_timeout_ms, look_for_twin,
                         ledger);
    } else if (is_fatal) {
        ledger_fatal(ledger, err);
    }
}

/* ---- in and out ---- */

int ledger_group_join(struct ledger *ledger, struct err *err)
{
    struct bus_consumer_options options = {
        .brokers = ledger->brokers,
        .client_id = ledger->instance,
        .group = ledger->group,
        .instance_id = ledger->instance,
        .topics = &ledger->inputs[0].topic, /* L8: the others are read beside it */
        .n_topics = 1,
        .session_timeout_ms = ledger->session_timeout_ms,
        .prefetch_records = ledger->config.buffer_records_max,
        .events = {.assigned = on_assigned,
                   .revoked = on_revoked,
                   .record = on_record,
                   .failed = on_failed,
                   .ctx = ledger},
    };

    return bus_consumer_new(ledger->loop, &options, &ledger->consumer, err);
}

void ledger_group_leave(struct ledger *ledger)
{
    loop_timer_stop(&ledger->rejoin);
    bus_consumer_close(&ledger->consumer, NULL, NULL);
}

/* ---- after it was put out ---- */

static void on_twins(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct ledger *ledger = ctx;
    struct err err = {0};

    (void)why;
    if (ledger->is_closed || ledger->is_draining) {
        return;
    }
    if (rows == NULL) {
        loop_timer_start(ledger->loop, &ledger->rejoin, DATABASE_AGAIN_MS, look_for_twin, ledger);
    } else if (pg_get_int(rows, 0, 0) > 0) {
        ledger_fatal(ledger, &ledger->trouble);
    } else {
        log_debug("put out of the group by nobody: joining again", LOG_STR("group", ledger->group));
        ledger->metrics.rejoins++;
        ledger_group_leave(ledger);
        if (ledger_group_join(ledger, &err) < 0) {
            ledger_fatal(ledger, &err);
        }
    }
}

static void look_for_twin(struct loop_timer *timer, void *ctx)
{
    struct ledger *ledger = ctx;
    struct pg_stmt *stmt;

    if (!ledger->is_up) { /* it alone knows */
        loop_timer_start(ledger->loop, timer, DATABASE_AGAIN_MS, look_for_twin, ledger);
        return;
    }
    stmt = pg_stmt_new(TWIN_SQL);
    pg_add_text(stmt, ledger->group);
    pg_add_text(stmt, ledger->instance);
    pg_add_text(stmt, ledger->process.text);
    /* it may have come up to a session before we heard of it */
    pg_add_int(stmt, loop_now_ms(ledger->loop) - ledger->expelled_ms + ledger->session_timeout_ms);
    pg_query(ledger->pg, stmt, on_twins, ledger);
}
