#include "testkit/testkit.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "http/http.h"
#include "http/http_json.h"
#include "http/http_parse.h"

static void clean_paths_pass(void **state)
{
    static const char *const good[] = {"/", "/a", "/a/", "/a/b%20c", "/api/sessions/1-2_3.x~"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(http_check_path(good[i], NULL), 0);
    }
}

static void tricky_paths_are_refused(void **state)
{
    static const char *const bad[] = {
        "",          "a",        "//",     "/a//b", "/./a", "/a/..",  "/a/../b", "/%00",
        "/a%2fb",    "/a%2Fb",   "/a%5cb", "/a\\b", "/a b", "/%4",    "/%zz",    "/a\x7f",
        "/\xc3\xa4", "/a%0d%0a", "/a%7f",  "/%ff",  "/%c3", "/%c0%af"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(http_check_path(bad[i], NULL), -ERR_INVALID);
    }
}

static void queries_are_taken_apart(void **state)
{
    struct arena arena = {0};
    struct http_pairs q = {0};

    (void)state;
    assert_int_equal(http_parse_query(&arena, "a=1&b=x%20y+z&&c&a=2&d=", &q, NULL), 0);
    assert_string_equal(http_pairs_find(&q, "a", false), "1");
    assert_string_equal(http_pairs_find(&q, "b", false), "x y z");
    assert_string_equal(http_pairs_find(&q, "c", false), "");
    assert_string_equal(http_pairs_find(&q, "d", false), "");
    assert_null(http_pairs_find(&q, "e", false));
    assert_int_equal(http_parse_query(&arena, NULL, &q, NULL), 0);
    assert_int_equal(q.n, 0);
    assert_int_equal(http_parse_query(&arena, "a=%00", &q, NULL), -ERR_INVALID);
    assert_int_equal(http_parse_query(&arena, "a=%ff", &q, NULL), -ERR_INVALID);
    assert_int_equal(http_parse_query(&arena, "a=%4", &q, NULL), -ERR_INVALID);
    arena_done(&arena);
}

static int framing_of(struct http_pair *pairs, size_t n, struct http_framing *out, struct err *err)
{
    const struct http_pairs headers = {pairs, n};

    return http_check_headers(&headers, out, err);
}

static void framing_is_unambiguous(void **state)
{
    struct http_framing f = {0};
    struct http_pair plain[] = {{"host", "a"}, {"content-length", "12"}};
    struct http_pair both[] = {
        {"Host", "a"}, {"Content-Length", "12"}, {"Transfer-Encoding", "chunked"}};
    struct http_pair twice[] = {{"Host", "a"}, {"Content-Length", "1"}, {"content-length", "1"}};
    struct http_pair tail[] = {{"Host", "a"}, {"Content-Length", "5abc"}};
    struct http_pair negative[] = {{"Host", "a"}, {"Content-Length", "-0"}};
    struct http_pair gzip[] = {{"Host", "a"}, {"Transfer-Encoding", "gzip, chunked"}};
    struct http_pair hosts[] = {{"Host", "a"}, {"host", "b"}};
    struct http_pair none[] = {{"Accept", "*"}};

    (void)state;
    assert_int_equal(framing_of(plain, 2, &f, NULL), 0);
    assert_int_equal(f.content_length, 12);
    assert_int_equal(framing_of(both, 3, &f, NULL), -ERR_INVALID);
    assert_int_equal(framing_of(twice, 3, &f, NULL), -ERR_INVALID);
    assert_int_equal(framing_of(tail, 2, &f, NULL), -ERR_INVALID);
    assert_int_equal(framing_of(negative, 2, &f, NULL), -ERR_INVALID);
    assert_int_equal(framing_of(gzip, 2, &f, NULL), -ERR_INVALID);
    assert_int_equal(framing_of(hosts, 2, &f, NULL), -ERR_INVALID);
    assert_int_equal(framing_of(none, 1, &f, NULL), -ERR_INVALID);
}

static void bearer_scheme_has_any_case(void **state)
{
    (void)state;
    assert_string_equal(http_bearer("bEARER  abc"), "abc");
    assert_null(http_bearer("Bearer "));
    assert_null(http_bearer("Bearerabc"));
    assert_null(http_bearer("Basic abc"));
    assert_null(http_bearer(NULL));
}

static void expect_json(const char *text, int want_rc, const char *want_text)
{
    json_t *json = NULL;
    struct err err = {0};
    int rc = http_json_parse((struct bytes){(const uint8_t *)text, strlen(text)}, &json, &err);

    assert_int_equal(rc, want_rc);
    if (want_text != NULL && strstr(err.text, want_text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, want_text);
    }
    assert_null(strstr(err.text, "hunter2"));
    json_decref(json);
}

static void lists_hold_whole_words(void **state)
{
    (void)state;
    assert_true(http_has_word("Upgrade", "upgrade"));
    assert_true(http_has_word("keep-alive ,\tUPGRADE \t", "upgrade"));
    assert_true(http_has_word("upgrade,", "upgrade"));
    assert_false(http_has_word("upgraded, xupgrade, up grade", "upgrade"));
    assert_false(http_has_word(" ,, ", "upgrade"));
    assert_false(http_has_word(NULL, "upgrade"));
}

static void json_errors_say_where_and_never_what(void **state)
{
    char deep[80];
    struct buf real = {0};

    (void)state;
    expect_json("", 0, NULL);
    expect_json(" \r\n", 0, NULL);
    expect_json("{\"a\":[\"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\"]}", 0, NULL);
    expect_json("[]", -ERR_INVALID, "not a JSON object");
    expect_json("{\"a\":1,}", -ERR_INVALID, "line 1, column");
    expect_json("{\"password\":\"hunter2\"\n hunter2}", -ERR_INVALID, "line 2");
    expect_json("{\"hunter2\":1,\"hunter2\":2}", -ERR_INVALID, "a name repeats");
    expect_json("{\"a\":\"\\u0000\"}", -ERR_INVALID, "column 13: \\u0000 in a string");
    expect_json("null", -ERR_INVALID, "not a JSON object");
    expect_json("{\"a\":1e999}", -ERR_INVALID, "line 1, column 10: real number overflow");
    expect_json("{} {}", -ERR_INVALID, "line 1, column 4: end of file expected");
    expect_json("{\"a\":\"\xff\"}", -ERR_INVALID, "line 1, column");
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = 0;
    expect_json(deep, -ERR_INVALID, "nested deeper than 32: line 1, column 33");
    deep[1] = '\n';
    expect_json(deep, -ERR_INVALID, "nested deeper than 32: line 2, column 32");
    buf_addf(&real, "{\"\xc3\xa4\":%s", deep + 2);
    expect_json(buf_text(&real), -ERR_INVALID, "line 1, column 37"); /* of characters */
    buf_done(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_paths_pass),
        cmocka_unit_test(tricky_paths_are_refused),
        cmocka_unit_test(queries_are_taken_apart),
        cmocka_unit_test(framing_is_unambiguous),
        cmocka_unit_test(bearer_scheme_has_any_case),
        cmocka_unit_test(lists_hold_whole_words),
        cmocka_unit_test(json_errors_say_where_and_never_what),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
