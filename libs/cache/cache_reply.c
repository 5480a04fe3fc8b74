#include "cache/cache_reply.h"

#include <string.h>

#include "base/err.h"

struct cache_reply cache_reply_copy(const redisReply *from, struct arena *arena)
{
    struct cache_reply reply = {.kind = CACHE_NIL};
    struct cache_reply *items;

    switch (from->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        reply.kind = CACHE_TEXT;
        reply.text.p = (const uint8_t *)arena_strndup(arena, from->str, (size_t)from->len);
        reply.text.n = (size_t)from->len;
        break;
    case REDIS_REPLY_INTEGER:
        reply.kind = CACHE_INT;
        reply.number = from->integer;
        break;
    case REDIS_REPLY_ARRAY:
        reply.kind = CACHE_LIST;
        reply.n = from->elements;
        items = arena_array0(arena, reply.n, sizeof(*items));
        for (size_t i = 0; i < reply.n; i++) {
            items[i] = cache_reply_copy(from->element[i], arena);
        }
        reply.items = items;
        break;
    default:
        break;
    }
    return reply;
}

int cache_reply_check(const redisReply *reply, struct err *err)
{
    if (reply->type != REDIS_REPLY_ERROR) {
        return 0;
    }
    return err_set(err, ERR_REFUSED, "redis: %.*s", (int)(reply->len < 120 ? reply->len : 120),
                   reply->str);
}

static struct bytes text_of(const redisReply *reply)
{
    return (struct bytes){(const uint8_t *)reply->str, (size_t)reply->len};
}

static bool is_word(const redisReply *reply, const char *word)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, word) == 0;
}

bool cache_word_read(const redisReply *reply, struct cache_word *out)
{
    bool is_message;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        return false;
    }
    is_message = is_word(reply->element[0], "message");
    if (is_message ? reply->element[2]->type != REDIS_REPLY_STRING
                   : !is_word(reply->element[0], "subscribe")) {
        return false;
    }
    *out = (struct cache_word){.is_message = is_message, .channel = text_of(reply->element[1])};
    if (is_message) {
        out->message = text_of(reply->element[2]);
    }
    return true;
}

int cache_command_check(const struct bytes *parts, size_t n, struct err *err)
{
    size_t bytes = 0;

    if (n == 0 || n > CACHE_COMMAND_ARGS_MAX) {
        return err_set(err, ERR_LIMIT, "redis: a command of %zu parts, at most %d", n,
                       CACHE_COMMAND_ARGS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        bytes += parts[i].n;
    }
    if (bytes > CACHE_COMMAND_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "redis: a command of %zu bytes, at most %d", bytes,
                       CACHE_COMMAND_BYTES_MAX);
    }
    return 0;
}

size_t cache_command_parts(const char *const *texts, struct bytes *parts)
{
    size_t n = 0;

    for (; texts[n] != NULL && n <= CACHE_COMMAND_ARGS_MAX; n++) {
        parts[n] = (struct bytes){(const uint8_t *)texts[n], strlen(texts[n])};
    }
    return n;
}
