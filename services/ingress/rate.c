#include "ingress/rate.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"

enum { LOCAL_BUCKETS = 1024, NAME_MAX_BYTES = 64 };

/* tokens in thousandths, so that slow rates add up too */
static const char script[] =
    "local t = redis.call('TIME') "
    "local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    "local per_min = tonumber(ARGV[1]) "
    "local full = per_min * 1000 "
    "local b = redis.call('HMGET', KEYS[1], 'tokens', 'at') "
    "local tokens = tonumber(b[1]) or full "
    "local at = tonumber(b[2]) or now "
    "tokens = math.min(full, tokens + math.max(0, now - at) * per_min / 60) "
    "local wait = 0 "
    "if tokens >= 1000 then tokens = tokens - 1000 "
    "else wait = math.ceil((1000 - tokens) * 60 / per_min) end "
    "redis.call('HSET', KEYS[1], 'tokens', tostring(math.floor(tokens)), 'at', tostring(now)) "
    "redis.call('PEXPIRE', KEYS[1], ARGV[2]) "
    "return wait";

struct bucket {
    char name[NAME_MAX_BYTES];
    int64_t milli_tokens;
    int64_t at_ms;
};

struct rate {
    struct cache_pool *cache;
    pthread_mutex_t lock;
    struct bucket local[LOCAL_BUCKETS]; /* by a hash of the name; a clash empties the older one */
};

struct rate *rate_new(struct cache_pool *cache)
{
    struct rate *rate = mem_new0(sizeof(*rate));

    rate->cache = cache;
    (void)pthread_mutex_init(&rate->lock, NULL);
    return rate;
}

void rate_free(struct rate **rate)
{
    if (*rate != NULL) {
        (void)pthread_mutex_destroy(&(*rate)->lock);
        free(*rate);
        *rate = NULL;
    }
}

static struct bucket *local_bucket(struct rate *rate, const char *name, int64_t full)
{
    uint32_t hash = 2166136261U;
    struct bucket *bucket;

    for (const char *c = name; *c != 0; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619U;
    }
    bucket = &rate->local[hash % LOCAL_BUCKETS];
    if (strncmp(bucket->name, name, sizeof(bucket->name) - 1) != 0) {
        (void)snprintf(bucket->name, sizeof(bucket->name), "%s", name);
        bucket->milli_tokens = full;
        bucket->at_ms = clock_mono_ms();
    }
    return bucket;
}

/* The wait in milliseconds. */
static int64_t take_local(struct rate *rate, const char *name, int64_t per_min)
{
    int64_t full = per_min * 1000;
    int64_t now = clock_mono_ms();
    int64_t wait_ms = 0;
    struct bucket *b;

    (void)pthread_mutex_lock(&rate->lock);
    b = local_bucket(rate, name, full);
    b->milli_tokens += (now - b->at_ms) * per_min / 60;
    b->milli_tokens = b->milli_tokens > full ? full : b->milli_tokens;
    b->at_ms = now;
    if (b->milli_tokens >= 1000) {
        b->milli_tokens -= 1000;
    } else {
        wait_ms = (1000 - b->milli_tokens) * 60 / per_min + 1;
    }
    (void)pthread_mutex_unlock(&rate->lock);
    return wait_ms;
}

static bool take_shared(struct rate *rate, const char *name, int64_t per_min, int64_t *wait_ms)
{
    const struct cache_key key = cache_key_rate(name);
    struct arena arena = {0};
    struct cache_reply reply = {0};
    char number[24];
    char ttl[24];
    const char *parts[] = {"EVAL", script, "1", key.text, number, ttl, NULL};
    bool is_there;

    (void)snprintf(number, sizeof(number), "%lld", (long long)per_min);
    (void)snprintf(ttl, sizeof(ttl), "%d", CACHE_RATE_TTL_MS);
    is_there = cache_pool_command_text(rate->cache, parts, &arena, &reply, NULL) == 0 &&
               reply.kind == CACHE_INT;
    *wait_ms = is_there ? reply.number : 0;
    arena_done(&arena);
    return is_there;
}

int rate_take(struct rate *rate, const char *principal, int64_t per_min)
{
    int64_t wait_ms = 0;

    if (per_min == 0) {
        return 0;
    }
    if (!take_shared(rate, principal, per_min, &wait_ms)) {
        wait_ms = take_local(rate, principal, per_min);
    }
    return (int)((wait_ms + 999) / 1000);
}
