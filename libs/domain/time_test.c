/* When things may happen: calendar, time zones, business hours, pacing, the account's rate. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "domain/civil.h"
#include "domain/hours.h"
#include "domain/pacing.h"
#include "domain/zone.h"
#include "domain/zone_rule.h"
#include "testkit/testkit.h"

static const int64_t hour_ms = 3600000;
static const int64_t day_ms = 86400000;

/* A file as "slim" zic writes it: one type, no times, and the rule. */
static struct zone *zone_of_rule(const char *rule, int32_t offset_s)
{
    struct buf file = {0};
    struct zone *zone = NULL;

    for (int block = 0; block < 2; block++) {
        buf_add(&file, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        buf_add_be(&file, 0, 8);
        buf_add_be(&file, 0, 8);
        buf_add_be(&file, 1, 4); /* types */
        buf_add_be(&file, 4, 4); /* characters of names */
        buf_add_be(&file, (uint32_t)offset_s, 4);
        buf_add_be(&file, 0, 2);
        buf_add(&file, "XXX\0", 4);
    }
    buf_addf(&file, "\n%s\n", rule);
    assert_int_equal(zone_parse(buf_bytes(&file), &zone, NULL), 0);
    buf_done(&file);
    return zone;
}

static void days_and_dates_agree(void **state)
{
    (void)state;
    for (int64_t days = -800000; days < 800000; days += 13) {
        struct civil_date date = civil_of_days(days);

        assert_int_equal(civil_to_days(date.year, date.month, date.day), days);
    }
    assert_int_equal(civil_to_days(1970, 1, 1), 0);
    assert_int_equal(civil_to_days(2000, 3, 1), 11017);
    assert_int_equal(civil_to_days(2025, 9, 7), 20338);
}

static void a_rule_gives_summer_and_winter(void **state)
{
    struct zone_rule rule;
    int64_t until = 0;
    int64_t spring = civil_to_days(2025, 3, 30) * 86400 + 3600; /* 01:00 UTC */
    int64_t autumn = civil_to_days(2025, 10, 26) * 86400 + 3600;

    (void)state;
    assert_int_equal(zone_rule_parse("CET-1CEST,M3.5.0,M10.5.0/3", &rule), 0);
    assert_int_equal(zone_rule_offset(&rule, spring - 1, &until), 3600);
    assert_int_equal(until, spring);
    assert_int_equal(zone_rule_offset(&rule, spring, &until), 7200);
    assert_int_equal(until, autumn);
    assert_int_equal(zone_rule_offset(&rule, autumn - 1, &until), 7200);
    assert_int_equal(zone_rule_offset(&rule, autumn, &until), 3600);
    assert_int_equal(until, civil_to_days(2026, 3, 29) * 86400 + 3600);
}

static void rules_of_the_south_and_odd_ones_are_read(void **state)
{
    struct zone_rule rule;
    int64_t until = 0;

    (void)state;
    assert_int_equal(zone_rule_parse("NZST-12NZDT,M9.5.0,M4.1.0/3", &rule), 0);
    assert_int_equal(zone_rule_offset(&rule, civil_to_days(2025, 1, 15) * 86400, &until),
                     13 * 3600);
    assert_int_equal(zone_rule_offset(&rule, civil_to_days(2025, 7, 15) * 86400, &until),
                     12 * 3600);
    assert_int_equal(zone_rule_parse("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", &rule), 0);
    assert_int_equal(rule.begins.time_s, -3600);
    assert_int_equal(zone_rule_parse("<+0545>-5:45", &rule), 0);
    assert_int_equal(zone_rule_offset(&rule, 0, &until), 5 * 3600 + 45 * 60);
    assert_true(until == INT64_MAX);
    assert_int_equal(zone_rule_parse("XXX3EDT4,0/0,J365/23", &rule), 0); /* summer all year */
    assert_int_equal(zone_rule_offset(&rule, civil_to_days(2025, 1, 1) * 86400 + 40000, &until),
                     -4 * 3600);
    assert_int_equal(zone_rule_offset(&rule, civil_to_days(2025, 7, 1) * 86400, &until), -4 * 3600);
    assert_int_equal(zone_rule_parse("EST5EDT", &rule), -ERR_INVALID); /* no dates */
    assert_int_equal(zone_rule_parse("X5", &rule), -ERR_INVALID);
    assert_int_equal(zone_rule_parse("EST5EDT,M13.1.0,M1.1.0", &rule), -ERR_INVALID);
    assert_int_equal(zone_rule_parse("EST5EDT,M3.2.0,M11.1.0,", &rule), -ERR_INVALID);
    assert_int_equal(zone_rule_parse("", &rule), -ERR_INVALID);
}

static void a_zone_without_a_file_is_utc(void **state)
{
    struct zone_offset offset = zone_offset_at(NULL, 0);

    (void)state;
    assert_int_equal(offset.seconds, 0);
    assert_true(offset.until_ms == INT64_MAX);
}

static void a_damaged_zone_is_refused(void **state)
{
    struct zone *zone = NULL;
    struct err err = {0};
    static uint8_t big[ZONE_FILE_MAX + 1];

    (void)state;
    assert_int_equal(zone_parse((struct bytes){(const uint8_t *)"TZif", 4}, &zone, &err),
                     -ERR_INVALID);
    assert_int_equal(zone_parse((struct bytes){NULL, 0}, &zone, &err), -ERR_INVALID);
    assert_int_equal(zone_parse((struct bytes){big, sizeof(big)}, &zone, &err), -ERR_LIMIT);
    assert_null(zone);
}

/* Times of the file hold before its rule does: Jakarta, where the table has the past and the rule
 * the present. */
static void times_of_the_file_come_before_its_rule(void **state)
{
    struct buf file = {0};
    struct zone *zone = NULL;

    (void)state;
    buf_add(&file, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    buf_add_be(&file, 0, 8);
    buf_add_be(&file, 0, 8);
    buf_add_be(&file, 1, 4);
    buf_add_be(&file, 0, 4);
    buf_add_be(&file, 0, 6);
    buf_add(&file, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    buf_add_be(&file, 0, 8);
    buf_add_be(&file, 0, 4);
    buf_add_be(&file, 2, 4); /* times */
    buf_add_be(&file, 3, 4); /* types */
    buf_add_be(&file, 0, 4);
    buf_add_be(&file, 1000, 8);
    buf_add_be(&file, 2000, 8);
    buf_add(&file, "\1\2", 2);
    buf_add_be(&file, 100, 6 - 2);
    buf_add_be(&file, 0, 2);
    buf_add_be(&file, 200, 4);
    buf_add_be(&file, 0, 2);
    buf_add_be(&file, 300, 4);
    buf_add_be(&file, 0, 2);
    buf_add_str(&file, "\nWIB-7\n");
    assert_int_equal(zone_parse(buf_bytes(&file), &zone, NULL), 0);
    assert_int_equal(zone_offset_at(zone, 999999).seconds, 100);
    assert_int_equal(zone_offset_at(zone, 999999).until_ms, 1000000);
    assert_int_equal(zone_offset_at(zone, 1000000).seconds, 200);
    assert_int_equal(zone_offset_at(zone, 2000000).seconds, 7 * 3600);
    for (size_t n = 0; n < file.n; n++) { /* cut anywhere: refused, never read beyond */
        struct zone *cut = NULL;
        uint8_t *copy = mem_dup(file.p, n);

        assert_true(zone_parse((struct bytes){copy, n}, &cut, NULL) < 0);
        free(copy);
    }
    zone_free(&zone);
    buf_done(&file);
}

static void hours_open_and_close_in_their_zone(void **state)
{
    struct hours hours = {.enabled = true, .has_hours = true, .start_hour = 9, .end_hour = 17};
    struct zone *jakarta = zone_of_rule("WIB-7", 7 * 3600);
    int64_t midnight = INT64_C(20338) * day_ms; /* 2025-09-07 00:00 UTC */

    (void)state;
    assert_true(hours_are_open(
        &hours, NULL, midnight + 15 * hour_ms + INT64_C(45) * 60000)); /* the seed's sample */
    assert_false(hours_are_open(&hours, jakarta, midnight + 15 * hour_ms + INT64_C(45) * 60000));
    assert_true(hours_are_open(&hours, NULL, midnight + 9 * hour_ms));
    assert_false(hours_are_open(&hours, NULL, midnight + 17 * hour_ms));
    assert_int_equal(hours_next_open(&hours, NULL, midnight + 17 * hour_ms),
                     midnight + day_ms + 9 * hour_ms);
    assert_int_equal(hours_next_close(&hours, NULL, midnight + 10 * hour_ms),
                     midnight + 17 * hour_ms);
    assert_int_equal(hours_next_open(&hours, jakarta, midnight + 12 * hour_ms),
                     midnight + day_ms + 2 * hour_ms);
    assert_int_equal(hours_next_open(&hours, NULL, midnight + 10 * hour_ms),
                     midnight + 10 * hour_ms);
    zone_free(&jakarta);
}

static void hours_may_go_over_midnight_or_never_close(void **state)
{
    struct hours night = {.enabled = true, .has_hours = true, .start_hour = 22, .end_hour = 6};
    struct hours late = {.enabled = true, .has_hours = true, .start_hour = 18, .end_hour = 24};
    struct hours always = {.enabled = true, .has_hours = true, .start_hour = 0, .end_hour = 24};
    int64_t midnight = INT64_C(20338) * day_ms;

    (void)state;
    assert_true(hours_are_open(&night, NULL, midnight));
    assert_false(hours_are_open(&night, NULL, midnight + 6 * hour_ms));
    assert_int_equal(hours_next_close(&night, NULL, midnight + 23 * hour_ms),
                     midnight + day_ms + 6 * hour_ms);
    assert_int_equal(hours_next_close(&late, NULL, midnight + 20 * hour_ms), midnight + day_ms);
    assert_false(hours_are_open(&late, NULL, midnight + day_ms));
    assert_true(hours_next_close(&always, NULL, midnight) == INT64_MAX);
    assert_int_equal(hours_next_open(&always, NULL, midnight + 5), midnight + 5);
    assert_int_equal(hours_after(&night, NULL, midnight + 5 * hour_ms, 2 * hour_ms),
                     midnight + 23 * hour_ms);
    assert_int_equal(
        hours_open_between(&night, NULL, midnight + 5 * hour_ms, midnight + 23 * hour_ms),
        2 * hour_ms);
    assert_int_equal(hours_open_between(&always, NULL, midnight, midnight + 3), 3);
}

/* 2025-03-30 in Berlin has no 02:30; 2025-10-26 has it twice. */
static void hours_are_right_when_the_clock_changes(void **state)
{
    struct zone *berlin = zone_of_rule("CET-1CEST,M3.5.0,M10.5.0/3", 3600);
    struct hours two = {.enabled = true, .has_hours = true, .start_hour = 2, .end_hour = 4};
    struct hours nine = {.enabled = true, .has_hours = true, .start_hour = 9, .end_hour = 17};
    int64_t spring = civil_to_days(2025, 3, 30) * day_ms;
    int64_t autumn = civil_to_days(2025, 10, 26) * day_ms;

    (void)state;
    /* from Saturday 20:00 to 02:00, which does not exist: opens as the clock jumps to 03:00 */
    assert_int_equal(hours_next_open(&two, berlin, spring - 5 * hour_ms), spring + hour_ms);
    assert_int_equal(hours_next_close(&two, berlin, spring + hour_ms), spring + 2 * hour_ms);
    /* two to four are three hours long in autumn */
    assert_int_equal(hours_next_open(&two, berlin, autumn - 5 * hour_ms), autumn);
    assert_int_equal(hours_next_close(&two, berlin, autumn), autumn + 3 * hour_ms);
    assert_int_equal(hours_open_between(&two, berlin, autumn - day_ms / 2, autumn + day_ms / 2),
                     3 * hour_ms);
    /* nine in winter is 08:00 UTC, in summer 07:00 */
    assert_int_equal(hours_next_open(&nine, berlin, spring - 6 * hour_ms), spring + 7 * hour_ms);
    assert_int_equal(hours_next_open(&nine, berlin, autumn - 6 * hour_ms), autumn + 8 * hour_ms);
    zone_free(&berlin);
}

/* Minute by minute through two years: the next opening is the first open minute. */
static void the_next_opening_is_the_first_open_moment(void **state)
{
    struct zone *berlin = zone_of_rule("CET-1CEST,M3.5.0,M10.5.0/3", 3600);
    struct testkit_random random = {.state = 11};

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct hours hours = {.enabled = true,
                              .has_hours = true,
                              .start_hour = (int)testkit_below(&random, 24),
                              .end_hour = 1 + (int)testkit_below(&random, 24)};
        int64_t now =
            (civil_to_days(2025, 1, 1) * 1440 + testkit_below(&random, 2 * 365 * 1440)) * 60000;

        if (!hours_are_valid(&hours)) {
            continue;
        }
        int64_t open = hours_next_open(&hours, berlin, now);
        int64_t found = now;

        while (!hours_are_open(&hours, berlin, found)) {
            found += 60000;
        }
        assert_int_equal(open, found);
    }
    zone_free(&berlin);
}

static void bad_hours_are_not_valid(void **state)
{
    struct hours equal = {.enabled = true, .has_hours = true, .start_hour = 9, .end_hour = 9};
    struct hours none = {.enabled = true};

    (void)state;
    assert_false(hours_are_valid(&equal));
    assert_false(hours_are_valid(&none));
}

static void draws_are_uniform_and_repeat_for_a_seed(void **state)
{
    struct pacing_random a = {.state = 5};
    struct pacing_random b = {.state = 5};
    int counts[6] = {0};

    (void)state;
    for (int i = 0; i < 60000; i++) {
        int32_t drawn = pacing_draw(&a, 10, 15);

        assert_int_equal(drawn, pacing_draw(&b, 10, 15));
        assert_in_range(drawn, 10, 15);
        counts[drawn - 10]++;
    }
    for (int i = 0; i < 6; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
    assert_int_equal(pacing_draw(&a, 7, 7), 7);
}

static void recipients_keep_their_distance(void **state)
{
    struct blast_config config = {.message_delay = {100, 100}, .contact_delay = {2000, 2000}};
    struct pacing pacing;

    (void)state;
    pacing_start(&pacing, &config, 1, 50000);
    assert_int_equal(pacing.due_ms, 50100);
    pacing_handed_over(&pacing, &config, 50100);
    assert_int_equal(pacing.due_ms, 52200);
    pacing_handed_over(&pacing, &config, 52350); /* 150 ms late: made up for */
    assert_int_equal(pacing.due_ms, 54300);
    pacing_handed_over(&pacing, &config, 90000); /* a long time late: not */
    assert_int_equal(pacing.due_ms, 90000 - PACING_CATCH_UP_MS + 2100);
}

static void an_account_has_a_rate_and_a_burst(void **state)
{
    struct pacing_bucket bucket;
    int64_t now = 1000000;

    (void)state;
    pacing_bucket_init(&bucket, 30, 5, now);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pacing_bucket_wait(&bucket, now), 0);
        pacing_bucket_take(&bucket, now);
    }
    assert_int_equal(pacing_bucket_wait(&bucket, now), 2000);
    assert_int_equal(pacing_bucket_wait(&bucket, now + 1999), 1);
    pacing_bucket_take(&bucket, now + 2000);
    assert_int_equal(pacing_bucket_wait(&bucket, now + 2000), 2000);
    assert_int_equal(pacing_bucket_wait(&bucket, now - 5000), 2000); /* a clock that went back */
    now += INT64_C(4000000000000);
    for (int i = 0; i < 5; i++) {
        pacing_bucket_take(&bucket, now);
    }
    assert_int_equal(pacing_bucket_wait(&bucket, now), 2000);
    pacing_bucket_init(&bucket, 0, 5, now);
    for (int i = 0; i < 100; i++) {
        pacing_bucket_take(&bucket, now); /* no limit */
    }
}

static void no_minute_sees_more_than_rate_and_burst(void **state)
{
    struct testkit_random random = {.state = 3};
    struct pacing_bucket bucket;
    int64_t taken[4000];
    int n = 0;

    (void)state;
    pacing_bucket_init(&bucket, 30, 5, 0);
    for (int64_t now = 0; n < 300; now += 1 + testkit_below(&random, 700)) {
        if (pacing_bucket_wait(&bucket, now) == 0) {
            pacing_bucket_take(&bucket, now);
            taken[n++] = now;
        }
    }
    for (int i = 0; i + 35 < n; i++) {
        assert_true(taken[i + 35] - taken[i] >= 60000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_and_dates_agree),
        cmocka_unit_test(a_rule_gives_summer_and_winter),
        cmocka_unit_test(rules_of_the_south_and_odd_ones_are_read),
        cmocka_unit_test(a_zone_without_a_file_is_utc),
        cmocka_unit_test(a_damaged_zone_is_refused),
        cmocka_unit_test(times_of_the_file_come_before_its_rule),
        cmocka_unit_test(hours_open_and_close_in_their_zone),
        cmocka_unit_test(hours_may_go_over_midnight_or_never_close),
        cmocka_unit_test(hours_are_right_when_the_clock_changes),
        cmocka_unit_test(the_next_opening_is_the_first_open_moment),
        cmocka_unit_test(bad_hours_are_not_valid),
        cmocka_unit_test(draws_are_uniform_and_repeat_for_a_seed),
        cmocka_unit_test(recipients_keep_their_distance),
        cmocka_unit_test(an_account_has_a_rate_and_a_burst),
        cmocka_unit_test(no_minute_sees_more_than_rate_and_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
