/* guard_tester: a guard, and those who try. Not part of the product. */
#ifndef INGRESS_GUARD_TESTER_H
#define INGRESS_GUARD_TESTER_H

#include "ingress/guard.h"

enum { LOGINS = 30, REFUSALS = 60, HASHES = 2 }; /* the limits */

struct seat {
    struct cache_pool *cache;
    struct rate *rate;
    struct guard *guard;
};

struct seat *seat_new(const char *redis_url); /* all have one secret */
void seat_free(struct seat *seat);

/* A whole try that ends like @how. 0, or the seconds to wait. */
int log_in(struct seat *seat, const char *client, const char *username, enum guard_end how);
int show_key(struct seat *seat, const char *client, const char *key, enum guard_end how);

const char *from_many(int i); /* an address for each @i; lives until the next call */

#endif
