/* cache: Redis on the loop (wraps hiredis): commands with callbacks, channels, reconnecting by
 * itself.
 *
 * Losing Redis never stops anything: while it is away commands end with -ERR_CLOSED, and
 * subscriptions come back by themselves. All calls belong to the loop's thread. */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"

struct cache;
struct err;
struct loop;

enum {
    CACHE_PENDING_MAX = 10000,   /* commands under way */
    CACHE_COMMAND_ARGS_MAX = 64, /* parts of a command */
    CACHE_COMMAND_BYTES_MAX = 4 << 20
};

enum cache_kind { CACHE_NIL, CACHE_TEXT, CACHE_INT, CACHE_LIST };

struct cache_reply {
    enum cache_kind kind;
    struct bytes text; /* CACHE_TEXT; a NUL stands behind it */
    int64_t number;    /* CACHE_INT */
    size_t n;          /* CACHE_LIST */
    const struct cache_reply *items;
};

/* @rc: 0 and @reply (borrowed for the call). Else @reply is NULL: -ERR_CLOSED not connected, surely
 * not done; -ERR_UNCERTAIN sent, then no answer in time or the connection was lost; -ERR_REFUSED
 * Redis says that it cannot; -ERR_LIMIT more than the limits above. */
typedef void cache_reply_cb(int rc, const struct cache_reply *reply, void *ctx);

struct cache_events {
    void (*connected)(void *ctx);                      /* may be NULL; each time */
    void (*trouble)(const struct err *err, void *ctx); /* may be NULL; once per lost connection */
    void *ctx;
};

struct cache_options {
    const char *url;    /* redis://[[user]:password@]host[:port][/database] or unix:/path */
    int64_t timeout_ms; /* for an answer, and for connecting; 0: 2000 */
    struct cache_events events;
};

/* Gives *@out (cache_close), which connects and reconnects (100 ms to 5 s apart) from now on. Keeps
 * nothing of @options but events. -ERR_INVALID: a url that it cannot read (its password is not in
 * the text). */
NODISCARD int cache_new(struct loop *loop, const struct cache_options *options, struct cache **out,
                        struct err *err);

bool cache_is_connected(const struct cache *cache);

/* Send a command of @n parts (copied). @fn(@ctx) hears of the end exactly once, never before this
 * returns, unless the cache is closed first; NULL when nobody wants to know. */
void cache_command(struct cache *cache, const struct bytes *parts, size_t n, cache_reply_cb *fn,
                   void *ctx);

/* The same for parts that are text; @parts ends with NULL. */
void cache_command_text(struct cache *cache, const char *const *parts, cache_reply_cb *fn,
                        void *ctx);

/* SET @key @value PX @ttl_ms; GET; DEL; PUBLISH. */
void cache_set(struct cache *cache, const char *key, struct bytes value, int64_t ttl_ms,
               cache_reply_cb *fn, void *ctx);
void cache_get(struct cache *cache, const char *key, cache_reply_cb *fn, void *ctx);
void cache_del(struct cache *cache, const char *key, cache_reply_cb *fn, void *ctx);
void cache_publish(struct cache *cache, const char *channel, struct bytes message,
                   cache_reply_cb *fn, void *ctx);

/* ---- channels: over a connection of their own ---- */

struct cache_subscription;

struct cache_listener {
    void (*message)(struct bytes message, void *ctx); /* borrowed; a NUL stands behind it */
    /* Messages may have been missed: the subscription began, or began again after a lost
     * connection. Look at the keys now. May be NULL. */
    void (*began)(void *ctx);
    void *ctx;
};

/* Listen to @channel_name until cache_unsubscribe. Several may listen to one channel. Keeps nothing
 * of what it is given but listener->ctx. */
struct cache_subscription *cache_subscribe(struct cache *cache, const char *channel_name,
                                           const struct cache_listener *listener);
void cache_unsubscribe(
    struct cache_subscription **subscription); /* sets it to NULL; NULL is fine */

/* Ends both connections, sets *@cache to NULL; no callback comes any more, not even those that
 * wait. Subscriptions must be gone. NULL is fine. */
void cache_close(struct cache **cache);

#endif
