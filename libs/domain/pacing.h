/* pacing: when the next message may go. Chance comes from a seed, time from the caller. */
#ifndef DOMAIN_PACING_H
#define DOMAIN_PACING_H

#include <stdint.h>

#include "domain/blast_config.h"

enum { PACING_CATCH_UP_MS = 200 }; /* how far behind its plan a blast may make up for */

struct pacing_random {
    uint64_t state;
};

/* Uniform in @min..@max, both included. */
int32_t pacing_draw(struct pacing_random *random, int32_t min, int32_t max);

/* One blast's plan. */
struct pacing {
    struct pacing_random random;
    int64_t due_ms; /* the next recipient may be handed over from here on */
};

/* Begin (or go on after a pause): the first recipient waits for messageDelay only. */
void pacing_start(struct pacing *pacing, const struct blast_config *config, uint64_t seed,
                  int64_t now_ms);

/* A recipient was handed over: the next waits for contactDelay, then messageDelay. */
void pacing_handed_over(struct pacing *pacing, const struct blast_config *config, int64_t now_ms);

/* The account's token bucket. @per_min 0: no limit. */
struct pacing_bucket {
    int32_t per_min;
    int32_t burst;
    int64_t tokens; /* in 1/60000 of a message */
    int64_t at_ms;
};

void pacing_bucket_init(struct pacing_bucket *bucket, int32_t per_min, int32_t burst,
                        int64_t now_ms);

/* Milliseconds until a message may go; 0: now. */
int64_t pacing_bucket_wait(const struct pacing_bucket *bucket, int64_t now_ms);

/* Take one message out; asserts that the wait is 0. */
void pacing_bucket_take(struct pacing_bucket *bucket, int64_t now_ms);

#endif
