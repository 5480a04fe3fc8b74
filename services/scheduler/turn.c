#include "scheduler/turn.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "pg/pg.h"
#include "scheduler/account.h"
#include "scheduler/command.h"
#include "scheduler/handover.h"
#include "scheduler/intake.h"
#include "scheduler/load.h"
#include "scheduler/reply.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"

static void go_on(struct turn *turn);

bool turn_has_room(const struct turn *turn)
{
    return ledger_room(turn->tx) >= SCHEDULER_ROOM_MIN;
}

void turn_touch(struct turn *turn, struct run *run)
{
    if (!run->in_turn) {
        run_use(run);
        run->in_turn = true;
        run->turn_next = turn->runs;
        turn->runs = run;
    }
}

void turn_touch_account(struct turn *turn, struct account *account)
{
    if (!account->is_changed) {
        account->is_changed = true;
        account->turn_next = turn->accounts;
        turn->accounts = account;
    }
}

/* ---- blasts that are not in memory ---- */

struct reading {
    struct turn *turn;
    int partition;
    char uuid[UUID_TEXT_MAX];
};

static void on_blast(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct reading *reading = ctx;
    struct turn *turn = reading->turn;
    struct run *run = run_new(turn->scheduler, reading->uuid, reading->partition);
    struct err err = {0};

    (void)why; /* a turn that fails ends elsewhere */
    if (pg_rows_n(rows) > 0 && pg_get_int(rows, 0, 12) != reading->partition) {
        run->is_stranger = true;
    } else if (pg_rows_n(rows) > 0 && run_load(run, rows, 0, &err) < 0) {
        log_error("a blast cannot be read", LOG_STR("why", err.text));
        abort(); /* written by this program, or an older one */
    }
    go_on(turn);
}

struct run *turn_run(struct turn *turn, const char *uuid, int partition)
{
    struct run *run = run_find(turn->scheduler, uuid);
    struct reading *reading;
    struct pg_stmt *stmt;

    if (run != NULL) {
        if (run->partition == partition && !run->is_stranger) {
            turn_touch(turn, run);
        }
        return run;
    }
    reading = arena_new0(ledger_tx_arena(turn->tx), sizeof(*reading));
    reading->turn = turn;
    reading->partition = partition;
    memcpy(reading->uuid, uuid, UUID_TEXT_MAX);
    stmt = pg_stmt_new("SELECT " RUN_COLUMNS " FROM blast b WHERE b.blast_id = $1");
    pg_add_uuid(stmt, uuid);
    turn_close_rows(turn);
    ledger_ask(turn->tx, stmt, on_blast, reading);
    return NULL;
}

/* ---- what a turn does, in order ---- */

/* Blasts whose account changed. True when none is left: only then the next record may change it
 * again. */
static bool see_accounts(struct turn *turn)
{
    static const struct blast_observation saw = {.kind = BLAST_SAW_ACCOUNT};
    struct run *run;

    for (size_t n = turn->scheduler->to_see.n; n > 0 && turn_has_room(turn); n--) {
        run = run_see_take(turn->scheduler);
        if (ledger_may_touch(turn->tx, run->partition)) {
            run->sees_account = false;
            turn_touch(turn, run);
            turn_observe(turn, run, &saw);
        } else if (ledger_is_live(turn->scheduler->ledger, run->partition)) {
            run_see(run); /* the next turn may */
        }
    }
    return turn->scheduler->to_see.first == NULL;
}

/* Recipients that came back to a blast that is over will not be sent. */
static void cancel_back(struct turn *turn, struct run *run)
{
    size_t i = 0;

    while (run_is_over(run) && run->n_back > 0 && i < run->n_flights && turn_has_room(turn)) {
        if (!run->flights[i].is_back) {
            i++;
            continue;
        }
        if (!run->state.deleted) {
            turn_cancel(turn, run, run->flights[i].index, run->flights[i].index);
        }
        run_flight_end(run, &run->flights[i]);
    }
}

static void count(struct turn *turn, struct run *run)
{
    struct blast_observation saw = {.kind = BLAST_SAW_COUNTS};

    if (run->has_fault && !run_is_over(run)) {
        saw.kind = BLAST_SAW_FAULT;
        saw.error_message = "The recipients cannot be read";
        turn_observe(turn, run, &saw);
    } else if (run->sees_restart || run->sees_counts) {
        saw.kind = run->sees_restart ? BLAST_SAW_RESTART : BLAST_SAW_COUNTS;
        turn_observe(turn, run, &saw);
        run->sees_restart = false;
        run->sees_counts = run_has_unsaid(run); /* said later, when the timer is there */
    }
}

