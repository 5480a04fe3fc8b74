#include <string.h>

#include "pg/pg_internal.h"
#include "testkit/testkit.h"

static void parameters_are_bound_in_binary_and_empty_is_not_null(void **state)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT 1");
    struct pg_bound bound;

    (void)state;
    pg_add_int(stmt, -2);
    pg_add_text(stmt, "");
    pg_add_text(stmt, NULL);
    pg_add_bytes(stmt, (struct bytes){.p = (const uint8_t *)"\0x", .n = 2});
    pg_add_uuid(stmt, "00112233-4455-6677-8899-aabbccddeeff");
    pg_add_time_ms(stmt, 946684800001);
    pg_stmt_bind(stmt, &bound);
    assert_int_equal(bound.n, 6);
    assert_memory_equal(bound.values[0], "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
    assert_non_null(bound.values[1]);
    assert_int_equal(bound.lengths[1], 0);
    assert_null(bound.values[2]);
    assert_int_equal(bound.lengths[3], 2);
    assert_memory_equal(bound.values[4], "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb", 12);
    assert_memory_equal(bound.values[5], "\0\0\0\0\0\0\x03\xe8", 8);
    pg_stmt_free(&stmt);
    assert_null(stmt);
}

static void an_array_grows_until_it_is_bound(void **state)
{
    static const uint8_t want[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0,   0,    25,   0,    0,   0,
                                   2, 0, 0, 0, 1, 0, 0, 0, 1, 'a', 0xff, 0xff, 0xff, 0xff};
    struct pg_stmt *stmt = pg_stmt_new("SELECT 1");
    struct pg_array *names = pg_add_array(stmt, PG_ARRAY_TEXT);
    struct pg_array *none = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_bound bound;

    (void)state;
    pg_array_text(names, "a");
    pg_array_text(names, NULL);
    assert_int_equal(pg_array_n(names), 2);
    assert_int_equal(pg_array_n(none), 0);
    pg_stmt_bind(stmt, &bound);
    assert_int_equal(bound.lengths[0], sizeof(want));
    assert_memory_equal(bound.values[0], want, sizeof(want));
    assert_int_equal(bound.lengths[1], 20);
    pg_stmt_free(&stmt);
}

static void prepared_texts_are_found_again_up_to_a_limit(void **state)
{
    struct pg_prepared prepared = {0};
    struct pg_prepared_text *first = pg_prepared_get(&prepared, "text 0");
    char text[32];
    char name[PG_PREPARED_NAME_MAX];

    (void)state;
    for (int i = 0; i < PG_PREPARED_MAX; i++) {
        (void)snprintf(text, sizeof(text), "text %d", i);
        assert_non_null(pg_prepared_get(&prepared, text));
    }
    assert_ptr_equal(pg_prepared_get(&prepared, "text 0"), first);
    assert_string_equal(pg_prepared_name(pg_prepared_get(&prepared, text), name), "s511");
    assert_null(pg_prepared_get(&prepared, "one more"));
    pg_prepared_done(&prepared);
}

static void a_conninfo_is_quoted_and_checked(void **state)
{
    struct buf text = {0};
    struct pg_config config = pg_config_for(6000);

    (void)state;
    pg_conninfo(&text, "127.0.0.1", 5433, "db", NULL, "it's \\ secret");
    assert_string_equal(buf_text(&text),
                        "host='127.0.0.1' port='5433' dbname='db' password='it\\'s \\\\ secret'");
    config.conninfo = buf_text(&text);
    assert_int_equal(pg_config_check(&config, NULL), 0);
    config.schema = "a b";
    assert_int_equal(pg_config_check(&config, NULL), -ERR_INVALID);
    config.schema = NULL;
    config.conninfo = "nothing of the sort";
    assert_int_equal(pg_config_check(&config, NULL), -ERR_INVALID);
    buf_done(&text);
}

static void l6_every_time_out_is_below_the_session_time_out(void **state)
{
    static const int64_t sessions[] = {3000, 6000, 10000, 45000};

    (void)state;
    for (size_t i = 0; i < sizeof(sessions) / sizeof(sessions[0]); i++) {
        struct pg_config config = pg_config_for(sessions[i]);

        assert_true(config.statement_timeout_ms < sessions[i]);
        assert_true(config.lock_timeout_ms < sessions[i]);
        assert_true(config.tcp_user_timeout_ms < sessions[i]);
        /* whoever waits for a lock outlasts an idle holder */
        assert_true(config.idle_timeout_ms < config.lock_timeout_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_bound_in_binary_and_empty_is_not_null),
        cmocka_unit_test(an_array_grows_until_it_is_bound),
        cmocka_unit_test(prepared_texts_are_found_again_up_to_a_limit),
        cmocka_unit_test(a_conninfo_is_quoted_and_checked),
        cmocka_unit_test(l6_every_time_out_is_below_the_session_time_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
