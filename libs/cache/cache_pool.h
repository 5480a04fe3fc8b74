/* cache_pool: Redis for threads that may wait, such as civetweb's: a few connections that they
 * share. Any thread may call it. */
#ifndef CACHE_CACHE_POOL_H
#define CACHE_CACHE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "cache/cache.h" /* struct cache_reply */

struct cache_pool;
struct err;

struct cache_pool_options {
    const char *url;    /* as in cache.h */
    int64_t timeout_ms; /* for connecting, for a free connection, and for an answer; 0: 500 */
    size_t connections; /* at most so many; 0: 8 */
};

/* Gives *@out (cache_pool_free). Connects when first used. -ERR_INVALID: a url it cannot read. */
NODISCARD int cache_pool_new(const struct cache_pool_options *options, struct cache_pool **out,
                             struct err *err);

/* Run a command of @n parts and wait. *@out lives as long as @arena. Errors as cache_reply_cb says
 * in cache.h. While Redis is away only one call in a second tries to connect; the others fail at
 * once with -ERR_CLOSED. */
NODISCARD int cache_pool_command(struct cache_pool *pool, const struct bytes *parts, size_t n,
                                 struct arena *arena, struct cache_reply *out, struct err *err);

/* The same for parts that are text; @parts ends with NULL. */
NODISCARD int cache_pool_command_text(struct cache_pool *pool, const char *const *parts,
                                      struct arena *arena, struct cache_reply *out,
                                      struct err *err);

void cache_pool_free(struct cache_pool **pool); /* all threads must be gone; NULL is fine */

#endif
