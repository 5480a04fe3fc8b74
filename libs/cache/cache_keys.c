#include "cache/cache_keys.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/uuid.h"

static struct cache_key format(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* What a client chose may be of any length: a key that is too long ends in a hash of all of it. */
static struct cache_key shorten(const char *whole, struct cache_key cut)
{
    struct uuid hash = uuid_v5("cache:%s", whole);

    (void)snprintf(cut.text + sizeof(cut.text) - sizeof(hash.text), sizeof(hash.text), "%s",
                   hash.text);
    return cut;
}

static struct cache_key format(const char *fmt, ...)
{
    struct cache_key key;
    char whole[4096];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(whole, sizeof(whole), fmt, args);
    va_end(args);
    if ((size_t)snprintf(key.text, sizeof(key.text), "%.*s", CACHE_KEY_MAX - 1, whole) <
        strlen(whole)) {
        return shorten(whole, key);
    }
    return key;
}

struct cache_key cache_key_runtime(const char *session_uuid)
{
    return format("sess:%s:rt", session_uuid);
}

struct cache_key cache_key_qr(const char *session_uuid)
{
    return format("sess:%s:qr", session_uuid);
}

struct cache_key cache_key_watch(const char *session_uuid)
{
    return format("sess:%s:watch", session_uuid);
}

struct cache_key cache_channel_session(const char *session_uuid)
{
    return format("sess:%s", session_uuid);
}

struct cache_key cache_key_reply(const char *command_id)
{
    return format("reply:%s", command_id);
}

struct cache_key cache_channel_replies(const char *instance_id)
{
    return format("replies:%s", instance_id);
}

struct cache_key cache_key_applied(const char *aggregate_id)
{
    return format("applied:%s", aggregate_id);
}

struct cache_key cache_channel_applied(void)
{
    return format("applied");
}

struct cache_key cache_key_idempotency(int64_t user_id, const char *key)
{
    return format("idem:%" PRId64 ":%s", user_id, key);
}

struct cache_key cache_key_rate(const char *principal)
{
    return format("rl:api:%s", principal);
}

struct cache_key cache_key_api_key(const char *sha256_hex)
{
    return format("key:%s", sha256_hex);
}

struct cache_key cache_key_known(uint64_t who)
{
    return format("known:%016" PRIx64, who);
}
