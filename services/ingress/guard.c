#include "ingress/guard.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/metric.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "ingress/lanes.h"

enum {
    KNOWN_MAX = 4096, /* kept in this process, the newest of each place; all are in Redis */
    WAITING_MAX = 8,  /* threads that wait for a lane */
    LANE_WAIT_MS = 2000
};

struct guard {
    struct guard_options options;
    struct lanes *lanes;       /* of all */
    struct lanes *known_lanes; /* of those who are known, where the others are full */
    _Atomic(uint64_t) known[KNOWN_MAX];
    struct metric *wrong;
    struct metric *limited;
    struct metric *crowded;
};

struct guard *guard_new(const struct guard_options *options)
{
    struct guard *guard = mem_new0(sizeof(*guard));

    guard->options = *options;
    if (options->hash_wait_ms == 0) {
        guard->options.hash_wait_ms = LANE_WAIT_MS;
    }
    guard->lanes = lanes_new(options->hashes_at_once, WAITING_MAX);
    guard->known_lanes = lanes_new(1, WAITING_MAX);
    guard->wrong = metric_counter("kentongan_credentials_wrong_total",
                                  "Passwords, tokens and API keys that were refused");
    guard->limited = metric_counter("kentongan_credentials_limited_total",
                                    "Tries of such that were not looked at: too many before");
    guard->crowded = metric_counter("kentongan_logins_crowded_total",
                                    "Logins sent away because too many passwords were hashed");
    return guard;
}

void guard_free(struct guard **guard)
{
    if (*guard != NULL) {
        lanes_free(&(*guard)->lanes);
        lanes_free(&(*guard)->known_lanes);
        free(*guard);
        *guard = NULL;
    }
}

/* ---- who was right before ---- */

static bool is_known(struct guard *guard, uint64_t who)
{
    const struct cache_key key = cache_key_known(who);
    const char *parts[] = {"EXISTS", key.text, NULL};
    struct arena arena = {0};
    struct cache_reply reply = {0};
    bool is_there = atomic_load(&guard->known[who % KNOWN_MAX]) == who;

    if (!is_there) {
        is_there =
            cache_pool_command_text(guard->options.cache, parts, &arena, &reply, NULL) == 0 &&
            reply.kind == CACHE_INT && reply.number == 1;
        arena_done(&arena);
    }
    return is_there;
}

static void get_to_know(struct guard *guard, uint64_t who)
{
    const struct cache_key key = cache_key_known(who);
    char ttl[24];
    const char *parts[] = {"SET", key.text, "1", "PX", ttl, NULL};
    struct arena arena = {0};
    struct cache_reply reply;

    atomic_store(&guard->known[who % KNOWN_MAX], who);
    (void)snprintf(ttl, sizeof(ttl), "%" PRId64, CACHE_KNOWN_TTL_MS);
    if (cache_pool_command_text(guard->options.cache, parts, &arena, &reply, NULL) < 0) {
        log_debug("who was right is not kept in Redis");
    }
    arena_done(&arena);
}

/* ---- buckets ---- */

static void give_back(struct guard *guard, struct guard_try *of)
{
    while (of->n > 0) {
        rate_give(guard->options.rate, of->names[--of->n], of->per_min);
    }
}

/* Take one token of each of the @n names; when one has none, no token at all. */
static int take_all(struct guard *guard, size_t n, struct guard_try *of)
{
    for (of->n = 0; of->n < n; of->n++) {
        int wait_s = rate_take(guard->options.rate, of->names[of->n], of->per_min);

        if (wait_s > 0) {
            give_back(guard, of);
            return wait_s;
        }
    }
    return 0;
}

/* From the buckets of all; else from the one of those who are known. */
static int begin(struct guard *guard, size_t n, struct guard_try *of)
{
    int wait_s = take_all(guard, n, of);

    if (wait_s > 0 && is_known(guard, of->who)) {
        (void)snprintf(of->names[0], RATE_NAME_MAX, "known:%016" PRIx64, of->who);
        wait_s = take_all(guard, 1, of);
    }
    metric_add(guard->limited, wait_s > 0 ? 1 : 0);
    return wait_s;
}

int guard_login(struct guard *guard, const char *client, const char *username,
                struct guard_try *out)
{
    const struct rate *rate = guard->options.rate;
    struct arena arena = {0};

    *out = (struct guard_try){.per_min = guard->options.logins_per_min};
    out->who = rate_hash(rate, "known login", arena_printf(&arena, "%s\n%s", client, username));
    arena_done(&arena);
    rate_slot(rate, "login of address", client, out->names[0]);
    rate_slot(rate, "login of user", username, out->names[1]);
    return begin(guard, 2, out);
}

int guard_key(struct guard *guard, const char *client, const char *key_sha256,
              struct guard_try *out)
{
    const struct rate *rate = guard->options.rate;

    *out = (struct guard_try){.per_min = guard->options.refused_per_min};
    out->who = rate_hash(rate, "known key", key_sha256);
    rate_slot(rate, "credential of address", client, out->names[0]);
    return begin(guard, 1, out);
}

int guard_token(struct guard *guard, const char *client)
{
    char name[RATE_NAME_MAX];
    int wait_s;

    rate_slot(guard->options.rate, "credential of address", client, name);
    wait_s = rate_take(guard->options.rate, name, guard->options.refused_per_min);
    metric_add(wait_s > 0 ? guard->limited : guard->wrong, 1);
    return wait_s;
}

/* ---- lanes ---- */

bool guard_enter(struct guard *guard, struct guard_try *of)
{
    struct lanes *lanes = guard->lanes;

    if (!lanes_enter(lanes, 0)) {
        lanes = is_known(guard, of->who) ? guard->known_lanes : lanes;
        if (!lanes_enter(lanes, guard->options.hash_wait_ms)) {
            metric_add(guard->crowded, 1);
            return false;
        }
    }
    of->lanes = lanes;
    return true;
}

void guard_end(struct guard *guard, struct guard_try *of, enum guard_end how)
{
    if (of->lanes != NULL) {
        lanes_leave(of->lanes);
        of->lanes = NULL;
    }
    if (how == GUARD_WRONG) {
        metric_add(guard->wrong, 1);
        return;
    }
    give_back(guard, of);
    if (how == GUARD_RIGHT) {
        get_to_know(guard, of->who);
    }
}
