#include "ingress/rate.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "crypto/crypto.h"
#include "ingress/bucket.h"

/* bucket.c in Lua. Tokens in thousandths, fractions kept: what comes between two hurried calls adds
 * up. ARGV[3] is what to take, negative to give. */
static const char script[] =
    "local t = redis.call('TIME') "
    "local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    "local per_min = tonumber(ARGV[1]) "
    "local full = per_min * 1000 "
    "local cost = tonumber(ARGV[3]) "
    "local b = redis.call('HMGET', KEYS[1], 'tokens', 'at') "
    "local tokens = tonumber(b[1]) or full "
    "local at = tonumber(b[2]) or now "
    "tokens = math.min(full, tokens + math.max(0, now - at) * per_min / 60 + math.max(0, -cost)) "
    "local wait = 0 "
    "if tokens < cost then wait = math.ceil((cost - tokens) * 60 / per_min) "
    "elseif cost > 0 then tokens = tokens - cost end "
    "redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now)) "
    "redis.call('PEXPIRE', KEYS[1], ARGV[2]) "
    "return wait";

#define TAKE "1000"
#define GIVE "-1000"

struct rate {
    struct cache_pool *cache;
    uint8_t key[CRYPTO_SHA256];
    pthread_mutex_t lock;
    struct bucket local[RATE_SLOTS]; /* under the lock; names that meet in one share it */
};

struct rate *rate_new(struct cache_pool *cache, struct bytes secret)
{
    static const char label[] = "ingress.rate";
    struct rate *rate = mem_new0(sizeof(*rate));

    rate->cache = cache;
    crypto_hmac(secret, (struct bytes){(const uint8_t *)label, sizeof(label)}, rate->key);
    (void)pthread_mutex_init(&rate->lock, NULL);
    return rate;
}

void rate_free(struct rate **rate)
{
    if (*rate != NULL) {
        (void)pthread_mutex_destroy(&(*rate)->lock);
        mem_wipe((*rate)->key, sizeof((*rate)->key));
        free(*rate);
        *rate = NULL;
    }
}

uint64_t rate_hash(const struct rate *rate, const char *kind, const char *of)
{
    uint8_t digest[CRYPTO_SHA256];
    struct buf text = {0};
    uint64_t hash = 0;

    buf_addf(&text, "%s\n%s", kind, of);
    crypto_hmac((struct bytes){rate->key, sizeof(rate->key)}, buf_bytes(&text), digest);
    memcpy(&hash, digest, sizeof(hash));
    buf_done(&text);
    return hash;
}

void rate_slot(const struct rate *rate, const char *kind, const char *of, char out[RATE_NAME_MAX])
{
    (void)snprintf(out, RATE_NAME_MAX, "slot:%u",
                   (unsigned)(rate_hash(rate, kind, of) % RATE_SLOTS));
}

static struct bucket *local_bucket(struct rate *rate, const char *name)
{
    return &rate->local[rate_hash(rate, "local", name) % RATE_SLOTS];
}

/* *@wait_ms: until there is a token; 0: it was taken, or given. False: Redis is away. */
static bool ask_redis(struct rate *rate, const char *name, int64_t per_min, const char *cost,
                      int64_t *wait_ms)
{
    const struct cache_key key = cache_key_rate(name);
    struct arena arena = {0};
    struct cache_reply reply = {0};
    char number[24];
    char ttl[24];
    const char *parts[] = {"EVAL", script, "1", key.text, number, ttl, cost, NULL};
    bool is_there;

    (void)snprintf(number, sizeof(number), "%lld", (long long)per_min);
    (void)snprintf(ttl, sizeof(ttl), "%d", CACHE_RATE_TTL_MS);
    is_there = cache_pool_command_text(rate->cache, parts, &arena, &reply, NULL) == 0 &&
               reply.kind == CACHE_INT;
    *wait_ms = is_there ? reply.number : 0;
    arena_done(&arena);
    return is_there;
}

int rate_take(struct rate *rate, const char *name, int64_t per_min)
{
    int64_t wait_ms = 0;

    if (per_min == 0) {
        return 0;
    }
    if (!ask_redis(rate, name, per_min, TAKE, &wait_ms)) {
        (void)pthread_mutex_lock(&rate->lock);
        wait_ms = bucket_take(local_bucket(rate, name), per_min, clock_mono_ms());
        (void)pthread_mutex_unlock(&rate->lock);
    }
    return (int)((wait_ms + 999) / 1000);
}

void rate_give(struct rate *rate, const char *name, int64_t per_min)
{
    int64_t wait_ms;

    if (per_min != 0 && !ask_redis(rate, name, per_min, GIVE, &wait_ms)) {
        (void)pthread_mutex_lock(&rate->lock);
        bucket_give(local_bucket(rate, name), per_min, clock_mono_ms());
        (void)pthread_mutex_unlock(&rate->lock);
    }
}
