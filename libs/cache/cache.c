#include "cache/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "cache/cache_internal.h"
#include "cache/cache_reply.h"
#include "loop/loop.h"

enum { DEFAULT_TIMEOUT_MS = 2000 };

/* ---- commands ---- */

static void tell(struct pending *pending, int rc, const struct cache_reply *reply)
{
    struct pending kept = *pending;

    free(pending);
    if (kept.fn != NULL) {
        kept.fn(rc, reply, kept.ctx);
    }
}

static struct pending *take_first(struct pending_list *list)
{
    struct pending *first = list->first;

    list->first = first->next;
    if (list->first == NULL) {
        list->last = NULL;
    }
    list->n--;
    return first;
}

static void add_last(struct pending_list *list, struct pending *pending)
{
    if (list->last == NULL) {
        list->first = pending;
    } else {
        list->last->next = pending;
    }
    list->last = pending;
    list->n++;
}

/* Commands that ended before they were sent: told at the end of the turn. */
static void tell_refused(void *ctx)
{
    struct cache *cache = ctx;

    while (!cache->is_closed && cache->refused.first != NULL) {
        struct pending *pending = take_first(&cache->refused);

        tell(pending, pending->rc, NULL);
    }
}

static void refuse(struct cache *cache, int rc, cache_reply_cb *fn, void *ctx)
{
    struct pending *pending;

    if (fn == NULL) {
        return;
    }
    pending = mem_new0(sizeof(*pending));
    *pending = (struct pending){.fn = fn, .ctx = ctx, .rc = rc};
    add_last(&cache->refused, pending);
    loop_defer(cache->loop, tell_refused, cache);
}

static void on_late(struct loop_timer *timer, void *ctx)
{
    struct cache *cache = ctx;
    struct err err;

    (void)timer;
    (void)err_set(&err, ERR_UNCERTAIN, "redis: no answer within %" PRId64 " ms", cache->timeout_ms);
    cache_link_drop(cache->link, &err);
}

/* Answers come in order, so only the oldest command's time counts. */
static void watch_oldest(struct cache *cache)
{
    int64_t left;

    if (cache->sent.first == NULL) {
        loop_timer_stop(&cache->late);
        return;
    }
    left = cache->sent.first->until_ms - loop_now_ms(cache->loop);
    loop_timer_start(cache->loop, &cache->late, left > 0 ? left : 0, on_late, cache);
}

void cache_command(struct cache *cache, const struct bytes *parts, size_t n, cache_reply_cb *fn,
                   void *ctx)
{
    struct pending *pending;
    int rc = cache_command_check(parts, n, NULL);

    if (rc == 0 && !cache_link_is_up(cache->link)) {
        rc = -ERR_CLOSED;
    }
    if (rc == 0 && cache->sent.n >= CACHE_PENDING_MAX) {
        rc = -ERR_LIMIT;
    }
    if (rc < 0) {
        refuse(cache, rc, fn, ctx);
        return;
    }
    pending = mem_new0(sizeof(*pending));
    *pending = (struct pending){
        .fn = fn, .ctx = ctx, .until_ms = loop_now_ms(cache->loop) + cache->timeout_ms};
    add_last(&cache->sent, pending);
    if (cache->sent.n == 1) {
        watch_oldest(cache);
    }
    cache_link_send(cache->link, parts, n);
}

static void on_up(void *ctx)
{
    struct cache *cache = ctx;

    if (cache->events.connected != NULL) {
        cache->events.connected(cache->events.ctx);
    }
}

static void on_reply(const redisReply *reply, void *ctx)
{
    struct cache *cache = ctx;
    struct pending *pending;
    struct cache_reply copy;
    struct err err;
    int rc;

    if (cache->sent.first == NULL) { /* nobody asked: the connection is out of step */
        (void)err_set(&err, ERR_EXTERNAL, "redis: an answer to nothing");
        cache_link_drop(cache->link, &err);
        return;
    }
    pending = take_first(&cache->sent);
    watch_oldest(cache);
    rc = cache_reply_check(reply, NULL);
    if (rc < 0 || pending->fn == NULL) {
        tell(pending, rc, NULL);
        return;
    }
    arena_reset(&cache->scratch);
    copy = cache_reply_copy(reply, &cache->scratch);
    tell(pending, 0, &copy);
}

