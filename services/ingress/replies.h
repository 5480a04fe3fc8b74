/* replies: threads that wait for what deciders and the tracker say over Redis.
 *
 * Verdicts come on this instance's channel, applied sequences on the tracker's; both are heard by
 * the loop and handed to the thread that waits. Channels lose messages when a connection breaks, so
 * who waits also looks at the keys now and then (command.c). */
#ifndef INGRESS_REPLIES_H
#define INGRESS_REPLIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "ingress/kept.h"

struct cache;
struct replies;

/* One command under way; on the stack of the thread that waits. */
struct replies_wait {
    struct replies_wait *next;
    char command_id[UUID_TEXT_MAX];
    char aggregate_id[UUID_TEXT_MAX];
    bool has_verdict;
    struct kept_verdict verdict; /* stays as it is once it is there */
    int64_t applied;             /* the largest sequence heard of that aggregate */
};

/* On the loop: subscribe to replies:{instance} and applied. */
struct replies *replies_new(struct cache *channels, const char *instance_id);
void replies_free(struct replies **owner); /* nobody waits any more; before the cache closes */

/* Any thread but the loop's. From begin on nothing that is said gets lost. */
void replies_begin(struct replies *replies, struct replies_wait *wait, const char *command_id,
                   const char *aggregate_id);
void replies_end(struct replies *replies, struct replies_wait *wait);

/* Wait until the verdict is there, or @until_ms (clock_mono_ms) is past. */
bool replies_verdict(struct replies *replies, struct replies_wait *wait, int64_t until_ms);

/* The same until the aggregate's @sequence was applied. */
bool replies_applied(struct replies *replies, struct replies_wait *wait, int64_t sequence,
                     int64_t until_ms);

/* What was read from a key instead. */
void replies_put_verdict(struct replies *replies, const struct kept_verdict *verdict);
void replies_put_applied(struct replies *replies, struct replies_wait *wait, int64_t sequence);

#endif
