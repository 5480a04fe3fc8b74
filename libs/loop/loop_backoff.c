#include "loop/loop_backoff.h"

int64_t loop_backoff_next_ms(struct loop_backoff *backoff, uint32_t random)
{
    int64_t wait = backoff->first_ms;
    int64_t slack;

    for (unsigned i = 0; i < backoff->tries && wait < backoff->most_ms; i++) {
        wait *= 2;
    }
    if (wait > backoff->most_ms) {
        wait = backoff->most_ms;
    }
    if (backoff->tries < UINT32_MAX) {
        backoff->tries++;
    }
    slack = wait * (int64_t)backoff->jitter_percent / 100;
    return wait - (int64_t)(random % (uint64_t)(slack + 1));
}

void loop_backoff_reset(struct loop_backoff *backoff)
{
    backoff->tries = 0;
}
