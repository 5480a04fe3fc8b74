/* sandbox_agenda: what is to happen at which time, on a clock that is only ever told. Things due at
 * the same time happen in the order in which they were put down. */
#ifndef SANDBOX_SANDBOX_AGENDA_H
#define SANDBOX_SANDBOX_AGENDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void sandbox_due_cb(void *ctx);

/* In the memory of its owner; all-zero is one that is not on an agenda. */
struct sandbox_due {
    int64_t at_ms;
    uint64_t order;
    sandbox_due_cb *fn;
    void *ctx;
    size_t place; /* 1 + place in the heap; 0: not on the agenda */
};

struct sandbox_agenda {
    struct sandbox_due **heap;
    size_t n;
    size_t cap;
    uint64_t order;
};

void sandbox_agenda_done(struct sandbox_agenda *agenda); /* nothing on it happens any more */

/* Put @due down for @at_ms, or move it there. */
void sandbox_agenda_put(struct sandbox_agenda *agenda, struct sandbox_due *due, int64_t at_ms,
                        sandbox_due_cb *fn, void *ctx);
void sandbox_agenda_drop(struct sandbox_agenda *agenda, struct sandbox_due *due); /* fine twice */

int64_t sandbox_agenda_next_ms(const struct sandbox_agenda *agenda); /* INT64_MAX: nothing */

/* Take the first thing off that is due by @now_ms. NULL: none. */
struct sandbox_due *sandbox_agenda_take(struct sandbox_agenda *agenda, int64_t now_ms);

#endif
