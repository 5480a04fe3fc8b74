#include <string.h>

#include "testkit/testkit.h"
#include "wa/wa_jid.h"

static void texts_that_are_addresses_come_back_the_same(void **state)
{
    static const char *const texts[] = {
        "491701234567@s.whatsapp.net",
        "491701234567:7@s.whatsapp.net",
        "100000000000001:99@hosted.lid",
        "1202-1500000000@g.us",
        "status@broadcast",
        "s.whatsapp.net",
        "g.us",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct wa_jid jid;
        char out[WA_JID_TEXT_MAX];

        assert_true(wa_jid_parse(texts[i], &jid));
        assert_string_equal(wa_jid_format(&jid, out), texts[i]);
    }
}

static void other_spellings_mean_the_same_address(void **state)
{
    static const char *const pairs[][2] = {
        {"@s.whatsapp.net", "s.whatsapp.net"},
        {"49170@c.us", "49170@s.whatsapp.net"},
        {"49170:0@s.whatsapp.net", "49170@s.whatsapp.net"},
        {"49170.0:3@s.whatsapp.net", "49170:3@s.whatsapp.net"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct wa_jid a;
        struct wa_jid b;

        assert_true(wa_jid_parse(pairs[i][0], &a));
        assert_true(wa_jid_parse(pairs[i][1], &b));
        assert_true(wa_jid_equal(&a, &b));
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "491701",
        "a@example.org",
        "1@",
        "1:@lid",
        "1:x@lid",
        "1:70000@lid",
        "1:123456@lid",
        "491:256@s.whatsapp.net",
        "491:300@lid",
        "1:256@hosted",
        "1:2@g.us",
        "1:2@broadcast",
        "1:65536@msgr",
        ":5@lid",
        "1@lid@lid",
        "1.0@lid",
        "1.0.0:2@lid",
        "12345678901234567890123456789012345678901234567890123456@lid",
    };
    struct wa_jid jid = {.device = 9};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(wa_jid_parse(texts[i], &jid));
        assert_int_equal(jid.device, 9);
    }
}

static void comparisons_tell_user_and_device_apart(void **state)
{
    struct wa_jid phone = wa_jid_make(WA_SERVER_PN, "49170", 0);
    struct wa_jid web = wa_jid_with_device(&phone, 7);
    struct wa_jid lid = wa_jid_make(WA_SERVER_LID, "49170", 0);
    struct wa_jid bare = wa_jid_bare(&web);
    struct wa_jid none = {0};
    char out[WA_JID_TEXT_MAX];

    (void)state;
    assert_true(wa_jid_same_user(&phone, &web));
    assert_false(wa_jid_equal(&phone, &web));
    assert_false(wa_jid_same_user(&phone, &lid));
    assert_true(wa_jid_equal(&phone, &bare));
    assert_true(wa_jid_compare(&phone, &web) < 0 && wa_jid_compare(&web, &phone) > 0);
    assert_true(wa_jid_is_none(&none) && !wa_jid_is_none(&phone));
    assert_true(wa_jid_is_user(&phone) && wa_jid_is_user(&lid) && !wa_jid_is_user(&none));
    assert_string_equal(wa_jid_format_ad(&phone, out), "49170.0:0@s.whatsapp.net");
    assert_string_equal(wa_jid_format(&none, out), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_addresses_come_back_the_same),
        cmocka_unit_test(other_spellings_mean_the_same_address),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(comparisons_tell_user_and_device_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
