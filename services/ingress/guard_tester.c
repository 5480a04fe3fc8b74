#include "ingress/guard_tester.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/cache_pool.h"

enum { WAIT_MS = 20 };

struct seat *seat_new(const char *redis_url)
{
    static const uint8_t secret[] = "a secret of all instances";
    const struct cache_pool_options pool = {.url = redis_url};
    struct seat *seat = mem_new0(sizeof(*seat));
    struct guard_options options = {.logins_per_min = LOGINS,
                                    .refused_per_min = REFUSALS,
                                    .hashes_at_once = HASHES,
                                    .hash_wait_ms = WAIT_MS};
    int rc = cache_pool_new(&pool, &seat->cache, NULL);

    assert(rc == 0);
    seat->rate = rate_new(seat->cache, (struct bytes){secret, sizeof(secret)});
    options.cache = seat->cache;
    options.rate = seat->rate;
    seat->guard = guard_new(&options);
    return seat;
}

void seat_free(struct seat *seat)
{
    guard_free(&seat->guard);
    rate_free(&seat->rate);
    cache_pool_free(&seat->cache);
    free(seat);
}

int log_in(struct seat *seat, const char *client, const char *username, enum guard_end how)
{
    struct guard_try try;
    int wait_s = guard_login(seat->guard, client, username, &try);

    if (wait_s == 0) {
        guard_end(seat->guard, &try, how);
    }
    return wait_s;
}

int show_key(struct seat *seat, const char *client, const char *key, enum guard_end how)
{
    struct guard_try try;
    int wait_s = guard_key(seat->guard, client, key, &try);

    if (wait_s == 0) {
        guard_end(seat->guard, &try, how);
    }
    return wait_s;
}

const char *from_many(int i)
{
    static char text[32];

    (void)snprintf(text, sizeof(text), "10.%d.%d.%d", i / 65536 % 256, i / 256 % 256, i % 256);
    return text;
}
