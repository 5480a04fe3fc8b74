#include "cache/cache_pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/err.h"
#include "cache/cache_reply.h"
#include "cache/cache_url.h"

enum { DEFAULT_TIMEOUT_MS = 500, DEFAULT_CONNECTIONS = 8, AWAY_MS = 1000 };

struct cache_pool {
    struct cache_url url;
    int64_t timeout_ms;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t freed;
    redisContext **idle;
    size_t n_idle;
    size_t n_open; /* idle and in use */
    size_t most;
    bool is_away;         /* the last try to connect failed */
    int64_t try_again_ms; /* then: no other before */
};

int cache_pool_new(const struct cache_pool_options *options, struct cache_pool **out,
                   struct err *err)
{
    struct cache_pool *pool = mem_new0(sizeof(*pool));
    pthread_condattr_t attributes;
    int rc = cache_url_parse(options->url, &pool->url, err);

    if (rc < 0) {
        free(pool);
        return rc;
    }
    pool->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    pool->most = options->connections > 0 ? options->connections : DEFAULT_CONNECTIONS;
    pool->idle = mem_array0(pool->most, sizeof(void *));
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->freed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    *out = pool;
    return 0;
}

void cache_pool_free(struct cache_pool **pool)
{
    struct cache_pool *gone = *pool;

    *pool = NULL;
    if (gone == NULL) {
        return;
    }
    for (size_t i = 0; i < gone->n_idle; i++) {
        redisFree(gone->idle[i]);
    }
    free(gone->idle);
    (void)pthread_cond_destroy(&gone->freed);
    (void)pthread_mutex_destroy(&gone->lock);
    cache_url_done(&gone->url);
    free(gone);
}

/* ---- one connection ---- */

static int log_in(redisContext *client, const struct cache_url *url, struct err *err)
{
    redisReply *reply = NULL;
    int rc = 0;

    if (url->password != NULL) {
        reply = url->user != NULL ? redisCommand(client, "AUTH %s %s", url->user, url->password)
                                  : redisCommand(client, "AUTH %s", url->password);
        rc = reply == NULL ? err_set(err, ERR_CLOSED, "redis: logging in: %s", client->errstr)
                           : cache_reply_check(reply, err);
        freeReplyObject(reply);
    }
    if (rc == 0) {
        reply = redisCommand(client, "SELECT %d", url->database);
        rc = reply == NULL ? err_set(err, ERR_CLOSED, "redis: select: %s", client->errstr)
                           : cache_reply_check(reply, err);
        freeReplyObject(reply);
    }
    return rc;
}

static int connect_one(const struct cache_pool *pool, redisContext **out, struct err *err)
{
    struct timeval timeout = {pool->timeout_ms / 1000, (pool->timeout_ms % 1000) * 1000};
    int64_t port = strtol(pool->url.port, NULL, 10);
    redisContext *client = pool->url.path != NULL
                               ? redisConnectUnixWithTimeout(pool->url.path, timeout)
                               : redisConnectWithTimeout(pool->url.host, (int)port, timeout);
    int rc = 0;

    if (client == NULL || client->err != 0) {
        rc = err_set(err, ERR_CLOSED, "redis: %s", client == NULL ? "no memory" : client->errstr);
    } else if (redisSetTimeout(client, timeout) != REDIS_OK) {
        rc = err_set(err, ERR_CLOSED, "redis: %s", client->errstr);
    } else {
        rc = log_in(client, &pool->url, err);
    }
    if (rc < 0) {
        if (client != NULL) {
            redisFree(client);
        }
        return rc;
    }
    *out = client;
    return 0;
}

/* Nothing is to be read from one that nobody uses: what can be read is its end. */
static bool is_alive(const redisContext *client)
{
    struct pollfd look = {.fd = client->fd, .events = POLLIN};

    return poll(&look, 1, 0) == 0;
}

/* Waits until a connection is idle or one more may be opened; *out NULL: open one. The lock is
 * held. */
