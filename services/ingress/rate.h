/* rate: how many requests one principal may make in a minute. A token bucket in Redis, shared by
 * all instances; while Redis is away, one in this process. Any thread. */
#ifndef INGRESS_RATE_H
#define INGRESS_RATE_H

#include <stdint.h>

struct cache_pool;
struct rate;

struct rate *rate_new(struct cache_pool *cache); /* borrows @cache until rate_free */
void rate_free(struct rate **rate);

/* Take one token of @principal ("user:1"), of which @per_min come in a minute and as many may be
 * saved; 0: no limit. Returns 0, or the seconds after which there will be one. */
int rate_take(struct rate *rate, const char *principal, int64_t per_min);

#endif
