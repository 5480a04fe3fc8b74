#include "scheduler/run.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "pg/pg_rows.h"
#include "scheduler/account.h"
#include "scheduler/command.h"
#include "scheduler/feed.h"
#include "scheduler/scheduler.h"

struct run *run_find(const struct scheduler *scheduler, const char *uuid)
{
    return map_get(&scheduler->runs, uuid);
}

struct run *run_new(struct scheduler *scheduler, const char *uuid, int partition)
{
    struct run *run = mem_new0(sizeof(*run));

    run->scheduler = scheduler;
    (void)snprintf(run->uuid, sizeof(run->uuid), "%s", uuid);
    run->partition = partition;
    run->config = scheduler->defaults;
    map_put(&scheduler->runs, run->uuid, run);
    return run;
}

static void unready(struct run *run)
{
    struct run_list *list = &run->scheduler->ready_runs;

    if (!run->is_ready) {
        return;
    }
    run->is_ready = false;
    list->n--;
    DL_DELETE2(list->first, run, ready_prev, ready_next);
}

static void unsee(struct run *run)
{
    struct run_list *list = &run->scheduler->to_see;

    if (!run->is_to_see) {
        return;
    }
    run->is_to_see = false;
    list->n--;
    DL_DELETE2(list->first, run, see_prev, see_next);
}

static void unidle(struct run *run)
{
    struct run_list *list = &run->scheduler->idle;

    if (!run->is_idle) {
        return;
    }
    run->is_idle = false;
    list->n--;
    DL_DELETE2(list->first, run, idle_prev, idle_next);
}

static void detach(struct run *run)
{
    if (!run->is_attached) {
        return;
    }
    run->is_attached = false;
    DL_DELETE2(run->account->runs, run, account_prev, account_next);
}

void run_free(struct run **run)
{
    struct run *gone = *run;

    if (gone == NULL) {
        return;
    }
    loop_timer_stop(&gone->timer);
    unready(gone);
    unsee(gone);
    unidle(gone);
    run_unwait(gone);
    detach(gone);
    if (gone->account != NULL) {
        gone->account->n_open -= gone->n_flights - gone->n_back;
    }
    gone->scheduler->n_flights -= gone->n_flights;
    feed_clear(gone);
    parked_free_all(gone);
    map_drop(&gone->scheduler->runs, gone->uuid);
    free(gone->flights);
    free(gone->gone);
    free(gone->campaign_id);
    free(gone);
    *run = NULL;
}

/* ---- loading ---- */

int run_load(struct run *run, const struct pg_rows *rows, size_t row, struct err *err)
{
    const char *snapshot = pg_get_text(rows, row, 2);
    struct uuid session = pg_get_uuid(rows, row, 1);
    int rc = blast_from_json(snapshot, strlen(snapshot), &run->state, err);

    if (rc == 0) {
        rc = blast_config_from_json(pg_get_text(rows, row, 3), &run->scheduler->defaults,
                                    &run->config, err);
    }
    if (rc < 0) {
        return err_wrap(err, rc, "blast %s", run->uuid);
    }
    run->campaign_id = mem_strdup(pg_get_text(rows, row, 4));
    run->next_index = (int32_t)pg_get_int(rows, row, 5);
    run->feed.next_index = run->next_index;
    run->tally = (struct tally){
        .sent = (int32_t)pg_get_int(rows, row, 6),
        .delivered = (int32_t)pg_get_int(rows, row, 7),
        .read = (int32_t)pg_get_int(rows, row, 8),
        .retrying = (int32_t)pg_get_int(rows, row, 9),
        .failed = (int32_t)pg_get_int(rows, row, 10),
        .skipped = (int32_t)pg_get_int(rows, row, 11),
    };
    run->partition = (int)pg_get_int(rows, row, 12);
    run->account = account_get(run->scheduler, session.text, run->partition);
    run_attach(run);
    return 0;
}

static struct flight *add_flight(struct run *run, int32_t index)
{
    run->flights = mem_room(run->flights, run->n_flights, &run->cap_flights, sizeof(*run->flights));
    run->flights[run->n_flights] = (struct flight){.index = index};
    run->scheduler->n_flights++;
    return &run->flights[run->n_flights++];
}

void run_load_flight(struct run *run, int32_t index, int32_t times, bool is_back)
{
    struct flight *flight = add_flight(run, index);

    flight->times = times;
    flight->is_back = is_back;
    run->n_back += is_back ? 1 : 0;
    run->account->n_open += is_back ? 0 : 1;
}

/* ---- what it is doing ---- */

static bool is_going(const struct run *run)
{
    return !run->state.deleted &&
           (run->state.status == BLAST_RUNNING || run->state.status == BLAST_PAUSED);
}

bool run_is_over(const struct run *run)
{
    return run->state.deleted || (!is_going(run) && run->state.status != BLAST_IDLE);
}

bool run_has_unsaid(const struct run *run)
{
    struct blast_counts now = tally_counts(&run->tally);
    const struct blast_counts *said = &run->state.counts;

    return !run->state.deleted && run->state.status != BLAST_NONE &&
           (now.current_index != said->current_index || now.sent != said->sent ||
            now.failed != said->failed || now.skipped != said->skipped ||
            now.delivered != said->delivered || now.read != said->read);
}

