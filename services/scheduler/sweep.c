#include "scheduler/sweep.h"

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "pg/pg.h"
#include "scheduler/scheduler.h"

enum { SWEEP_MS = 10000, SWEEP_FIRST_MS = 2000, SWEEP_ON_MS = 200, SWEEP_CHUNKS = 50 };

/* Outside of turns: what it takes is of no use to anybody, whoever owns the partition. A chunk
 * whose create waits is left alone. */
#define SWEEP_SQL                                                                         \
    "DELETE FROM recipient_chunk d USING (SELECT c.blast_id, c.upload_id, c.first_index " \
    "FROM recipient_chunk c LEFT JOIN blast b ON b.blast_id = c.blast_id "                \
    "WHERE c.partition = ANY($1) AND CASE WHEN b.blast_id IS NULL "                       \
    "THEN c.received_at < now() - $2 * interval '1 second' "                              \
    "AND NOT EXISTS (SELECT FROM parked p WHERE p.blast_id = c.blast_id) "                \
    "ELSE NOT b.wants_recipients OR b.upload_id <> c.upload_id END LIMIT $3) AS g "       \
    "WHERE d.blast_id = g.blast_id AND d.upload_id = g.upload_id AND d.first_index = "    \
    "g.first_index"

static void on_timer(struct loop_timer *timer, void *ctx);

static void on_swept(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct scheduler *scheduler = ctx;
    int64_t n = rows != NULL ? pg_rows_touched(rows) : 0;
    int64_t wait_ms = n == SWEEP_CHUNKS ? SWEEP_ON_MS : SWEEP_MS;

    if (rows == NULL) {
        log_warn("recipients could not be swept", LOG_STR("why", err->text));
    }
    metric_add(scheduler->metrics.chunks_dropped, n);
    if (scheduler->config->chunk_keep_s * 1000 < wait_ms) {
        wait_ms = scheduler->config->chunk_keep_s * 1000;
    }
    loop_timer_start(scheduler->loop, &scheduler->sweep, wait_ms, on_timer, scheduler);
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct scheduler *scheduler = ctx;
    struct pg_stmt *stmt = pg_stmt_new(SWEEP_SQL);
    struct pg_array *partitions = pg_add_array(stmt, PG_ARRAY_INT);

    (void)timer;
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if (ledger_is_live(scheduler->ledger, p)) {
            pg_array_int(partitions, p);
        }
    }
    pg_add_int(stmt, scheduler->config->chunk_keep_s);
    pg_add_int(stmt, SWEEP_CHUNKS);
    if (pg_array_n(partitions) == 0) {
        pg_stmt_free(&stmt);
        sweep_start(scheduler);
        return;
    }
    pg_query(ledger_pg(scheduler->ledger), stmt, on_swept, scheduler);
}

void sweep_start(struct scheduler *scheduler)
{
    loop_timer_start(scheduler->loop, &scheduler->sweep, SWEEP_FIRST_MS, on_timer, scheduler);
}
