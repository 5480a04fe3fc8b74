/* The guard with Redis (KENTONGAN_TEST_REDIS): instances share what they know. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "ingress/guard_tester.h"
#include "testkit/testkit.h"

enum { REFILL_LIMIT_MS = 10000 };

static const char *server;

/* A name that no run before had. */
static const char *fresh(char out[UUID_TEXT_MAX])
{
    const struct uuid id = uuid_v7(clock_wall_ms());

    (void)snprintf(out, UUID_TEXT_MAX, "%s", id.text);
    return out;
}

static void instances_share_limits_and_the_known(void **state)
{
    struct seat *one = seat_new(server);
    struct seat *other = seat_new(server);
    char ani[UUID_TEXT_MAX];
    char home[UUID_TEXT_MAX];
    char away[UUID_TEXT_MAX];

    (void)state;
    (void)fresh(ani);
    (void)fresh(away);
    assert_int_equal(log_in(one, fresh(home), ani, GUARD_RIGHT), 0);
    for (int i = 0; i < LOGINS; i++) {
        char from[UUID_TEXT_MAX];

        assert_int_equal(log_in(i % 2 == 0 ? one : other, fresh(from), ani, GUARD_WRONG), 0);
    }
    assert_in_range(log_in(one, away, ani, GUARD_RIGHT), 1, 60 / LOGINS);
    assert_in_range(log_in(other, away, ani, GUARD_RIGHT), 1, 60 / LOGINS);
    assert_int_equal(log_in(other, home, ani, GUARD_RIGHT), 0); /* it never saw him */
    seat_free(one);
    seat_free(other);
}

/* Somebody who tries all the time gets what comes in between: fractions add up in Redis too. */
static void hammering_does_not_keep_a_bucket_empty(void **state)
{
    struct seat *seat = seat_new(server);
    char home[UUID_TEXT_MAX];
    int64_t until_ms;
    int wait_s = 1;

    (void)state;
    (void)fresh(home);
    for (int i = 0; i < LOGINS; i++) {
        char name[UUID_TEXT_MAX];

        assert_int_equal(log_in(seat, home, fresh(name), GUARD_WRONG), 0);
    }
    until_ms = clock_mono_ms() + REFILL_LIMIT_MS;
    while (wait_s > 0 && clock_mono_ms() < until_ms) {
        wait_s = log_in(seat, home, "whoever", GUARD_UNKNOWN);
    }
    assert_int_equal(wait_s, 0);
    seat_free(seat);
}

static int64_t number_of(struct seat *seat, const char *const *parts)
{
    struct arena arena = {0};
    struct cache_reply reply = {0};
    int64_t number;

    assert_int_equal(cache_pool_command_text(seat->cache, parts, &arena, &reply, NULL), 0);
    assert_int_equal(reply.kind, CACHE_INT);
    number = reply.number;
    arena_done(&arena);
    return number;
}

static void every_key_ends_by_itself(void **state)
{
    struct seat *seat = seat_new(server);
    char home[UUID_TEXT_MAX];
    struct cache_key bucket;
    struct cache_key known;
    struct guard_try try;

    (void)state;
    assert_int_equal(guard_login(seat->guard, fresh(home), "ani", &try), 0);
    bucket = cache_key_rate(try.names[0]);
    known = cache_key_known(try.who);
    guard_end(seat->guard, &try, GUARD_RIGHT);
    assert_in_range(number_of(seat, (const char *[]){"PTTL", bucket.text, NULL}), 1,
                    CACHE_RATE_TTL_MS);
    assert_in_range(number_of(seat, (const char *[]){"PTTL", known.text, NULL}), 1,
                    CACHE_KNOWN_TTL_MS);
    seat_free(seat);
}

/* What is right gives its tokens back there too. */
static void what_is_right_costs_nothing(void **state)
{
    struct seat *seat = seat_new(server);
    char home[UUID_TEXT_MAX];
    char key[UUID_TEXT_MAX];

    (void)state;
    (void)fresh(home);
    (void)fresh(key);
    for (int i = 0; i < 3 * LOGINS; i++) {
        assert_int_equal(log_in(seat, home, home, GUARD_RIGHT), 0);
        assert_int_equal(show_key(seat, home, key, GUARD_UNKNOWN), 0);
    }
    seat_free(seat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instances_share_limits_and_the_known),
        cmocka_unit_test(hammering_does_not_keep_a_bucket_empty),
        cmocka_unit_test(every_key_ends_by_itself),
        cmocka_unit_test(what_is_right_costs_nothing),
    };

    server = testkit_env("KENTONGAN_TEST_REDIS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
