#include "ingress/bucket.h"

#include "testkit/testkit.h"

enum { NOON = 1000000 };

static void a_minutes_worth_is_saved_and_no_more(void **state)
{
    struct bucket bucket = {0};

    (void)state;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(bucket_take(&bucket, 30, NOON), 0);
    }
    assert_int_equal(bucket_take(&bucket, 30, NOON), 2000); /* 30 a minute: one in two seconds */
    assert_int_equal(bucket_take(&bucket, 30, NOON + 2000), 0);
    assert_true(bucket_take(&bucket, 30, NOON + 2001) > 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(bucket_take(&bucket, 30, NOON + 3600000), 0);
    }
    assert_true(bucket_take(&bucket, 30, NOON + 3600000) > 0);
}

/* One try in every millisecond gains a half of a thousandth each: it must add up. */
static void hammering_does_not_keep_a_bucket_empty(void **state)
{
    struct bucket bucket = {0};
    int got = 0;

    (void)state;
    for (int64_t ms = 0; ms < 60000; ms++) {
        got += bucket_take(&bucket, 30, NOON + ms) == 0 ? 1 : 0;
    }
    assert_in_range(got, 30 + 29, 30 + 30);
}

static void what_is_given_back_counts(void **state)
{
    struct bucket bucket = {0};

    (void)state;
    assert_int_equal(bucket_take(&bucket, 1, NOON), 0);
    assert_true(bucket_take(&bucket, 1, NOON) > 0);
    bucket_give(&bucket, 1, NOON);
    bucket_give(&bucket, 1, NOON); /* never over full */
    assert_int_equal(bucket_take(&bucket, 1, NOON), 0);
    assert_true(bucket_take(&bucket, 1, NOON) > 0);
}

static void a_clock_that_goes_back_does_no_harm(void **state)
{
    struct bucket bucket = {0};

    (void)state;
    assert_int_equal(bucket_take(&bucket, 2, NOON), 0);
    assert_int_equal(bucket_take(&bucket, 2, NOON - 500), 0);
    assert_in_range(bucket_take(&bucket, 2, NOON - 500), 1, 30500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minutes_worth_is_saved_and_no_more),
        cmocka_unit_test(hammering_does_not_keep_a_bucket_empty),
        cmocka_unit_test(what_is_given_back_counts),
        cmocka_unit_test(a_clock_that_goes_back_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
