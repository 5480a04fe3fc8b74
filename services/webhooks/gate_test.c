#include "webhooks/gate.h"

#include <stdio.h>

#include "testkit/testkit.h"

enum { PLACES = 3000, HOSTS = 400 };

/* Subscribers by number, at hosts by number. */
struct yard {
    struct gate gate;
    struct gate_place places[PLACES];
    int host_of[PLACES];
    int n;
    int last; /* that began */
};

static int enter(struct yard *yard, int host, enum gate_lane lane)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "host%d:80", host);
    assert_true(yard->n < PLACES);
    yard->host_of[yard->n] = host;
    gate_enter(&yard->gate, &yard->places[yard->n], name, lane);
    return yard->n++;
}

static int number_of(const struct yard *yard, const struct gate_place *place)
{
    return (int)(place - yard->places);
}

/* How many begin now. */
static int go(struct yard *yard)
{
    const struct gate_place *place;
    int n = 0;

    while ((place = gate_next(&yard->gate)) != NULL) {
        assert_true(place->is_under_way);
        yard->last = number_of(yard, place);
        n++;
    }
    return n;
}

static void crowd(struct yard *yard, int host, enum gate_lane lane, int n)
{
    for (int i = 0; i < n; i++) {
        (void)enter(yard, host, lane);
    }
}

static void leave(struct yard *yard, int number)
{
    if (yard->places[number].host != NULL) {
        gate_leave(&yard->gate, &yard->places[number]);
    }
}

static void empty(struct yard *yard)
{
    for (int i = 0; i < yard->n; i++) {
        leave(yard, i);
    }
    assert_int_equal(map_count(&yard->gate.hosts), 0);
    assert_int_equal(yard->gate.waiting + yard->gate.under_way + yard->gate.slow, 0);
    assert_null(yard->gate.ready[GATE_QUICK]);
    assert_null(yard->gate.ready[GATE_SLOW]);
}

static void who_comes_first_goes_first_up_to_the_limit(void **state)
{
    struct yard yard = {0};

    (void)state;
    crowd(&yard, 0, GATE_QUICK, GATE_QUICK_PER_HOST + 2);
    assert_int_equal(go(&yard), GATE_QUICK_PER_HOST);
    assert_int_equal(yard.last, GATE_QUICK_PER_HOST - 1);
    assert_int_equal(yard.gate.waiting, 2);
    leave(&yard, 3);
    assert_int_equal(go(&yard), 1);
    assert_int_equal(yard.last, GATE_QUICK_PER_HOST);
    leave(&yard, GATE_QUICK_PER_HOST + 1); /* out of the line */
    leave(&yard, 0);
    assert_int_equal(go(&yard), 0);
    empty(&yard);
}

static void who_turns_slow_lets_the_next_go(void **state)
{
    struct yard yard = {0};

    (void)state;
    crowd(&yard, 0, GATE_QUICK, 3 * GATE_QUICK_PER_HOST);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(go(&yard), GATE_QUICK_PER_HOST);
        for (int i = 0; i < GATE_QUICK_PER_HOST; i++) {
            gate_turn_slow(&yard.gate, &yard.places[round * GATE_QUICK_PER_HOST + i]);
        }
    }
    (void)enter(&yard, 0, GATE_SLOW); /* they count: it is not let in beside them */
    assert_int_equal(go(&yard), 0);
    (void)enter(&yard, 0, GATE_QUICK);
    assert_int_equal(go(&yard), 1);
    empty(&yard);
}

static void however_many_are_slow_a_quick_one_of_their_host_goes_at_once(void **state)
{
    struct yard yard = {0};

    (void)state;
    crowd(&yard, 0, GATE_SLOW, 1000);
    assert_int_equal(go(&yard), GATE_SLOW_PER_HOST);
    for (int i = 0; i < 100; i++) {
        int quick = enter(&yard, 0, GATE_QUICK);

        assert_int_equal(go(&yard), 1);
        assert_int_equal(yard.last, quick);
        leave(&yard, quick);
        assert_int_equal(go(&yard), 0); /* nor does a slow one get its place */
    }
    leave(&yard, 0);
    assert_int_equal(go(&yard), 1);
    assert_int_equal(yard.last, GATE_SLOW_PER_HOST);
    empty(&yard);
}

static void slow_hosts_leave_room_for_others(void **state)
{
    struct yard yard = {0};

    (void)state;
    for (int host = 0; host < 100; host++) {
        crowd(&yard, host, GATE_SLOW, GATE_SLOW_PER_HOST);
    }
    assert_int_equal(go(&yard), GATE_SLOW_TOTAL);
    for (int host = 0; host < 20; host++) {
        (void)enter(&yard, host, GATE_QUICK);
    }
    assert_int_equal(go(&yard), 20);
    leave(&yard, 0); /* a slow one: its place is for the next of the slow */
    assert_int_equal(go(&yard), 1);
    assert_int_equal(yard.places[yard.last].lane, GATE_SLOW);
    empty(&yard);
}

