/* cache_internal: what the files of this folder share. */
#ifndef CACHE_CACHE_INTERNAL_H
#define CACHE_CACHE_INTERNAL_H

#include "base/arena.h"
#include "cache/cache.h"
#include "cache/cache_link.h"
#include "loop/loop.h"

struct pending { /* one command */
    cache_reply_cb *fn;
    void *ctx;
    int64_t until_ms;
    int rc;
    struct pending *next;
};

struct pending_list {
    struct pending *first;
    struct pending *last;
    size_t n;
};

struct channel;

struct cache {
    struct loop *loop;
    char *url;
    int64_t timeout_ms;
    struct cache_events events;
    struct cache_link *link; /* for commands */
    struct pending_list sent;
    struct pending_list refused;
    struct loop_timer late;
    struct arena scratch;
    bool is_told; /* trouble was told at least once */
    bool is_closed;

    struct cache_link *channel_link; /* made with the first subscription */
    struct channel *channels;
    struct loop_timer ping; /* finds out that a quiet connection is dead */
    bool is_pinged;
};

void cache_channels_done(struct cache *cache);

#endif
