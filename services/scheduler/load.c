#include "scheduler/load.h"

#include "base/err.h"
#include "base/log.h"
#include "domain/session.h"
#include "ledger/ledger.h"
#include "scheduler/account.h"
#include "scheduler/command.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"

/* ---- rows into memory ---- */

static int load_session(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                        struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct account *account = account_get(ctx, uuid.text, partition);

    if (!session_phase_parse(pg_get_text(rows, row, 1), &account->phase)) {
        return err_set(err, ERR_INVALID, "session %s: phase", uuid.text);
    }
    account->linked = pg_get_bool(rows, row, 2);
    account->sequence = pg_get_int(rows, row, 3);
    return 0;
}

static int load_blast(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                      struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);

    return run_load(run_new(ctx, uuid.text, partition), rows, row, err);
}

static int load_flight(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                       struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct run *run = run_find(ctx, uuid.text);

    (void)partition;
    if (run == NULL) { /* a blast with a flight is live */
        return err_set(err, ERR_INVALID, "a message of blast %s, which is not live", uuid.text);
    }
    run_load_flight(run, (int32_t)pg_get_int(rows, row, 1), (int32_t)pg_get_int(rows, row, 2),
                    pg_get_bool(rows, row, 3));
    return 0;
}

static int load_parked(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                       struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct run *run = run_find(ctx, uuid.text);

    if (run == NULL) { /* to be made by this command */
        run = run_new(ctx, uuid.text, partition);
    }
    return command_load(run, pg_get_bytes(rows, row, 1), err);
}

static const struct ledger_load loads[] = {
    {"SELECT session_uuid, phase, linked, sequence FROM session WHERE partition = $1",
     load_session},
    {"SELECT " RUN_COLUMNS " FROM blast b WHERE b.partition = $1 AND "
     "(b.is_live OR b.blast_id IN (SELECT blast_id FROM parked WHERE partition = $1))",
     load_blast},
    {"SELECT blast_id, message_index, times, is_back FROM in_flight WHERE partition = $1",
     load_flight},
    {"SELECT blast_id, wire FROM parked WHERE partition = $1 ORDER BY place", load_parked},
};

/* ---- a partition comes ---- */

/* Everything is looked at once: counts that were not said, accounts that changed, commands. */
static void on_taken(struct ledger *ledger, int partition, void *ctx)
{
    struct scheduler *scheduler = ctx;
    struct map_entry *next;
    unsigned n = 0;

    (void)ledger;
    for (struct map_entry *at = map_first(&scheduler->runs); at != NULL; at = next) {
        struct run *run = map_value(at);

        next = map_next(at);
        if (run->partition == partition) {
            n++;
            run->sees_restart = run->state.status != BLAST_NONE;
            run_ready(run);
            if (run->is_attached) {
                run_see(run);
            }
        }
    }
    log_info("partition taken", LOG_INT("partition", partition), LOG_INT("blasts", n));
}

/* Time went by: everything is looked at again. */
static void on_return(struct ledger *ledger, int partition, void *ctx)
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

/* ---- and goes ---- */

static void on_revoke(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger; /* all effects are turns, and no turn touches what is not live */
    (void)partition;
    (void)ctx;
}

static void forget(struct scheduler *scheduler, int partition)
{
    struct map_entry *next;

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

static void on_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    (void)ledger;
    log_info("partition left", LOG_INT("partition", partition),
             LOG_STR("why", ledger_reset_name(why)));
    forget(ctx, partition);
}

void load_forget(struct scheduler *scheduler)
{
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        forget(scheduler, p);
    }
}

void load_handlers(struct ledger_handlers *handlers)
{
    handlers->loads = loads;
    handlers->n_loads = sizeof(loads) / sizeof(loads[0]);
    handlers->on_taken = on_taken;
    handlers->on_return = on_return;
    handlers->on_revoke = on_revoke;
    handlers->on_reset = on_reset;
}
