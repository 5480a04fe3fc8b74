/* gate: which posts may be under way at one time, so that nobody is held up by subscribers that
 * are slow, and no host gets more than it can be asked to bear.
 *
 * A session has one post at a time. Those for one host and port stand in two lines: of subscribers
 * whose last answer was slow, and of all others. In each, who came first goes first, up to a limit
 * of its own. A quick one that takes long counts as slow from then on, and the next of its line
 * goes: so a slow subscriber costs the others GATE_SLOW_MS once, and then shares what the slow
 * have among them, however many they are. Hosts get places in turn.
 *
 * No I/O, no clock. All-zero is an empty one; it holds no memory when all have left. */
#ifndef WEBHOOKS_GATE_H
#define WEBHOOKS_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"

struct gate_line;
struct gate_host;

enum {
    GATE_SLOW_MS = 1000,     /* who takes that long is slow */
    GATE_QUICK_PER_HOST = 8, /* under way that were not slow yet */
    GATE_SLOW_PER_HOST = 16, /* with as many slow ones no more of their line begin */
    GATE_PER_HOST = 128,     /* at all: more than can turn slow within the usual time-out of 10 s */
    GATE_SLOW_TOTAL = 256,   /* slow ones of all hosts */
    GATE_TOTAL = 512         /* at all */
};

enum gate_lane { GATE_QUICK, GATE_SLOW, GATE_LANES };

struct gate_place {         /* of one post, in its memory */
    struct gate_host *host; /* NULL: in no line and not under way */
    enum gate_lane lane;
    bool is_under_way;
    struct gate_place *prev;
    struct gate_place *next;
};

struct gate {
    struct map hosts;                    /* by name */
    struct gate_line *ready[GATE_LANES]; /* lines that their host's limits let go on, in turn */
    enum gate_lane turn;                 /* whose it is where both could */
    size_t waiting;
    size_t under_way;
    size_t slow; /* of those under way */
};

/* To the end of the line of @host (shorter than URL_PLACE_MAX; copied). */
void gate_enter(struct gate *gate, struct gate_place *place, const char *host, enum gate_lane lane);

/* The next that may begin, and is under way from here on; NULL: nobody may. To be asked until it
 * says so after each of the others. */
struct gate_place *gate_next(struct gate *gate);

/* It has been under way for GATE_SLOW_MS. */
void gate_turn_slow(struct gate *gate, struct gate_place *place);

/* Out of its line, or no longer under way. */
void gate_leave(struct gate *gate, struct gate_place *place);

#endif
