#include "scheduler/load.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/err.h"
#include "base/log.h"
#include "domain/session.h"
#include "pg/pg.h"
#include "scheduler/account.h"
#include "scheduler/command.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"

struct loading {
    struct loading *next; /* in scheduler->loadings */
    struct scheduler *scheduler;
    int partition;
    uint64_t generation; /* of the partition; another one: what comes is of the past */
    size_t step;
};

typedef int load_row_fn(struct loading *loading, const struct pg_rows *rows, size_t row,
                        struct err *err);

static int load_session(struct loading *loading, const struct pg_rows *rows, size_t row,
                        struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct account *account = account_get(loading->scheduler, uuid.text, loading->partition);

    if (!session_phase_parse(pg_get_text(rows, row, 1), &account->phase)) {
        return err_set(err, ERR_INVALID, "session %s: phase", uuid.text);
    }
    account->linked = pg_get_bool(rows, row, 2);
    account->sequence = pg_get_int(rows, row, 3);
    return 0;
}

static int load_blast(struct loading *loading, const struct pg_rows *rows, size_t row,
                      struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);

    return run_load(run_new(loading->scheduler, uuid.text, loading->partition), rows, row, err);
}

static int load_flight(struct loading *loading, const struct pg_rows *rows, size_t row,
                       struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct run *run = run_find(loading->scheduler, uuid.text);

    if (run == NULL) { /* a blast with a flight is live */
        return err_set(err, ERR_INVALID, "a message of blast %s, which is not live", uuid.text);
    }
    run_load_flight(run, (int32_t)pg_get_int(rows, row, 1), (int32_t)pg_get_int(rows, row, 2),
                    pg_get_bool(rows, row, 3));
    return 0;
}

static int load_parked(struct loading *loading, const struct pg_rows *rows, size_t row,
                       struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct run *run = run_find(loading->scheduler, uuid.text);

    if (run == NULL) { /* to be made by this command */
        run = run_new(loading->scheduler, uuid.text, loading->partition);
    }
    return command_load(run, pg_get_bytes(rows, row, 1), err);
}

static const struct {
    const char *text;
    load_row_fn *fn;
} steps[] = {
    {"SELECT session_uuid, phase, linked, sequence FROM session WHERE partition = $1",
     load_session},
    {"SELECT " RUN_COLUMNS " FROM blast b WHERE b.partition = $1 AND "
     "(b.is_live OR b.blast_id IN (SELECT blast_id FROM parked WHERE partition = $1))",
     load_blast},
    {"SELECT blast_id, message_index, times, is_back FROM in_flight WHERE partition = $1",
     load_flight},
    {"SELECT blast_id, wire FROM parked WHERE partition = $1 ORDER BY place", load_parked},
};

static void next_step(struct loading *loading);

static void loading_free(struct loading *loading)
{
    LL_DELETE(loading->scheduler->loadings, loading);
    free(loading);
}

/* Everything is looked at once: counts that were not said, accounts that changed, commands. */
static void loaded(struct loading *loading)
{
    struct scheduler *scheduler = loading->scheduler;
    struct map_entry *next;
    unsigned n = 0;

    ledger_taken(scheduler->ledger, loading->partition, 0);
    for (struct map_entry *at = map_first(&scheduler->runs); at != NULL; at = next) {
        struct run *run = map_value(at);

        next = map_next(at);
        if (run->partition == loading->partition) {
            n++;
            run->sees_restart = run->state.status != BLAST_NONE;
            run_ready(run);
            if (run->is_attached) {
                run_see(run);
            }
        }
    }
    log_info("partition taken", LOG_INT("partition", loading->partition), LOG_INT("blasts", n));
    loading_free(loading);
}

static void on_rows(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct loading *loading = ctx;
    struct scheduler *scheduler = loading->scheduler;
    struct err err = {0};
    int rc = rows == NULL ? why->code : 0;

    if (loading->generation != scheduler->generations[loading->partition]) {
        loading_free(loading);
        return;
    }
    if (rows == NULL) {
        err = *why;
    }
    for (size_t i = 0; rc == 0 && i < pg_rows_n(rows); i++) {
        rc = steps[loading->step].fn(loading, rows, i, &err);
    }
    if (rc < 0) {
        log_error("partition cannot be loaded", LOG_INT("partition", loading->partition),
                  LOG_STR("why", err.text));
        ledger_taken(scheduler->ledger, loading->partition, rc);
        loading_free(loading);
        return;
    }
    loading->step++;
    next_step(loading);
}

static void next_step(struct loading *loading)
{
    struct pg_stmt *stmt;

    if (loading->step == sizeof(steps) / sizeof(steps[0])) {
        loaded(loading);
        return;
    }
    stmt = pg_stmt_new(steps[loading->step].text);
    pg_add_int(stmt, loading->partition);
    pg_query(ledger_pg(loading->scheduler->ledger), stmt, on_rows, loading);
}

void load_partition(struct ledger *ledger, int partition, void *ctx)
{
    struct scheduler *scheduler = ctx;
    struct loading *loading = mem_new0(sizeof(*loading));

    (void)ledger;
    loading->scheduler = scheduler;
    loading->partition = partition;
    loading->generation = ++scheduler->generations[partition];
    LL_PREPEND(scheduler->loadings, loading);
    next_step(loading);
}

/* Time went by: everything is looked at again. */
void load_return(struct ledger *ledger, int partition, void *ctx)
{
    struct scheduler *scheduler = ctx;
    struct map_entry *next;

    (void)ledger;
    for (struct map_entry *at = map_first(&scheduler->runs); at != NULL; at = next) {
        struct run *run = map_value(at);

        next = map_next(at);
        if (run->partition == partition) {
            run_ready(run);
            if (run->sees_account) {
                run_see(run);
            }
            if (run->account != NULL) {
                account_ready(run->account);
            }
        }
    }
}

void load_revoke(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger; /* all effects are turns, and no turn touches what is not live */
    (void)partition;
    (void)ctx;
}

static void forget(struct scheduler *scheduler, int partition)
{
    struct map_entry *next;

    scheduler->generations[partition]++;
    for (struct map_entry *at = map_first(&scheduler->runs); at != NULL; at = next) {
        struct run *run = map_value(at);

        next = map_next(at);
        if (run->partition == partition) {
            run_free(&run);
        }
    }
    for (struct map_entry *at = map_first(&scheduler->accounts); at != NULL; at = next) {
        struct account *account = map_value(at);

        next = map_next(at);
        if (account->partition == partition) {
            account_free(&account);
        }
    }
}

void load_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    (void)ledger;
    log_info("partition left", LOG_INT("partition", partition), LOG_INT("why", why));
    forget(ctx, partition);
}

void load_forget(void *ctx)
{
    struct scheduler *scheduler = ctx;
    struct loading *loading = NULL;
    struct loading *next = NULL;

    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        forget(scheduler, p);
    }
    LL_FOREACH_SAFE(scheduler->loadings, loading, next)
    {
        free(loading);
    }
    scheduler->loadings = NULL;
}
