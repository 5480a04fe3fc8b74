/* rate: token buckets with names, in Redis, so that all instances share them; while Redis is away,
 * in this process. Any thread. */
#ifndef INGRESS_RATE_H
#define INGRESS_RATE_H

#include <stdint.h>

#include "base/mem.h"

struct cache_pool;
struct rate;

enum {
    RATE_NAME_MAX = 64,
    RATE_SLOTS = 65536 /* buckets for all that strangers choose, and all while Redis is away */
};

/* Borrows @cache until rate_free. @secret: the same for all instances; it is kept as a hash. */
struct rate *rate_new(struct cache_pool *cache, struct bytes secret);
void rate_free(struct rate **rate); /* NULL is fine */

/* Take one token of bucket @name ("user:1"), of which @per_min come in a minute and as many may be
 * saved; 0: no limit. Returns 0, or the seconds after which there will be one. */
int rate_take(struct rate *rate, const char *name, int64_t per_min);
void rate_give(struct rate *rate, const char *name, int64_t per_min); /* put it back */

/* A number for @of, of kind @kind, that nobody outside can foresee. */
uint64_t rate_hash(const struct rate *rate, const char *kind, const char *of);

/* The name of the bucket for @of, such as an address or the name of a user: one of RATE_SLOTS, so
 * that however many there are, memory has an end; and nobody can choose whose he shares. */
void rate_slot(const struct rate *rate, const char *kind, const char *of, char out[RATE_NAME_MAX]);

#endif
