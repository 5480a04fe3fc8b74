/* run: one blast in memory: its folded state, its messages under way, what is ready to be handed
 * over, and the commands that wait. Its size does not depend on the number of recipients. */
#ifndef SCHEDULER_RUN_H
#define SCHEDULER_RUN_H

#include "base/attr.h"
#include "base/uuid.h"
#include "domain/blast.h"
#include "domain/blast_config.h"
#include "domain/pacing.h"
#include "domain/tally.h"
#include "loop/loop.h"
#include "scheduler/letter.h"

struct account;
struct err;
struct parked;
struct pg_rows;
struct scheduler;

/* A message between hand-over and settled. */
struct flight {
    int32_t index;
    int32_t times;   /* handed over so often */
    bool is_back;    /* not sent in time: it will be handed over again, and is not in the window */
    bool is_fed;     /* back, and its letter is in the feed */
    bool is_changed; /* in the open turn */
};

struct letters {
    struct letter *first;
    struct letter *last;
    size_t n;
};

/* Letters to be handed over next. */
struct feed {
    struct letters again; /* those that came back go before all others */
    struct letters fresh;
    size_t bytes;
    int32_t next_index; /* of the next fresh recipient that is not in it */
    bool is_loading;
};

struct run {
    struct scheduler *scheduler; /* which has it in runs */
    char uuid[UUID_TEXT_MAX];
    int partition;
    int32_t next_index;      /* recipients before it were handed over or left out */
    struct account *account; /* NULL while there is no such blast */
    struct blast state;      /* BLAST_NONE: no such blast */
    struct tally tally;
    struct blast_config config;
    char *campaign_id; /* or NULL */
    struct flight *flights;
    size_t n_flights;
    size_t cap_flights;
    size_t n_back;
    struct pacing pacing;
    struct feed feed;
    struct parked *parked; /* in order */
    size_t n_parked;
    struct loop_timer timer;
    int64_t wake_ms; /* wall time of the timer; 0: none */

    /* lists that it may be in, each with a flag below */
    struct run *account_prev, *account_next;
    struct run *ready_prev, *ready_next;
    struct run *see_prev, *see_next;
    struct run *waiting_prev, *waiting_next;
    struct run *idle_prev, *idle_next;
    bool is_attached; /* to account->runs */
    bool is_ready;
    bool is_to_see;
    bool is_waiting;
    bool is_idle;

    bool is_paced;     /* pacing holds: it is running */
    bool is_stranger;  /* its id is taken by a blast of another partition; gone with the record */
    bool has_fault;    /* its recipients cannot be read */
    bool sees_counts;  /* they may have to be said */
    bool sees_restart; /* it was just loaded */
    bool sees_account; /* its account changed */

    bool in_turn;    /* the open turn looked at it */
    bool is_changed; /* and its row has to be written */
    struct run *turn_next;
    int32_t *gone; /* flights that ended in the open turn */
    size_t n_gone;
    size_t cap_gone;
};

struct run *run_find(const struct scheduler *scheduler, const char *uuid); /* or NULL */
struct run *run_new(struct scheduler *scheduler, const char *uuid, int partition);
void run_free(struct run **run);

/* The columns that a loaded run is made of, in this order. */
#define RUN_COLUMNS                                                                           \
    "b.blast_id, b.session_uuid, b.snapshot, b.config, b.campaign_id, b.next_index, b.sent, " \
    "b.delivered, b.read, b.retrying, b.failed, b.skipped, b.partition"

/* Fill a new run from its row. -ERR_INVALID: the row cannot be read. */
NODISCARD int run_load(struct run *run, const struct pg_rows *rows, size_t row, struct err *err);
void run_load_flight(struct run *run, int32_t index, int32_t times, bool is_back);

/* ---- what it is doing ---- */

bool run_is_over(const struct run *run);    /* nothing will be handed over any more */
bool run_has_unsaid(const struct run *run); /* counts that no event said yet */
bool run_is_live(const struct run *run);    /* something may happen to it without a command */

/* Among the account's runs while it is running or paused, and not otherwise. */
void run_attach(struct run *run);
void run_put_last(struct run *run); /* another of the account's runs is the first one now */

/* ---- messages under way ---- */

struct flight *run_flight(struct run *run, int32_t index); /* or NULL; until the next change */
/* A message was handed over: a new flight, or one that was back. Returns how often by now. */
int32_t run_flight_open(struct run *run, int32_t index);
void run_flight_back(struct run *run, struct flight *flight);
void run_flight_end(struct run *run, struct flight *flight);

/* ---- when it has its turn ---- */

void run_ready(struct run *run);
struct run *run_ready_take(struct scheduler *scheduler); /* or NULL */
void run_wake(struct run *run, int64_t at_ms);           /* ready at that wall time, or before */
void run_sleep(struct run *run);                         /* forget run_wake */

/* Its account changed: it is looked at before anything else happens. */
void run_see(struct run *run);
struct run *run_see_take(struct scheduler *scheduler); /* or NULL */

void run_wait(struct run *run); /* into scheduler->waiting */
void run_unwait(struct run *run);

/* Nothing looks at it for now: it may leave memory, now or later, when nothing can happen to it.
 * run_use: it is looked at again. */
void run_rest(struct run *run);
void run_use(struct run *run);

#endif
