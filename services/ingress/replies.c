#include "ingress/replies.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"

struct replies {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct replies_wait *first;
    struct cache_subscription *verdicts;
    struct cache_subscription *applied;
};

/* ---- under the lock ---- */

static void set_verdict(struct replies *replies, const struct kept_verdict *verdict)
{
    for (struct replies_wait *w = replies->first; w != NULL; w = w->next) {
        if (!w->has_verdict && strcmp(w->command_id, verdict->command_id) == 0) {
            w->verdict = *verdict;
            w->has_verdict = true;
        }
    }
}

static void set_applied(struct replies_wait *wait, int64_t sequence)
{
    wait->applied = sequence > wait->applied ? sequence : wait->applied;
}

/* ---- what the channels say, on the loop ---- */

static void on_verdict(struct bytes message, void *ctx)
{
    struct replies *replies = ctx;
    struct kept_verdict verdict;

    if (kept_read_verdict(message, &verdict)) {
        replies_put_verdict(replies, &verdict);
    } else {
        log_warn("a reply that is not one", LOG_INT("bytes", message.n));
    }
}

static void on_applied(struct bytes message, void *ctx)
{
    struct replies *replies = ctx;
    struct kept_applied applied;

    (void)pthread_mutex_lock(&replies->lock);
    while (kept_next_applied(&message, &applied)) {
        for (struct replies_wait *w = replies->first; w != NULL; w = w->next) {
            if (strcmp(w->aggregate_id, applied.aggregate_id) == 0) {
                set_applied(w, applied.sequence);
            }
        }
    }
    (void)pthread_cond_broadcast(&replies->changed);
    (void)pthread_mutex_unlock(&replies->lock);
}

/* ---- interface ---- */

struct replies *replies_new(struct cache *channels, const char *instance_id)
{
    struct replies *replies = mem_new0(sizeof(*replies));
    const struct cache_key own = cache_channel_replies(instance_id);
    const struct cache_key all = cache_channel_applied();
    const struct cache_listener verdicts = {.message = on_verdict, .ctx = replies};
    const struct cache_listener applied = {.message = on_applied, .ctx = replies};
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&replies->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&replies->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    replies->verdicts = cache_subscribe(channels, own.text, &verdicts);
    replies->applied = cache_subscribe(channels, all.text, &applied);
    return replies;
}

void replies_free(struct replies **owner)
{
    struct replies *replies = *owner;

    if (replies != NULL) {
        cache_unsubscribe(&replies->verdicts);
        cache_unsubscribe(&replies->applied);
        (void)pthread_cond_destroy(&replies->changed);
        (void)pthread_mutex_destroy(&replies->lock);
        free(replies);
        *owner = NULL;
    }
}

void replies_begin(struct replies *replies, struct replies_wait *wait, const char *command_id,
                   const char *aggregate_id)
{
    *wait = (struct replies_wait){0};
    (void)snprintf(wait->command_id, sizeof(wait->command_id), "%s", command_id);
    (void)snprintf(wait->aggregate_id, sizeof(wait->aggregate_id), "%s", aggregate_id);
    (void)pthread_mutex_lock(&replies->lock);
    wait->next = replies->first;
    replies->first = wait;
    (void)pthread_mutex_unlock(&replies->lock);
}

void replies_end(struct replies *replies, struct replies_wait *wait)
{
    (void)pthread_mutex_lock(&replies->lock);
    for (struct replies_wait **at = &replies->first; *at != NULL; at = &(*at)->next) {
        if (*at == wait) {
            *at = wait->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&replies->lock);
}

/* Waits under the lock. False when the time is past. */
static bool wait_until(struct replies *replies, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = until_ms / 1000,
                                   .tv_nsec = (until_ms % 1000) * 1000000L};

    return clock_mono_ms() < until_ms &&
           pthread_cond_timedwait(&replies->changed, &replies->lock, &until) == 0;
}

bool replies_verdict(struct replies *replies, struct replies_wait *wait, int64_t until_ms)
{
    bool is_there;

    (void)pthread_mutex_lock(&replies->lock);
    while (!wait->has_verdict && wait_until(replies, until_ms)) {
    }
    is_there = wait->has_verdict;
    (void)pthread_mutex_unlock(&replies->lock);
    return is_there;
}

bool replies_applied(struct replies *replies, struct replies_wait *wait, int64_t sequence,
                     int64_t until_ms)
{
    bool is_there;

    (void)pthread_mutex_lock(&replies->lock);
    while (wait->applied < sequence && wait_until(replies, until_ms)) {
    }
    is_there = wait->applied >= sequence;
    (void)pthread_mutex_unlock(&replies->lock);
    return is_there;
}

void replies_put_verdict(struct replies *replies, const struct kept_verdict *verdict)
{
    (void)pthread_mutex_lock(&replies->lock);
    set_verdict(replies, verdict);
    (void)pthread_cond_broadcast(&replies->changed);
    (void)pthread_mutex_unlock(&replies->lock);
}

void replies_put_applied(struct replies *replies, struct replies_wait *wait, int64_t sequence)
{
    (void)pthread_mutex_lock(&replies->lock);
    set_applied(wait, sequence);
    (void)pthread_mutex_unlock(&replies->lock);
}