bool run_is_live(const struct run *run)
{
    return is_going(run) || run->n_flights > 0 || run_has_unsaid(run);
}

void run_put_last(struct run *run)
{
    detach(run);
    run_attach(run);
}

void run_attach(struct run *run)
{
    if (!is_going(run)) {
        detach(run);
    } else if (!run->is_attached) {
        run->is_attached = true;
        DL_APPEND2(run->account->runs, run, account_prev, account_next);
    }
}

/* ---- messages under way ---- */

struct flight *run_flight(struct run *run, int32_t index)
{
    for (size_t i = 0; i < run->n_flights; i++) {
        if (run->flights[i].index == index) {
            return &run->flights[i];
        }
    }
    return NULL;
}

int32_t run_flight_open(struct run *run, int32_t index)
{
    struct flight *flight = run_flight(run, index);

    if (flight == NULL) {
        flight = add_flight(run, index);
    } else {
        assert(flight->is_back);
        run->n_back--;
    }
    flight->times++;
    flight->is_back = flight->is_fed = false;
    flight->is_changed = run->is_changed = true;
    run->account->n_open++;
    return flight->times;
}

void run_flight_back(struct run *run, struct flight *flight)
{
    if (!flight->is_back) {
        flight->is_back = flight->is_changed = run->is_changed = true;
        flight->is_fed = false;
        run->n_back++;
        run->account->n_open--;
    }
}

void run_flight_end(struct run *run, struct flight *flight)
{
    run->gone = mem_room(run->gone, run->n_gone, &run->cap_gone, sizeof(*run->gone));
    run->gone[run->n_gone++] = flight->index;
    run->is_changed = true;
    if (flight->is_back) {
        run->n_back--;
    } else {
        run->account->n_open--;
    }
    run->scheduler->n_flights--;
    *flight = run->flights[--run->n_flights];
}

/* ---- when it has its turn ---- */

void run_ready(struct run *run)
{
    struct run_list *list = &run->scheduler->ready_runs;

    if (!run->is_ready) {
        run->is_ready = true;
        DL_APPEND2(list->first, run, ready_prev, ready_next);
        list->n++;
    }
    ledger_want_turn(run->scheduler->ledger);
}

struct run *run_ready_take(struct scheduler *scheduler)
{
    struct run *run = scheduler->ready_runs.first;

    if (run != NULL) {
        unready(run);
    }
    return run;
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct run *run = ctx;

    (void)timer;
    run->wake_ms = 0;
    run_ready(run);
}

void run_wake(struct run *run, int64_t at_ms)
{
    int64_t delay_ms = at_ms - clock_wall_ms();

    if (run->wake_ms != 0 && run->wake_ms <= at_ms) {
        return;
    }
    delay_ms = delay_ms < 1 ? 1 : delay_ms;
    run->wake_ms = at_ms;
    loop_timer_start(run->scheduler->loop, &run->timer,
                     delay_ms < SCHEDULER_TIMER_MAX_MS ? delay_ms : SCHEDULER_TIMER_MAX_MS,
                     on_timer, run);
}

void run_sleep(struct run *run)
{
    run->wake_ms = 0;
    loop_timer_stop(&run->timer);
}

void run_see(struct run *run)
{
    struct run_list *list = &run->scheduler->to_see;

    run->sees_account = true;
    if (!run->is_to_see) {
        run->is_to_see = true;
        DL_APPEND2(list->first, run, see_prev, see_next);
        list->n++;
    }
    ledger_want_turn(run->scheduler->ledger);
}

struct run *run_see_take(struct scheduler *scheduler)
{
    struct run *run = scheduler->to_see.first;

    if (run != NULL) {
        unsee(run);
    }
    return run;
}

void run_wait(struct run *run)
{
    struct run_list *list = &run->scheduler->waiting;

    if (!run->is_waiting) {
        run->is_waiting = true;
        DL_APPEND2(list->first, run, waiting_prev, waiting_next);
        list->n++;
    }
}

void run_unwait(struct run *run)
{
    struct run_list *list = &run->scheduler->waiting;

    if (!run->is_waiting) {
        return;
    }
    run->is_waiting = false;
    list->n--;
    DL_DELETE2(list->first, run, waiting_prev, waiting_next);
}

void run_use(struct run *run)
{
    unidle(run);
}

void run_rest(struct run *run)
{
    struct run_list *list = &run->scheduler->idle;

    unidle(run);
    if (run->parked != NULL || run->is_ready || run->is_to_see || run_is_live(run)) {
        return;
    }
    if (run->state.status == BLAST_NONE) {
        run_free(&run);
        return;
    }
    run->is_idle = true;
    DL_APPEND2(list->first, run, idle_prev, idle_next);
    list->n++;
    if (list->n > SCHEDULER_IDLE_MAX) {
        struct run *oldest = list->first;

        run_free(&oldest);
    }
}
