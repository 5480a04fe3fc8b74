#include "ingress/lanes.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "testkit/testkit.h"

enum { LONG_MS = 20000, CROWD = 24, ROUNDS = 200 };

static void the_one_too_many_is_sent_away_at_once(void **state)
{
    struct lanes *lanes = lanes_new(2, 0);
    int64_t began_ms = clock_mono_ms();

    (void)state;
    assert_true(lanes_enter(lanes, LONG_MS));
    assert_true(lanes_enter(lanes, LONG_MS));
    assert_false(lanes_enter(lanes, LONG_MS));
    assert_true(clock_mono_ms() - began_ms < LONG_MS / 2);
    lanes_leave(lanes);
    assert_true(lanes_enter(lanes, LONG_MS));
    lanes_leave(lanes);
    lanes_leave(lanes);
    lanes_free(&lanes);
    assert_null(lanes);
}

static void waiting_has_an_end(void **state)
{
    struct lanes *lanes = lanes_new(1, 1);

    (void)state;
    assert_true(lanes_enter(lanes, 0));
    assert_false(lanes_enter(lanes, 30));
    lanes_leave(lanes);
    assert_true(lanes_enter(lanes, 0));
    lanes_leave(lanes);
    lanes_free(&lanes);
}

struct crowd {
    struct lanes *lanes;
    atomic_int inside;
    atomic_int most;
    atomic_int served;
};

static void *come_and_go(void *ctx)
{
    struct crowd *crowd = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        if (lanes_enter(crowd->lanes, LONG_MS)) {
            int now = atomic_fetch_add(&crowd->inside, 1) + 1;
            int most = atomic_load(&crowd->most);

            while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now)) {
            }
            atomic_fetch_add(&crowd->served, 1);
            atomic_fetch_sub(&crowd->inside, 1);
            lanes_leave(crowd->lanes);
        }
    }
    return NULL;
}

static void a_crowd_never_gets_in_together_and_all_are_served(void **state)
{
    struct crowd crowd = {.lanes = lanes_new(3, CROWD)};
    pthread_t threads[CROWD];

    (void)state;
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_in_range(atomic_load(&crowd.most), 1, 3);
    assert_int_equal(atomic_load(&crowd.served), CROWD * ROUNDS);
    lanes_free(&crowd.lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_too_many_is_sent_away_at_once),
        cmocka_unit_test(waiting_has_an_end),
        cmocka_unit_test(a_crowd_never_gets_in_together_and_all_are_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
