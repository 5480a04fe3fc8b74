/* cache_link: one connection to Redis that comes back by itself. Inside libs/cache.
 *
 * hiredis writes and reads the protocol; the socket is the loop's, so that looking up a name, a
 * connection that hangs and a reply that never comes block nothing. */
#ifndef CACHE_CACHE_LINK_H
#define CACHE_CACHE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "base/attr.h"
#include "base/mem.h"

struct cache_link;
struct err;
struct loop;

struct cache_link_events {
    void (*up)(void *ctx);                                       /* logged in: send from now on */
    void (*reply)(const redisReply *reply, void *ctx);           /* borrowed */
    void (*down)(const struct err *err, bool was_up, void *ctx); /* it will try again */
    void *ctx;
};

/* Gives *@out (cache_link_close). Tries to connect from now on. -ERR_INVALID: the url. */
NODISCARD int cache_link_new(struct loop *loop, const char *url, int64_t timeout_ms,
                             const struct cache_link_events *events, struct cache_link **out,
                             struct err *err);

bool cache_link_is_up(const struct cache_link *link);

/* Queue a command (copied) for writing; only while it is up. */
void cache_link_send(struct cache_link *link, const struct bytes *parts, size_t n);

/* Give this connection up because of @err and begin another; `down` is called. */
void cache_link_drop(struct cache_link *link, const struct err *err);

void cache_link_close(struct cache_link **link); /* no callback comes any more; NULL is fine */

#endif
