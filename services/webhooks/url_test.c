#include "webhooks/url.h"

#include <stdio.h>
#include <string.h>

#include "testkit/testkit.h"

static void urls_of_one_place_have_one_text(void **state)
{
    static const struct {
        const char *url;
        const char *place;
    } cases[] = {
        {"http://Example.COM", "example.com:80"},
        {"http://example.com:80/a?b#c", "example.com:80"},
        {"HTTPS://example.com/", "example.com:443"},
        {"https://example.com:8443/", "example.com:8443"},
        {"http://user:secret@example.com/", "example.com:80"},
        {"http://127.0.0.1:08080/", "127.0.0.1:8080"},
        {"http://0x7f.1/", "127.0.0.1:80"},
        {"http://2130706433/", "127.0.0.1:80"},
        {"http://[::1]:9/", "[::1]:9"},
        {"http://[0:0::1]/", "[::1]:80"},
    };
    char place[URL_PLACE_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(url_place(cases[i].url, place));
        assert_string_equal(place, cases[i].place);
    }
}

static void what_is_no_web_address_has_no_place(void **state)
{
    static const char *const urls[] = {
        "",
        "http://",
        "http:",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:80:80/",
        "http://example.com:http/",
        "http://:80/",
        "http://[::1/",
        "http://[::g]/",
        "http://exa mple.com/",
        "http://example.com\n/",
    };
    char longest[URL_PLACE_MAX + 32];
    char place[URL_PLACE_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        if (url_place(urls[i], place)) {
            fail_msg("%s: %s", urls[i], place);
        }
    }
    (void)snprintf(longest, sizeof(longest), "http://%0*d.example/", URL_PLACE_MAX, 1);
    assert_false(url_place(longest, place));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_of_one_place_have_one_text),
        cmocka_unit_test(what_is_no_web_address_has_no_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
