/* command: commands to blasts: decided at once, or parked in PostgreSQL until what they wait for is
 * there (recipients, events of their session) or their time is over; later ones of the same blast
 * wait behind (O3). */
#ifndef SCHEDULER_COMMAND_H
#define SCHEDULER_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/mem.h"
#include "record/records.h"

struct err;
struct ledger_record;
struct run;
struct turn;
struct upload;

enum {
    PARKED_MAX = 64,      /* of one blast; more are refused */
    PARKED_MS_MAX = 60000 /* however late the deadline is */
};

struct parked {
    struct parked *prev, *next;
    struct arena arena; /* of the command */
    struct blast_command command;
    int64_t until_ms;      /* the wall time at which waiting is over */
    int64_t must_end_ms;   /* also for a check of recipients that has begun */
    struct upload *upload; /* CreateBlast: the check of its recipients; NULL: not begun */
    bool asks_end;         /* its time is over: where do the recipients end? */
    bool has_end;
    int64_t end; /* their offset, or an error */
};

/* Decide @record, a command of wa.blast.cmd.v1 to @run, or park it. */
void command_take(struct turn *turn, struct run *run, const struct ledger_record *record);

/* Decide what is parked and need not wait any more. */
void command_run(struct turn *turn, struct run *run);

/* Begin the check of recipients for a parked CreateBlast when all of them were read. */
void command_poke(struct run *run);

/* A parked command from its row. -ERR_INVALID: it cannot be read. */
NODISCARD int command_load(struct run *run, struct bytes wire, struct err *err);

void parked_free_all(struct run *run);

#endif