/* Everything that @run has waiting, as far as there is room; the rest waits for the next turn. */
static void serve(struct turn *turn, struct run *run)
{
    turn_touch(turn, run);
    run_sleep(run);
    command_run(turn, run);
    if (turn_has_room(turn)) {
        cancel_back(turn, run);
    }
    if (turn_has_room(turn)) {
        count(turn, run);
    }
    if (!turn_has_room(turn)) {
        run_ready(run);
    }
}

/* Those that become ready meanwhile have their turn next time. */
static void serve_ready(struct turn *turn)
{
    struct scheduler *scheduler = turn->scheduler;
    size_t n_runs = scheduler->ready_runs.n;
    size_t n_accounts;

    while (n_runs-- > 0 && turn_has_room(turn)) {
        struct run *run = run_ready_take(scheduler);

        if (ledger_may_touch(turn->tx, run->partition)) {
            serve(turn, run);
        } else if (ledger_is_live(scheduler->ledger, run->partition)) {
            run_ready(run); /* the next turn may */
        }
    }
    n_accounts = scheduler->ready_accounts.n;
    while (n_accounts-- > 0 && turn_has_room(turn)) {
        struct account *account = account_ready_take(scheduler);

        if (ledger_may_touch(turn->tx, account->partition)) {
            handover_run(turn, account);
        } else if (ledger_is_live(scheduler->ledger, account->partition)) {
            account_ready(account);
        }
    }
}

/* The turn lets go of what it looked at. */
static void release(struct turn *turn)
{
    while (turn->accounts != NULL) {
        struct account *account = turn->accounts;

        turn->accounts = account->turn_next;
        account->is_changed = false;
    }
    while (turn->runs != NULL) {
        struct run *run = turn->runs;

        turn->runs = run->turn_next;
        run->in_turn = run->is_changed = false;
        run_rest(run);
    }
}

/* Everything is decided. Checks of recipients begin here, behind the rows of this turn. */
static void finish(struct turn *turn)
{
    struct scheduler *scheduler = turn->scheduler;
    struct run *run;

    turn_write(turn);
    release(turn);
    for (run = scheduler->waiting.first; run != NULL; run = run->waiting_next) {
        if (ledger_is_live(scheduler->ledger, run->partition)) {
            command_poke(run);
        }
    }
    if (scheduler->ready_runs.first != NULL || scheduler->ready_accounts.first != NULL ||
        scheduler->to_see.first != NULL) {
        ledger_want_turn(scheduler->ledger);
    }
}

static void go_on(struct turn *turn)
{
    while (see_accounts(turn)) {
        if (turn->record == NULL) {
            turn->record = ledger_next(turn->tx);
        }
        if (turn->record == NULL) {
            break;
        }
        if (!intake_record(turn)) {
            return; /* on_blast goes on */
        }
        turn->record = NULL;
    }
    serve_ready(turn);
    finish(turn);
}

/* ---- what the ledger says ---- */

static void on_turn(struct ledger_tx *tx, void *ctx)
{
    struct turn *turn = arena_new0(ledger_tx_arena(tx), sizeof(*turn));

    turn->scheduler = ctx;
    turn->tx = tx;
    turn->now_us = clock_wall_us();
    ledger_tx_set(tx, turn);
    go_on(turn);
}

static void on_committed(struct ledger_tx *tx, void *ctx)
{
    (void)tx; /* memory was changed within the turn, and nothing else follows */
    (void)ctx;
}

static void on_failed(struct ledger_tx *tx, const struct err *err, void *ctx)
{
    struct turn *turn = ledger_tx_get(tx);

    (void)ctx;
    log_warn("turn failed", LOG_STR("why", err->text));
    if (turn != NULL) {
        release(turn);
    }
}

static void on_reply(const char *reply_to, const char *command_id, const char *verdict, void *ctx)
{
    reply_send(ctx, reply_to, command_id, verdict);
}

void turn_handlers(struct scheduler *scheduler, struct ledger_handlers *out)
{
    *out = (struct ledger_handlers){
        .on_turn = on_turn,
        .on_committed = on_committed,
        .on_failed = on_failed,
        .on_reply = on_reply,
        .ctx = scheduler,
    };
    load_handlers(out);
}
