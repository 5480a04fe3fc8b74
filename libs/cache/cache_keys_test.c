#include "cache/cache_keys.h"

#include <string.h>

#include "testkit/testkit.h"

static void keys_carry_what_they_are_of(void **state)
{
    (void)state;
    assert_string_equal(cache_key_runtime("u").text, "sess:u:rt");
    assert_string_equal(cache_key_qr("u").text, "sess:u:qr");
    assert_string_equal(cache_key_watch("u").text, "sess:u:watch");
    assert_string_equal(cache_channel_session("u").text, "sess:u");
    assert_string_equal(cache_key_reply("c").text, "reply:c");
    assert_string_equal(cache_channel_replies("i").text, "replies:i");
    assert_string_equal(cache_key_applied("a").text, "applied:a");
    assert_string_equal(cache_channel_applied().text, "applied");
    assert_string_equal(cache_key_idempotency(7, "k").text, "idem:7:k");
    assert_string_equal(cache_key_rate("p").text, "rl:api:p");
    assert_string_equal(cache_key_api_key("ff").text, "key:ff");
    assert_string_equal(cache_key_known(0xabc).text, "known:0000000000000abc");
}

static void long_keys_stay_apart(void **state)
{
    char one[600];
    char two[600];

    (void)state;
    memset(one, 'a', sizeof(one));
    one[sizeof(one) - 1] = '\0';
    memcpy(two, one, sizeof(two));
    two[sizeof(two) - 2] = 'b';
    assert_string_not_equal(cache_key_idempotency(1, one).text, cache_key_idempotency(1, two).text);
    assert_int_equal(strlen(cache_key_idempotency(1, one).text), CACHE_KEY_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_carry_what_they_are_of),
        cmocka_unit_test(long_keys_stay_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
