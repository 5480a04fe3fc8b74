#include "tracker/sweep.h"

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "tracker/tracker.h"

enum { SWEEP_MS = 60000, SWEEP_ROWS = 2000, UPLOAD_KEEP_DAYS = 7 };

/* One upload, or a part of it. Named by now: nothing of it goes but that it is looked at again. */
#define SWEEP_SQL                                                                                \
    "WITH old AS (SELECT u.blast_id, u.upload_id, EXISTS (SELECT FROM blasts b "                 \
    "WHERE b.uuid = u.blast_id AND b.upload_id = u.upload_id) AS is_named FROM blast_uploads u " \
    "WHERE u.partition = $1 AND u.received_at < now() - $2 * interval '1 day' LIMIT 1), "        \
    "gone AS (DELETE FROM blast_recipients r USING (SELECT x.blast_id, x.message_index, "        \
    "x.upload_id FROM blast_recipients x JOIN old USING (blast_id, upload_id) "                  \
    "WHERE NOT old.is_named LIMIT $3) AS d WHERE r.blast_id = d.blast_id AND "                   \
    "r.message_index = d.message_index AND r.upload_id = d.upload_id RETURNING 1), "             \
    "done AS (DELETE FROM blast_uploads u USING old WHERE u.blast_id = old.blast_id AND "        \
    "u.upload_id = old.upload_id AND (SELECT count(*) FROM gone) < $3) "                         \
    "SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM gone)"

static void sweep_some(struct sweep *sweep);

static void on_swept(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct sweep *sweep = ctx;
    int64_t n = rows != NULL ? pg_get_int(rows, 0, 1) : 0;

    metric_add(sweep->tracker->metrics.swept, n);
    if (rows == NULL) {
        log_warn("recipients could not be swept", LOG_STR("why", err->text));
    }
    if (rows != NULL && pg_get_int(rows, 0, 0) > 0 &&
        ledger_is_live(sweep->tracker->ledger, sweep->partition)) {
        sweep_some(sweep);
    } else {
        sweep->is_running = false;
    }
}

/* Outside of turns: what goes is of no use to anybody, whoever owns the partition. */
static void sweep_some(struct sweep *sweep)
{
    struct pg_stmt *stmt = pg_stmt_new(SWEEP_SQL);

    pg_add_int(stmt, sweep->partition);
    pg_add_int(stmt, UPLOAD_KEEP_DAYS);
    pg_add_int(stmt, SWEEP_ROWS);
    pg_query(ledger_pg(sweep->tracker->ledger), stmt, on_swept, sweep);
}

/* A tracker that was away for long sees old uploads before it has read on to the blasts that name
 * them. */
static void on_end(int64_t end, void *ctx)
{
    struct sweep *sweep = ctx;
    struct ledger *ledger = end < 0 ? NULL : sweep->tracker->ledger;

    if (ledger != NULL && ledger_is_live(ledger, sweep->partition) &&
        ledger_offset(ledger, TOPIC_BLAST_EVENTS, sweep->partition) >= end) {
        sweep_some(sweep);
    } else {
        sweep->is_running = false;
    }
}

void sweep_if_due(struct tracker *tracker)
{
    int64_t now_ms = loop_now_ms(tracker->loop);

    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        struct sweep *sweep = &tracker->sweeps[p];

        if (!sweep->is_running && now_ms >= sweep->due_ms && ledger_is_live(tracker->ledger, p)) {
            *sweep = (struct sweep){tracker, p, now_ms + SWEEP_MS, true};
            ledger_ask_end(tracker->ledger, TOPIC_BLAST_EVENTS, p, on_end, sweep);
        }
    }
}
