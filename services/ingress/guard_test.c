/* The guard while Redis is away: nobody listens at port 1. */
#include "ingress/guard.h"

#include <stdio.h>

#include "ingress/guard_tester.h"
#include "testkit/testkit.h"

static int set_up(void **state)
{
    *state = seat_new("redis://127.0.0.1:1");
    return 0;
}

static int tear_down(void **state)
{
    seat_free(*state);
    return 0;
}

static void what_is_right_costs_nothing(void **state)
{
    struct seat *seat = *state;

    for (int i = 0; i < 5 * LOGINS; i++) {
        assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_RIGHT), 0);
        assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_UNKNOWN), 0);
        assert_int_equal(show_key(seat, "1.1.1.1", "key-of-ani", GUARD_RIGHT), 0);
    }
}

static void an_address_runs_out_and_others_do_not(void **state)
{
    struct seat *seat = *state;
    char name[16];

    for (int i = 0; i < LOGINS; i++) {
        (void)snprintf(name, sizeof(name), "user%d", i);
        assert_int_equal(log_in(seat, "6.6.6.6", name, GUARD_WRONG), 0);
    }
    assert_in_range(log_in(seat, "6.6.6.6", "one more", GUARD_WRONG), 1, 60 / LOGINS);
    assert_int_equal(log_in(seat, "1.1.1.1", "one more", GUARD_WRONG), 0);
}

static void a_name_runs_out_whatever_the_address(void **state)
{
    struct seat *seat = *state;

    for (int i = 0; i < LOGINS; i++) {
        assert_int_equal(log_in(seat, from_many(i), "ani", GUARD_WRONG), 0);
    }
    assert_in_range(log_in(seat, "7.7.7.7", "ani", GUARD_RIGHT), 1, 60 / LOGINS);
    assert_int_equal(log_in(seat, "7.7.7.7", "budi", GUARD_RIGHT), 0);
}

/* Neither those who guess a name's password from everywhere, nor those who guess everybody's from
 * the user's own address, keep him out. */
static void who_was_right_before_is_not_locked_out(void **state)
{
    struct seat *seat = *state;

    assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_RIGHT), 0);
    for (int i = 0; i < 10 * LOGINS; i++) {
        (void)log_in(seat, from_many(i), "ani", GUARD_WRONG);
        (void)log_in(seat, "1.1.1.1", from_many(i), GUARD_WRONG);
    }
    assert_true(log_in(seat, "2.2.2.2", "ani", GUARD_WRONG) > 0);
    for (int i = 0; i < LOGINS; i++) {
        assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_RIGHT), 0);
    }
    for (int i = 0; i < LOGINS; i++) { /* but nobody guesses without end there either */
        assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_WRONG), 0);
    }
    assert_true(log_in(seat, "1.1.1.1", "ani", GUARD_WRONG) > 0);
}

static void tries_at_the_same_time_do_not_slip_through(void **state)
{
    struct seat *seat = *state;
    struct guard_try tries[LOGINS + 1];

    for (int i = 0; i < LOGINS; i++) {
        assert_int_equal(guard_login(seat->guard, "1.1.1.1", "ani", &tries[i]), 0);
    }
    assert_true(guard_login(seat->guard, "1.1.1.1", "ani", &tries[LOGINS]) > 0);
    for (int i = 0; i < LOGINS; i++) {
        guard_end(seat->guard, &tries[i], GUARD_RIGHT);
    }
    assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_WRONG), 0);
}

static void wrong_tokens_and_keys_share_the_limit_of_an_address(void **state)
{
    struct seat *seat = *state;

    assert_int_equal(show_key(seat, "1.1.1.1", "key-of-ani", GUARD_RIGHT), 0);
    for (int i = 0; i < REFUSALS; i++) {
        assert_int_equal(i % 2 == 0 ? guard_token(seat->guard, "1.1.1.1")
                                    : show_key(seat, "1.1.1.1", from_many(i), GUARD_WRONG),
                         0);
    }
    assert_true(guard_token(seat->guard, "1.1.1.1") > 0);
    assert_true(show_key(seat, "1.1.1.1", "another", GUARD_WRONG) > 0);
    assert_int_equal(show_key(seat, "1.1.1.1", "key-of-ani", GUARD_RIGHT), 0);
    assert_int_equal(guard_token(seat->guard, "2.2.2.2"), 0);
    assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_WRONG), 0);
}

static void the_known_have_a_lane_when_all_are_taken(void **state)
{
    struct seat *seat = *state;
    struct guard_try inside[HASHES];
    struct guard_try stranger;
    struct guard_try ani;

    assert_int_equal(log_in(seat, "1.1.1.1", "ani", GUARD_RIGHT), 0);
    for (int i = 0; i < HASHES; i++) {
        assert_int_equal(guard_login(seat->guard, from_many(i), "budi", &inside[i]), 0);
        assert_true(guard_enter(seat->guard, &inside[i]));
    }
    assert_int_equal(guard_login(seat->guard, "9.9.9.9", "budi", &stranger), 0);
    assert_false(guard_enter(seat->guard, &stranger));
    guard_end(seat->guard, &stranger, GUARD_UNKNOWN);
    assert_int_equal(guard_login(seat->guard, "1.1.1.1", "ani", &ani), 0);
    assert_true(guard_enter(seat->guard, &ani));
    guard_end(seat->guard, &ani, GUARD_RIGHT);
    for (int i = 0; i < HASHES; i++) {
        guard_end(seat->guard, &inside[i], GUARD_WRONG);
    }
    assert_int_equal(guard_login(seat->guard, "9.9.9.9", "budi", &stranger), 0);
    assert_true(guard_enter(seat->guard, &stranger));
    guard_end(seat->guard, &stranger, GUARD_WRONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_right_costs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_runs_out_and_others_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_runs_out_whatever_the_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_right_before_is_not_locked_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tries_at_the_same_time_do_not_slip_through, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(wrong_tokens_and_keys_share_the_limit_of_an_address, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_known_have_a_lane_when_all_are_taken, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
