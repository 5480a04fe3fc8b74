/* Channels, over a connection of their own because Redis takes no commands on one that listens. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cache/cache_internal.h"
#include "cache/cache_reply.h"

enum { PING_EVERY_MS = 5000 };

struct cache_subscription {
    struct cache *cache;
    struct channel *channel;
    struct cache_listener listener;
    bool is_gone; /* unsubscribed while it is being called */
    struct cache_subscription *next;
};

struct channel {
    char *name;
    struct cache_subscription *subscriptions;
    bool is_on; /* Redis confirmed it on this connection */
    unsigned calling;
    struct channel *next;
};

static void say(struct cache *cache, const char *word, const char *channel)
{
    struct bytes parts[2] = {{(const uint8_t *)word, strlen(word)}, {0}};

    if (cache_link_is_up(cache->channel_link)) {
        if (channel != NULL) {
            parts[1] = (struct bytes){(const uint8_t *)channel, strlen(channel)};
        }
        cache_link_send(cache->channel_link, parts, channel == NULL ? 1 : 2);
    }
}

/* Frees what was unsubscribed while callbacks ran, and the channel when nobody listens any more. */
static void sweep(struct cache *cache, struct channel *channel)
{
    struct cache_subscription **at = &channel->subscriptions;

    if (channel->calling > 0) {
        return;
    }
    while (*at != NULL) {
        struct cache_subscription *subscription = *at;

        if (subscription->is_gone) {
            *at = subscription->next;
            free(subscription);
        } else {
            at = &subscription->next;
        }
    }
    if (channel->subscriptions == NULL) {
        struct channel **link = &cache->channels;

        while (*link != channel) {
            link = &(*link)->next;
        }
        *link = channel->next;
        say(cache, "UNSUBSCRIBE", channel->name);
        free(channel->name);
        free(channel);
    }
}

/* @message NULL: the subscription began. */
static void call_all(struct cache *cache, struct channel *channel, const struct bytes *message)
{
    channel->calling++;
    for (struct cache_subscription *s = channel->subscriptions; s != NULL && !cache->is_closed;
         s = s->next) {
        if (s->is_gone) {
            continue;
        }
        if (message != NULL) {
            s->listener.message(*message, s->listener.ctx);
        } else if (s->listener.began != NULL) {
            s->listener.began(s->listener.ctx);
        }
    }
    channel->calling--;
    if (!cache->is_closed) {
        sweep(cache, channel);
    }
}

static struct channel *find_channel(const struct cache *cache, struct bytes name)
{
    struct channel *channel = cache->channels;

    while (channel != NULL &&
           (strlen(channel->name) != name.n || memcmp(channel->name, name.p, name.n) != 0)) {
        channel = channel->next;
    }
    return channel;
}

static void on_up(void *ctx)
{
    struct cache *cache = ctx;

    cache->is_pinged = false;
    for (struct channel *channel = cache->channels; channel != NULL; channel = channel->next) {
        say(cache, "SUBSCRIBE", channel->name);
    }
}

static void on_reply(const redisReply *reply, void *ctx)
{
    struct cache *cache = ctx;
    struct cache_word word;
    struct channel *channel;

    cache->is_pinged = false;
    if (!cache_word_read(reply, &word)) {
        return;
    }
    channel = find_channel(cache, word.channel);
    if (channel == NULL) {
        return;
    }
    if (word.is_message) {
        call_all(cache, channel, &word.message);
    } else if (!channel->is_on) {
        channel->is_on = true;
        call_all(cache, channel, NULL);
    }
}

static void on_down(const struct err *err, bool was_up, void *ctx)
{
    struct cache *cache = ctx;

    (void)err; /* the connection for commands tells */
    (void)was_up;
    for (struct channel *channel = cache->channels; channel != NULL; channel = channel->next) {
        channel->is_on = false;
    }
}

static void on_ping(struct loop_timer *timer, void *ctx)
{
    struct cache *cache = ctx;
    struct err err;

    loop_timer_start(cache->loop, timer, PING_EVERY_MS, on_ping, cache);
    if (!cache_link_is_up(cache->channel_link)) {
        return;
    }
    if (cache->is_pinged) {
        (void)err_set(&err, ERR_TIMEOUT, "redis: no answer to a ping");
        cache_link_drop(cache->channel_link, &err);
        return;
    }
    cache->is_pinged = true;
    say(cache, "PING", NULL);
}

static void open_link(struct cache *cache)
{
    const struct cache_link_events events = {on_up, on_reply, on_down, cache};

    if (cache->channel_link == NULL) {
        if (cache_link_new(cache->loop, cache->url, cache->timeout_ms, &events,
                           &cache->channel_link, NULL) < 0) {
            abort(); /* the same url was read before */
        }
        loop_timer_start(cache->loop, &cache->ping, PING_EVERY_MS, on_ping, cache);
    }
}

struct cache_subscription *cache_subscribe(struct cache *cache, const char *channel_name,
                                           const struct cache_listener *listener)
{
    struct cache_subscription *subscription = mem_new0(sizeof(*subscription));
    const struct bytes name = {(const uint8_t *)channel_name, strlen(channel_name)};
    struct channel *channel = find_channel(cache, name);

    open_link(cache);
    if (channel == NULL) {
        channel = mem_new0(sizeof(*channel));
        channel->name = mem_strdup(channel_name);
        channel->next = cache->channels;
        cache->channels = channel;
    } else {
        channel->is_on = false; /* asked again, so that the new one hears when it began */
    }
    subscription->cache = cache;
    subscription->channel = channel;
    subscription->listener = *listener;
    subscription->next = channel->subscriptions;
    channel->subscriptions = subscription;
    say(cache, "SUBSCRIBE", channel_name);
    return subscription;
}

void cache_unsubscribe(struct cache_subscription **subscription)
{
    struct cache_subscription *gone = *subscription;

    *subscription = NULL;
    if (gone != NULL) {
        gone->is_gone = true;
        sweep(gone->cache, gone->channel);
    }
}

void cache_channels_done(struct cache *cache)
{
    while (cache->channels != NULL) {
        struct channel *channel = cache->channels;

        cache->channels = channel->next;
        while (channel->subscriptions != NULL) {
            struct cache_subscription *subscription = channel->subscriptions;

            channel->subscriptions = subscription->next;
            free(subscription);
        }
        free(channel->name);
        free(channel);
    }
}
