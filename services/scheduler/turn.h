/* turn: one transaction of the scheduler, from the records that it takes to the rows of what
 * changed. */
#ifndef SCHEDULER_TURN_H
#define SCHEDULER_TURN_H

#include <stdint.h>

#include "domain/blast.h"
#include "ledger/ledger.h"
#include "ledger/ledger_rows.h"

struct account;
struct run;
struct scheduler;

/* Statements that grow by one row of arrays at a time. */
enum turn_batch {
    TURN_SESSION,
    TURN_CHUNK,
    TURN_BLAST_NEW,
    TURN_BLAST,
    TURN_FLIGHT,
    TURN_FLIGHT_GONE,
    TURN_PARKED,
    TURN_PARKED_GONE,
    TURN_BATCH_COUNT
};

struct turn {
    struct scheduler *scheduler;
    struct ledger_tx *tx;
    int64_t now_us;
    const struct ledger_record *record; /* taken, and not handled yet */
    struct run *runs;                   /* looked at */
    struct account *accounts;           /* changed */
    struct ledger_rows batch[LEDGER_PARTITIONS][TURN_BATCH_COUNT];
};

/* Why an event happened: goes into its envelope. */
struct turn_cause {
    const char *correlation_id;
    const char *causation_id;
    const char *actor_kind;
    const char *actor_id;
};

/* What a ledger calls; their ctx is @scheduler. */
void turn_handlers(struct scheduler *scheduler, struct ledger_handlers *out);

bool turn_has_room(const struct turn *turn); /* for one more decision */

/* Its row is written when it changed, and it may leave memory, once the turn ends. */
void turn_touch(struct turn *turn, struct run *run);
void turn_touch_account(struct turn *turn, struct account *account);

/* The blast @uuid, read from its table when it is not in memory; one that never was has
 * BLAST_NONE, also when its id belongs to another partition (is_stranger). NULL: it is being read,
 * and the record is handled again when it is here. */
struct run *turn_run(struct turn *turn, const char *uuid, int partition);

/* ---- decisions ---- */

struct blast_context turn_context(const struct turn *turn, const struct run *run);

/* Stage the events of @decision, fold them in, and do what else it says. */
void turn_decision(struct turn *turn, struct run *run, struct blast_decision *decision,
                   const struct turn_cause *cause);

/* Decide an observation and stage it. */
void turn_observe(struct turn *turn, struct run *run, const struct blast_observation *saw);

/* Stage an event that no decider makes: kind and payload are the caller's. */
void turn_event(struct turn *turn, struct run *run, struct blast_event *event);

/* Say that recipients @first to @last, both included, will not be handed over. */
void turn_cancel(struct turn *turn, struct run *run, int32_t first, int32_t last);

/* ---- rows ---- */

/* One more row for @batch: add a value to each of its columns, in order. */
struct ledger_rows *turn_row(struct turn *turn, enum turn_batch batch, int partition);
void turn_close_rows(struct turn *turn); /* before the turn reads, and at its end */
void turn_write(struct turn *turn);      /* the rows of all that changed */

#endif