static void no_host_gets_more_than_its_limit(void **state)
{
    struct yard yard = {0};
    int under_way = 0;

    (void)state;
    crowd(&yard, 0, GATE_QUICK, 2 * GATE_PER_HOST);
    for (int n; (n = go(&yard)) > 0; under_way += n) {
        for (int i = under_way; i < under_way + n; i++) {
            gate_turn_slow(&yard.gate, &yard.places[i]);
        }
    }
    assert_int_equal(under_way, GATE_PER_HOST);
    leave(&yard, 0);
    assert_int_equal(go(&yard), 1);
    empty(&yard);
}

/* When all places are taken, who has a long line gets no more of those that become free. */
static void hosts_get_places_in_turn(void **state)
{
    struct yard yard = {0};
    int full = GATE_TOTAL / GATE_QUICK_PER_HOST;

    (void)state;
    for (int host = 0; host < full; host++) {
        crowd(&yard, host, GATE_QUICK, GATE_QUICK_PER_HOST);
    }
    assert_int_equal(go(&yard), GATE_TOTAL);
    crowd(&yard, full, GATE_QUICK, 100);
    for (int host = full + 1; host < full + 4; host++) {
        crowd(&yard, host, GATE_QUICK, 2);
    }
    crowd(&yard, full + 4, GATE_SLOW, 2); /* and the slow every second */
    for (int i = 0; i < 12; i++) {
        static const int want[] = {4, 0, 4, 1, 2, 3, 0, 1, 2, 3, 0, 0};

        leave(&yard, i * GATE_QUICK_PER_HOST);
        assert_int_equal(go(&yard), 1);
        assert_int_equal(yard.host_of[yard.last] - full, want[i]);
    }
    empty(&yard);
}

struct census {
    unsigned lanes[HOSTS][GATE_LANES];
    unsigned total;
    unsigned slow;
};

static void take_census(const struct yard *yard, struct census *out)
{
    *out = (struct census){0};
    for (int i = 0; i < yard->n; i++) {
        if (yard->places[i].host != NULL && yard->places[i].is_under_way) {
            out->lanes[yard->host_of[i]][yard->places[i].lane]++;
            out->total++;
            out->slow += yard->places[i].lane == GATE_SLOW;
        }
    }
}

/* Nobody waits who could go, and no limit is passed. */
static void check(const struct yard *yard)
{
    static struct census census;

    take_census(yard, &census);
    assert_int_equal(census.total, yard->gate.under_way);
    assert_int_equal(census.slow, yard->gate.slow);
    assert_true(census.total <= GATE_TOTAL);
    for (int i = 0; i < yard->n; i++) {
        const unsigned *of = census.lanes[yard->host_of[i]];
        const struct gate_place *place = &yard->places[i];
        bool is_slow = place->lane == GATE_SLOW;

        assert_true(of[GATE_QUICK] <= GATE_QUICK_PER_HOST);
        assert_true(of[GATE_QUICK] + of[GATE_SLOW] <= GATE_PER_HOST);
        if (place->host != NULL && !place->is_under_way && census.total < GATE_TOTAL &&
            of[GATE_QUICK] + of[GATE_SLOW] < GATE_PER_HOST) {
            assert_true(is_slow
                            ? of[GATE_SLOW] >= GATE_SLOW_PER_HOST || census.slow >= GATE_SLOW_TOTAL
                            : of[GATE_QUICK] == GATE_QUICK_PER_HOST);
        }
    }
}

/* Few hosts, so that their limits count, or many, so that the limits of all do. */
static void walk(uint64_t seed, uint32_t hosts)
{
    static struct yard yard;
    struct testkit_random random = {.state = seed};

    yard = (struct yard){0};
    while (yard.n < PLACES) {
        uint32_t what = testkit_below(&random, 10);
        int some = yard.n == 0 ? 0 : (int)testkit_below(&random, (uint32_t)yard.n);

        if (what < 6) {
            (void)enter(&yard, (int)testkit_below(&random, hosts),
                        what < 2 ? GATE_SLOW : GATE_QUICK);
        } else if (what < 8 && yard.places[some].host != NULL && yard.places[some].is_under_way &&
                   yard.places[some].lane == GATE_QUICK) {
            gate_turn_slow(&yard.gate, &yard.places[some]);
        } else if (what == 8) {
            leave(&yard, some);
        }
        (void)go(&yard);
        if (yard.n % 50 == 0) {
            check(&yard);
        }
    }
    check(&yard);
    empty(&yard);
}

static void limits_hold_and_nobody_waits_who_could_go(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        walk(seed, 3);
        walk(seed, HOSTS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_first_goes_first_up_to_the_limit),
        cmocka_unit_test(who_turns_slow_lets_the_next_go),
        cmocka_unit_test(however_many_are_slow_a_quick_one_of_their_host_goes_at_once),
        cmocka_unit_test(slow_hosts_leave_room_for_others),
        cmocka_unit_test(no_host_gets_more_than_its_limit),
        cmocka_unit_test(hosts_get_places_in_turn),
        cmocka_unit_test(limits_hold_and_nobody_waits_who_could_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