static int wait_for_one(struct cache_pool *pool, redisContext **out, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + pool->timeout_ms;
    struct timespec until = {until_ms / 1000, (until_ms % 1000) * 1000000};

    while (pool->n_idle == 0 && pool->n_open >= pool->most) {
        if (pthread_cond_timedwait(&pool->freed, &pool->lock, &until) == ETIMEDOUT) {
            return err_set(err, ERR_CLOSED, "redis: all %zu connections are in use", pool->most);
        }
    }
    *out = NULL;
    while (pool->n_idle > 0) {
        *out = pool->idle[--pool->n_idle];
        if (is_alive(*out)) {
            return 0;
        }
        redisFree(*out);
        *out = NULL;
        pool->n_open--;
    }
    if (pool->is_away) {
        if (clock_mono_ms() < pool->try_again_ms) {
            return err_set(err, ERR_CLOSED, "redis: not connected");
        }
        pool->try_again_ms = clock_mono_ms() + AWAY_MS; /* this call tries, others fail at once */
    }
    pool->n_open++;
    return 0;
}

/* @client NULL: it was lost. */
static void give_back(struct cache_pool *pool, redisContext *client)
{
    (void)pthread_mutex_lock(&pool->lock);
    if (client != NULL) {
        pool->idle[pool->n_idle++] = client;
    } else {
        pool->n_open--;
    }
    (void)pthread_cond_signal(&pool->freed);
    (void)pthread_mutex_unlock(&pool->lock);
}

static int take_one(struct cache_pool *pool, redisContext **out, struct err *err)
{
    int rc;

    (void)pthread_mutex_lock(&pool->lock);
    rc = wait_for_one(pool, out, err);
    (void)pthread_mutex_unlock(&pool->lock);
    if (rc < 0 || *out != NULL) {
        return rc;
    }
    rc = connect_one(pool, out, err);
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_away = rc < 0;
    pool->try_again_ms = clock_mono_ms() + AWAY_MS;
    (void)pthread_mutex_unlock(&pool->lock);
    if (rc < 0) {
        give_back(pool, NULL);
    }
    return rc;
}

/* ---- commands ---- */

static int run(redisContext *client, const struct bytes *parts, size_t n, redisReply **out,
               struct err *err)
{
    const char *texts[CACHE_COMMAND_ARGS_MAX];
    size_t lengths[CACHE_COMMAND_ARGS_MAX];

    for (size_t i = 0; i < n; i++) {
        texts[i] = parts[i].n > 0 ? (const char *)parts[i].p : "";
        lengths[i] = parts[i].n;
    }
    *out = redisCommandArgv(client, (int)n, texts, lengths);
    return *out != NULL ? 0 : err_set(err, ERR_UNCERTAIN, "redis: %s", client->errstr);
}

int cache_pool_command(struct cache_pool *pool, const struct bytes *parts, size_t n,
                       struct arena *arena, struct cache_reply *out, struct err *err)
{
    redisContext *client = NULL;
    redisReply *reply = NULL;
    int rc = cache_command_check(parts, n, err);

    if (rc == 0) {
        rc = take_one(pool, &client, err);
    }
    if (rc < 0) {
        return rc;
    }
    rc = run(client, parts, n, &reply, err);
    if (rc < 0) {
        redisFree(client);
        give_back(pool, NULL);
        return rc;
    }
    give_back(pool, client);
    rc = cache_reply_check(reply, err);
    if (rc == 0) {
        *out = cache_reply_copy(reply, arena);
    }
    freeReplyObject(reply);
    return rc;
}

int cache_pool_command_text(struct cache_pool *pool, const char *const *parts, struct arena *arena,
                            struct cache_reply *out, struct err *err)
{
    struct bytes all[CACHE_COMMAND_ARGS_MAX + 1];

    return cache_pool_command(pool, all, cache_command_parts(parts, all), arena, out, err);
}
