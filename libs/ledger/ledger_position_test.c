#include "ledger/ledger_position.h"

#include "testkit/testkit.h"

static void l4_only_the_position_right_after_the_last_one_is_applied(void **state)
{
    (void)state;
    assert_int_equal(ledger_place_of(0, 1, false), LEDGER_PLACE_NEXT);
    assert_int_equal(ledger_place_of(7, 8, false), LEDGER_PLACE_NEXT);
    assert_int_equal(ledger_place_of(7, 7, false), LEDGER_PLACE_REPEAT);
    assert_int_equal(ledger_place_of(7, 1, false), LEDGER_PLACE_REPEAT);
    assert_int_equal(ledger_place_of(7, 9, false), LEDGER_PLACE_EARLY);
    assert_int_equal(ledger_place_of(0, 2, false), LEDGER_PLACE_EARLY);
    assert_int_equal(ledger_place_of(7, 0, false), LEDGER_PLACE_NONE);
    assert_int_equal(ledger_place_of(7, -1, true), LEDGER_PLACE_NONE);
}

static void l4_a_new_reader_of_a_log_without_its_beginning_takes_the_first_it_finds(void **state)
{
    (void)state;
    assert_int_equal(ledger_place_of(0, 900, true), LEDGER_PLACE_NEXT);
    assert_int_equal(ledger_place_of(900, 902, true), LEDGER_PLACE_EARLY);
}

struct reader {
    int64_t last;
};

/* One life of a relay: it begins behind what is known to be delivered and sends some rows, each of
 * which may get lost. Returns what is known to be delivered then. */
static int64_t relay_for_a_while(struct testkit_random *random, int64_t delivered, int64_t end,
                                 struct reader *reader)
{
    int64_t upto = delivered + 1 + testkit_below(random, 20);

    for (int64_t position = delivered + 1; position <= upto && position <= end; position++) {
        if (testkit_below(random, 10) == 0) {
            continue;
        }
        if (ledger_place_of(reader->last, position, false) == LEDGER_PLACE_NEXT) {
            assert_int_equal(position, reader->last + 1);
            reader->last = position;
        }
        if (position == delivered + 1) {
            delivered = position;
        }
    }
    return delivered;
}

/* So later rows stand before earlier ones that follow again, and rows stand twice. */
static void l4_a_reader_of_any_log_that_a_relay_leaves_applies_all_once_in_order(void **state)
{
    struct testkit_random random = {.state = 42};

    (void)state;
    for (int run = 0; run < 200; run++) {
        struct reader reader = {0};
        int64_t delivered = 0;

        for (int life = 0; delivered < 100 && life < 10000; life++) {
            delivered = relay_for_a_while(&random, delivered, 100, &reader);
        }
        assert_int_equal(reader.last, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(l4_only_the_position_right_after_the_last_one_is_applied),
        cmocka_unit_test(l4_a_new_reader_of_a_log_without_its_beginning_takes_the_first_it_finds),
        cmocka_unit_test(l4_a_reader_of_any_log_that_a_relay_leaves_applies_all_once_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
