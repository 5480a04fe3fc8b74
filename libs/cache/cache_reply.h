/* cache_reply: what hiredis read, as the structs of cache.h. Inside libs/cache. */
#ifndef CACHE_CACHE_REPLY_H
#define CACHE_CACHE_REPLY_H

#include <hiredis/hiredis.h>

#include "base/arena.h"
#include "base/attr.h"
#include "cache/cache.h"

/* A copy of @from that lives as long as @arena. */
struct cache_reply cache_reply_copy(const redisReply *from, struct arena *arena);

/* 0, or -ERR_REFUSED with Redis' words in @err. */
NODISCARD int cache_reply_check(const redisReply *reply, struct err *err);

/* What Redis says on a connection that listens to channels. */
struct cache_word {
    bool is_message;      /* else the subscription began */
    struct bytes channel; /* both borrowed from the reply */
    struct bytes message;
};

/* ["message", channel, text] or ["subscribe", channel, number]; false for anything else, such as
 * ["unsubscribe", ...] and ["pong", ""]. */
bool cache_word_read(const redisReply *reply, struct cache_word *out);

/* 0, or -ERR_LIMIT for a command of @n parts that is more than cache.h allows. */
NODISCARD int cache_command_check(const struct bytes *parts, size_t n, struct err *err);

/* Fill @parts (CACHE_COMMAND_ARGS_MAX + 1) with the texts of the list @texts that ends with NULL;
 * returns how many. */
size_t cache_command_parts(const char *const *texts, struct bytes *parts);

#endif
