#include "scheduler/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/uuid.h"
#include "pg/pg.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"

struct ask {
    struct ask *prev, *next; /* in scheduler->asks */
    struct scheduler *scheduler;
    int partition;
    uint64_t generation; /* of the partition when it was asked */
    char uuid[UUID_TEXT_MAX];
    int32_t number;
    ask_cb *fn;
    struct pg_stmt *stmt; /* NULL: sent */
};

static void on_rows(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ask *ask = ctx;
    struct scheduler *scheduler = ask->scheduler;
    struct run *run = NULL;

    if (ask->generation == ledger_generation(scheduler->ledger, ask->partition)) {
        run = run_find(scheduler, ask->uuid);
    }
    DL_DELETE(scheduler->asks, ask);
    if (run != NULL) {
        ask->fn(run, ask->number, rows, err);
    }
    free(ask);
}

/* A turn's transaction begins when it has decided everything; this comes behind. */
static void send_all(void *ctx)
{
    struct scheduler *scheduler = ctx;
    struct ask *ask;

    scheduler->is_asking = false;
    DL_FOREACH (scheduler->asks, ask) {
        struct pg_stmt *stmt = ask->stmt;

        if (stmt != NULL && scheduler->ledger != NULL) {
            ask->stmt = NULL;
            pg_query(ledger_pg(scheduler->ledger), stmt, on_rows, ask);
        }
    }
}

void ask_run(struct run *run, struct pg_stmt *stmt, int32_t number, ask_cb *fn)
{
    struct scheduler *scheduler = run->scheduler;
    struct ask *ask = mem_new0(sizeof(*ask));

    *ask = (struct ask){.scheduler = scheduler,
                        .partition = run->partition,
                        .generation = ledger_generation(scheduler->ledger, run->partition),
                        .number = number,
                        .fn = fn,
                        .stmt = stmt};
    (void)snprintf(ask->uuid, sizeof(ask->uuid), "%s", run->uuid);
    DL_APPEND(scheduler->asks, ask);
    if (!scheduler->is_asking) {
        scheduler->is_asking = true;
        loop_defer(scheduler->loop, send_all, scheduler);
    }
}

void ask_free_all(struct scheduler *scheduler)
{
    struct ask *ask;
    struct ask *next;

    DL_FOREACH_SAFE (scheduler->asks, ask, next) {
        pg_stmt_free(&ask->stmt);
        free(ask);
    }
    scheduler->asks = NULL;
}
