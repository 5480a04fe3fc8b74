#include "ingress/request.h"

#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "testkit/testkit.h"

static void numbers_of_a_query(void **state)
{
    static const struct request_number limit = {"limit", 1, 1000, 50};
    static const struct request_number offset = {"offset", 0, INT64_MAX, 0};
    static const struct {
        const struct request_number *rule;
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {
        {&limit, NULL, 50},
        {&limit, "", 50},
        {&limit, "1", 1},
        {&limit, "1000", 1000},
        {&limit, "1001", 1000},
        {&limit, "999999999999999999", 1000},
        {&limit, "99999999999999999999999999", 1000},
        {&limit, "0", -1},
        {&limit, "0000000000000000000000000000", -1},
        {&limit, "-1", -1},
        {&limit, "1e3", -1},
        {&limit, "5.0", -1},
        {&limit, "0x10", -1},
        {&limit, " 5", -1},
        {&limit, "5 ", -1},
        {&limit, "+5", -1},
        {&limit, "-99999999999999999999999999", -1},
        {&offset, "0", 0},
        {&offset, "9223372036854775807", INT64_MAX},
        {&offset, "9223372036854775808", INT64_MAX},
        {&offset, "-1", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t have = -1;
        struct err err = {0};
        int rc = request_number(rows[i].rule, rows[i].text, &have, &err);

        assert_int_equal(have, rows[i].want);
        assert_int_equal(rc, rows[i].want < 0 ? -ERR_INVALID : 0);
        if (rc < 0) {
            assert_non_null(strstr(err.text, " must be a whole number from "));
            assert_memory_equal(err.text, rows[i].rule->name, strlen(rows[i].rule->name));
        }
    }
}

struct thing {
    const char *text;
    bool flag;
    json_t *object;
    json_t *array;
};

static const struct request_field fields[] = {
    REQUEST_TEXT(struct thing, text, "text", true, 1, 3),
    REQUEST_BOOL(struct thing, flag, "flag"),
    REQUEST_OBJECT(struct thing, object, "object"),
    REQUEST_ARRAY(struct thing, array, "array", false, 1, 2),
};

static void members_are_what_the_table_says(void **state)
{
    static const struct {
        const char *body;
        const char *want; /* NULL: good */
    } rows[] = {
        {"{\"text\":\"abc\"}", NULL},
        {"{\"text\":\"\u00e4\u00f6\u00fc\"}", NULL}, /* characters, not bytes */
        {"{\"text\":\"abc\",\"flag\":null,\"object\":null,\"array\":null,\"more\":1}", NULL},
        {"{\"text\":\"abc\",\"flag\":true,\"object\":{},\"array\":[1,2]}", NULL},
        {"{}", "text is required"},
        {"{\"text\":null}", "text is required"},
        {"{\"text\":\"\"}", "text must be a string of 1 to 3 characters"},
        {"{\"text\":\"abcd\"}", "text must be a string of 1 to 3 characters"},
        {"{\"text\":7}", "text must be a string of 1 to 3 characters"},
        {"{\"text\":[]}", "text must be a string of 1 to 3 characters"},
        {"{\"text\":\"a\",\"flag\":1}", "flag must be true or false"},
        {"{\"text\":\"a\",\"flag\":\"true\"}", "flag must be true or false"},
        {"{\"text\":\"a\",\"object\":[]}", "object must be an object"},
        {"{\"text\":\"a\",\"array\":{}}", "array must be an array of 1 to 2 elements"},
        {"{\"text\":\"a\",\"array\":[]}", "array must be an array of 1 to 2 elements"},
        {"{\"text\":\"a\",\"array\":[1,2,3]}", "array must be an array of 1 to 2 elements"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *body = json_loads(rows[i].body, 0, NULL);
        struct thing thing = {0};
        struct err err = {0};
        int rc = request_read(fields, sizeof(fields) / sizeof(fields[0]), body, &thing, &err);

        assert_non_null(body);
        assert_int_equal(rc, rows[i].want == NULL ? 0 : -ERR_INVALID);
        assert_string_equal(err.text, rows[i].want == NULL ? "" : rows[i].want);
        json_decref(body);
    }
}

static void urls_of_webhooks(void **state)
{
    static const struct {
        const char *url;
        bool is_good;
    } rows[] = {
        {"", true},
        {"https://a.b/hook?x=1#f", true},
        {"HTTP://127.0.0.1:8080", true},
        {"http://[::1]/", true},
        {"ftp://a.b/", false},
        {"a.b/hook", false},
        {"//a.b/hook", false},
        {"http://", false},
        {"http:///path", false},
        {"http://:80/", false},
        {"http://user:pass@a.b/", false},
        {"http://a.b/a b", false},
        {"http://a.b/\n", false},
        {"http://a.b/\xc3\xa4", false},
        {"javascript:alert(1)", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        int rc = request_check_url("webhook_url", rows[i].url, &err);

        assert_int_equal(rc, rows[i].is_good ? 0 : -ERR_INVALID);
        assert_true(rows[i].is_good || strncmp(err.text, "webhook_url must be", 19) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_a_query),
        cmocka_unit_test(members_are_what_the_table_says),
        cmocka_unit_test(urls_of_webhooks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