static void on_down(const struct err *err, bool was_up, void *ctx)
{
    struct cache *cache = ctx;
    struct pending_list lost = cache->sent;

    cache->sent = (struct pending_list){0};
    loop_timer_stop(&cache->late);
    if ((was_up || !cache->is_told) && cache->events.trouble != NULL) {
        cache->events.trouble(err, cache->events.ctx);
    }
    cache->is_told = true;
    while (lost.first != NULL) {
        struct pending *pending = take_first(&lost);

        if (cache->is_closed) {
            free(pending);
        } else {
            tell(pending, -ERR_UNCERTAIN, NULL);
        }
    }
}

/* ---- life ---- */

int cache_new(struct loop *loop, const struct cache_options *options, struct cache **out,
              struct err *err)
{
    struct cache *cache = mem_new0(sizeof(*cache));
    const struct cache_link_events events = {on_up, on_reply, on_down, cache};
    int rc;

    cache->loop = loop;
    cache->url = mem_strdup(options->url);
    cache->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    cache->events = options->events;
    rc = cache_link_new(loop, cache->url, cache->timeout_ms, &events, &cache->link, err);
    if (rc < 0) {
        free(cache->url);
        free(cache);
        return rc;
    }
    *out = cache;
    return 0;
}

bool cache_is_connected(const struct cache *cache)
{
    return cache_link_is_up(cache->link);
}

static void free_all(struct pending_list *list)
{
    while (list->first != NULL) {
        free(take_first(list));
    }
}

static void free_cache(void *ctx)
{
    struct cache *cache = ctx;

    free_all(&cache->sent);
    free_all(&cache->refused);
    cache_channels_done(cache);
    arena_done(&cache->scratch);
    mem_wipe(cache->url, strlen(cache->url));
    free(cache->url);
    free(cache);
}

void cache_close(struct cache **cache)
{
    struct cache *closing = *cache;

    *cache = NULL;
    if (closing == NULL) {
        return;
    }
    closing->is_closed = true;
    loop_timer_stop(&closing->late);
    loop_timer_stop(&closing->ping);
    cache_link_close(&closing->link);
    cache_link_close(&closing->channel_link);
    loop_defer(closing->loop, free_cache, closing); /* one of its callbacks may be on the stack */
}

/* ---- shorter ways to say it ---- */

void cache_command_text(struct cache *cache, const char *const *parts, cache_reply_cb *fn,
                        void *ctx)
{
    struct bytes all[CACHE_COMMAND_ARGS_MAX + 1];

    cache_command(cache, all, cache_command_parts(parts, all), fn, ctx);
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

void cache_set(struct cache *cache, const char *key, struct bytes value, int64_t ttl_ms,
               cache_reply_cb *fn, void *ctx)
{
    char ttl[24];
    const struct bytes parts[] = {
        text_bytes("SET"), text_bytes(key), value, text_bytes("PX"), {(const uint8_t *)ttl, 0}};
    struct bytes all[5];

    memcpy(all, parts, sizeof(all));
    all[4].n = (size_t)snprintf(ttl, sizeof(ttl), "%" PRId64, ttl_ms);
    cache_command(cache, all, 5, fn, ctx);
}

void cache_get(struct cache *cache, const char *key, cache_reply_cb *fn, void *ctx)
{
    cache_command_text(cache, (const char *const[]){"GET", key, NULL}, fn, ctx);
}

void cache_del(struct cache *cache, const char *key, cache_reply_cb *fn, void *ctx)
{
    cache_command_text(cache, (const char *const[]){"DEL", key, NULL}, fn, ctx);
}

void cache_publish(struct cache *cache, const char *channel, struct bytes message,
                   cache_reply_cb *fn, void *ctx)
{
    const struct bytes parts[] = {text_bytes("PUBLISH"), text_bytes(channel), message};

    cache_command(cache, parts, 3, fn, ctx);
}
