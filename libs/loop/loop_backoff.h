/* loop_backoff: how long to wait before the next try. Pure. */
#ifndef LOOP_LOOP_BACKOFF_H
#define LOOP_LOOP_BACKOFF_H

#include <stdint.h>

struct loop_backoff {
    int64_t first_ms;        /* the first wait; doubles with each try */
    int64_t most_ms;         /* but not over this */
    unsigned jitter_percent; /* up to so much is taken off at random, at most 100 */
    unsigned tries;          /* waits given since the last reset */
};

/* The next wait: first, 2 first, 4 first ... most. @random: any number, 0 for no jitter. */
int64_t loop_backoff_next_ms(struct loop_backoff *backoff, uint32_t random);
void loop_backoff_reset(
    struct loop_backoff *backoff); /* it worked: begin with the first wait again */

#endif
