/* guard: how often somebody may be wrong with a password, a token or an API key. Any thread.
 *
 * A try takes tokens (rate.h) before anything of it is looked at, and gets them back unless it was
 * wrong: what is right costs nothing, and many tries at once cannot slip through together. Tokens
 * come back all the time, so nobody is kept out for longer than it takes to make one.
 *
 *     login    one of the client's address, one of the user name
 *     API key  one of the client's address, when the key has to be looked up in PostgreSQL
 *     token    one of the client's address, when its signature or its time does not hold
 *
 * Somebody who uses up the tokens of a user name, from however many addresses, must not keep its
 * owner out. So who was right once is known for CACHE_KNOWN_TTL_MS: a user at an address, an API
 * key. Where the tokens of all are gone, and where all wait for a lane to have a password hashed,
 * those have some of their own. */
#ifndef INGRESS_GUARD_H
#define INGRESS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "ingress/rate.h"

struct cache_pool;
struct guard;
struct lanes;

struct guard_options {
    struct cache_pool *cache; /* borrowed until guard_free, as is the next */
    struct rate *rate;
    int64_t logins_per_min;  /* wrong ones, of one address and of one user name; 0: no limit */
    int64_t refused_per_min; /* tokens and keys of one address; 0: no limit */
    unsigned hashes_at_once; /* of passwords: each takes a core and 19 MiB for a moment */
    int64_t hash_wait_ms;    /* for one of those; 0: 2000 */
};

struct guard *guard_new(const struct guard_options *options); /* copies @options */
void guard_free(struct guard **guard);                        /* NULL is fine */

enum { GUARD_BUCKETS_MAX = 2 };

/* One try; filled by guard_login or guard_key, given to guard_end. */
struct guard_try {
    char names[GUARD_BUCKETS_MAX][RATE_NAME_MAX]; /* a token of each was taken */
    size_t n;
    int64_t per_min;
    uint64_t who;        /* what will be known when it is right */
    struct lanes *lanes; /* inside of these; NULL: none */
};

/* May it be looked at? 0, or the seconds after which to try again; then it is over. */
NODISCARD int guard_login(struct guard *guard, const char *client, const char *username,
                          struct guard_try *out);
NODISCARD int guard_key(struct guard *guard, const char *client, const char *key_sha256,
                        struct guard_try *out);

/* A token was wrong. 0, or the seconds after which another will be listened to. */
NODISCARD int guard_token(struct guard *guard, const char *client);

/* Before a password is hashed. False: too many are, and wait to be. */
NODISCARD bool guard_enter(struct guard *guard, struct guard_try *of);

enum guard_end { GUARD_RIGHT, GUARD_WRONG, GUARD_UNKNOWN /* nobody could tell */ };

/* How it ended; leaves the lane too. */
void guard_end(struct guard *guard, struct guard_try *of, enum guard_end how);

#endif
