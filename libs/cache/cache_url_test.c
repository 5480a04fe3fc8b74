#include "cache/cache_url.h"

#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"

static void parts_are_found(void **state)
{
    struct cache_url url;

    (void)state;
    assert_int_equal(cache_url_parse("redis://localhost", &url, NULL), 0);
    assert_string_equal(url.host, "localhost");
    assert_string_equal(url.port, "6379");
    assert_null(url.password);
    assert_int_equal(url.database, 0);
    cache_url_done(&url);
    assert_int_equal(cache_url_parse("redis://me:p%40%3a%2F@[::1]:7/3", &url, NULL), 0);
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.port, "7");
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "p@:/");
    assert_int_equal(url.database, 3);
    cache_url_done(&url);
    assert_int_equal(cache_url_parse("redis://:a@b@h:7/", &url, NULL), 0);
    assert_string_equal(url.password, "a@b");
    assert_null(url.user);
    cache_url_done(&url);
    assert_int_equal(cache_url_parse("unix:/run/redis.sock", &url, NULL), 0);
    assert_string_equal(url.path, "/run/redis.sock");
    cache_url_done(&url);
}

static void others_are_refused_without_showing_the_password(void **state)
{
    static const char *const bad[] = {
        "",
        "localhost:6379",
        "rediss://localhost",
        "redis://",
        "redis://:secret@",
        "redis://:secret@h:0",
        "redis://:secret@h:70000",
        "redis://:secret@h:1234567890",
        "redis://:secret@h/x",
        "redis://:secret%4@h",
        "redis://:secret%zz@h",
        "redis://:secret%00@h",
        "redis://secret@h",
        "redis://:secret@[::1",
        "redis://:secret@h:6379/1/2",
    };
    struct cache_url url;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(cache_url_parse(bad[i], &url, &err), -ERR_INVALID);
        assert_null(strstr(err.text, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(others_are_refused_without_showing_the_password),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
