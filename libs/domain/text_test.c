/* Texts that people and programs write: phones, JIDs, session keys, templates, configs; and ids. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "domain/blast_config.h"
#include "domain/event_names.h"
#include "domain/fixed.h"
#include "domain/ids.h"
#include "domain/phone.h"
#include "domain/template.h"
#include "testkit/testkit.h"

static void phones_are_international_numbers(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"6281233784490", "6281233784490"},
        {"+6281233784490", "6281233784490"},
        {"+1234567890", "1234567890"},
        {"12345678", "12345678"},
        {"490123456789012", "490123456789012"},
        {"35312345678", "35312345678"},
        {"081233784490", NULL},
        {"+081233784490", NULL},
        {"1234567", NULL},
        {"1234567890123456", NULL},
        {"++6281233784490", NULL},
        {"62 812 3378 4490", NULL},
        {"62812-33784490", NULL},
        {"", NULL},
        {"+", NULL},
        {"6281233784490@s.whatsapp.net", NULL},
        {"21012345678", NULL}, /* 210 is not assigned */
        {"28312345678", NULL},
        {"99912345678", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char got[PHONE_MAX] = "untouched";
        int rc = phone_parse(cases[i].text, got);

        assert_int_equal(rc, cases[i].want != NULL ? 0 : -ERR_INVALID);
        assert_string_equal(got, cases[i].want != NULL ? cases[i].want : "untouched");
    }
}

static void a_message_goes_to_a_phone_a_user_or_a_group(void **state)
{
    static const struct {
        const char *text;
        int kind; /* -1: refused */
        const char *phone, *jid;
    } cases[] = {
        {"+6281233784490", DESTINATION_PHONE, "6281233784490", "6281233784490@s.whatsapp.net"},
        {"6281233784490", DESTINATION_PHONE, "6281233784490", "6281233784490@s.whatsapp.net"},
        {"6281233784490@s.whatsapp.net", DESTINATION_USER, "6281233784490",
         "6281233784490@s.whatsapp.net"},
        {"120363041234567890@g.us", DESTINATION_GROUP, "", "120363041234567890@g.us"},
        {"6281233784490-1609459200@g.us", DESTINATION_GROUP, "", "6281233784490-1609459200@g.us"},
        {"6281233784490:4@s.whatsapp.net", -1, NULL, NULL},
        {"+6281233784490@s.whatsapp.net", -1, NULL, NULL},
        {"081233784490@s.whatsapp.net", -1, NULL, NULL},
        {"@g.us", -1, NULL, NULL},
        {"1-@g.us", -1, NULL, NULL},
        {"1-2-3@g.us", -1, NULL, NULL},
        {"9001@lid", -1, NULL, NULL},
        {"", -1, NULL, NULL},
        {"1111111111111111111111111111111111111111111111111111111111111@g.us", -1, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct destination got = {0};

        if (cases[i].kind < 0) {
            assert_int_equal(destination_parse(cases[i].text, &got), -ERR_INVALID);
            continue;
        }
        assert_int_equal(destination_parse(cases[i].text, &got), 0);
        assert_int_equal(got.kind, cases[i].kind);
        assert_string_equal(got.phone, cases[i].phone);
        assert_string_equal(got.jid, cases[i].jid);
    }
}

static void a_session_key_cannot_be_taken_for_another_id(void **state)
{
    static const char *const good[] = {
        "wa_business_main", "1234567890",
        "session_sales",    "a",
        "0123456789",       "Connected",
        "1234abc",          "a123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const bad[] = {
        "",
        "1",
        "123456789",
        "all",
        "connected",
        "a b",
        "a/b",
        "caf\xc3\xa9",
        "0123456789abcdef0123456789ABCDEF",
        "01234567-89ab-cdef-0123-456789ABCDEF",
        "a1234567890123456789012345678901234567890123456789012345678901234"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(session_key_is_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(session_key_is_valid(bad[i]));
    }
}

static void templates_take_values_literally(void **state)
{
    static const struct {
        const char *template, *want;
        unsigned missing;
    } cases[] = {
        {"Hi {{name}}, your code is {{code}}", "Hi Budi, your code is {{phone}}", 0},
        {"{{ name }}{{  phone  }}", "Budi6281233784490", 0},
        {"{{contact_name}}", "Budi", 0},
        {"{{nothing}} and {{nothing}}", " and ", 2},
        {"{{Name}}", "", 1},
        {"{{}} {{ }} {{1a}} {{a b}} {{a-b}} {{a} }}", "{{}} {{ }} {{1a}} {{a b}} {{a-b}} {{a} }}",
         0},
        {"{{{name}}}", "{Budi}", 0},
        {"{{name", "{{name", 0},
        {"{{name}", "{{name}", 0},
        {"{{empty}}", "", 0},
        {"{{\tname}}", "{{\tname}}", 0},
        {"caf\xc3\xa9 {{name}}", "caf\xc3\xa9 Budi", 0},
        {"", "", 0},
    };
    struct record_pair pairs[] = {{"code", "{{phone}}"}, {"empty", ""}};
    struct record_map variables = {2, pairs};
    struct template_values values = {"6281233784490", "Budi", &variables};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        unsigned missing = 99;

        assert_int_equal(template_render(cases[i].template, &values, &out, &missing), 0);
        assert_string_equal(buf_text(&out), cases[i].want);
        assert_int_equal(missing, cases[i].missing);
        buf_done(&out);
    }
}

static void a_variable_of_the_name_wins_over_the_contact(void **state)
{
    struct record_pair pairs[] = {{"name", "Pak Budi"}};
    struct record_map variables = {1, pairs};
    struct template_values values = {"62", NULL, &variables};
    struct buf out = {0};
    unsigned missing = 0;

    (void)state;
    assert_int_equal(template_render("{{name}}/{{contact_name}}", &values, &out, &missing), 0);
    assert_string_equal(buf_text(&out), "Pak Budi/");
    assert_int_equal(missing, 1);
    buf_done(&out);
}

static void a_rendered_text_has_a_limit(void **state)
{
    static char big[40001];
    struct record_pair pairs[] = {{"big", big}};
    struct record_map variables = {1, pairs};
    struct template_values values = {"62", NULL, &variables};
    struct buf out = {0};

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    buf_add_str(&out, "before");
    assert_int_equal(template_render("{{big}}", &values, &out, NULL), 0);
    assert_int_equal(template_render("{{big}}{{big}}", &values, &out, NULL), -ERR_LIMIT);
    assert_int_equal(out.n, 6 + 40000);
    buf_done(&out);
}

static void a_config_is_read_over_the_defaults(void **state)
{
    struct blast_config defaults = blast_config_default();
    struct blast_config got = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(blast_config_from_json(NULL, &defaults, &got, &err), 0);
    assert_int_equal(got.message_delay.min_ms, 1000);
    assert_int_equal(got.contact_delay.max_ms, 5000);
    assert_false(got.hours.enabled);
    assert_int_equal(blast_config_from_json(
                         "{\"contactDelay\":{\"min\":10,\"max\":10},\"note\":[1],"
                         "\"businessHours\":{\"enabled\":true,\"startHour\":9,\"endHour\":17}}",
                         &defaults, &got, &err),
                     0);
    assert_int_equal(got.message_delay.max_ms, 3000);
    assert_int_equal(got.contact_delay.min_ms, 10);
    assert_true(got.hours.enabled);
    assert_int_equal(got.hours.end_hour, 17);
    assert_int_equal(
        blast_config_from_json("{\"businessHours\":{\"enabled\":false}}", &defaults, &got, &err),
        0);
    assert_false(got.hours.has_hours);
    assert_true(hours_are_valid(&got.hours));
}

static void a_bad_config_says_what_is_wrong(void **state)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        {"[]", "config: not a JSON object"},
        {"null", "config: not a JSON object"},
        {"{\"messageDelay\":\n}", "config: not JSON: line 2, column 1"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "config: nested deeper than 32"},
        {"{\"messageDelay\":5}", "config: messageDelay is not an object"},
        {"{\"messageDelay\":{\"min\":5}}", "config: messageDelay: max is not an integer"},
        {"{\"messageDelay\":{\"min\":5,\"max\":4}}", "config: messageDelay: min is over max"},
        {"{\"contactDelay\":{\"min\":-1,\"max\":4}}",
         "config: contactDelay: min is not within 0 and 86400000"},
        {"{\"contactDelay\":{\"min\":1.5,\"max\":4}}",
         "config: contactDelay: min is not an integer"},
        {"{\"businessHours\":{}}", "config: businessHours: enabled is not true or false"},
        {"{\"businessHours\":{\"enabled\":true}}",
         "config: businessHours: startHour is not an integer"},
        {"{\"businessHours\":{\"enabled\":true,\"startHour\":9,\"endHour\":9}}",
         "config: businessHours: startHour equals endHour"},
        {"{\"businessHours\":{\"enabled\":true,\"startHour\":24,\"endHour\":9}}",
         "config: businessHours: startHour is not within 0 and 23"},
        {"{\"businessHours\":{\"enabled\":true,\"startHour\":0,\"endHour\":25}}",
         "config: businessHours: endHour is not within 1 and 24"},
    };
    struct blast_config defaults = blast_config_default();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct blast_config got = {0};
        struct err err = {0};

        assert_int_equal(blast_config_from_json(cases[i].json, &defaults, &got, &err),
                         -ERR_INVALID);
        assert_string_equal(err.text, cases[i].want);
        assert_int_equal(got.message_delay.max_ms, 0);
    }
}

static void ids_repeat_for_the_same_thing_alone(void **state)
{
    char key[BLAST_KEY_MAX];
    const char *blast = "b1a57000-0000-7000-8000-000000000001";

    (void)state;
    assert_string_equal(session_uuid(1, "sales").text, session_uuid(1, "sales").text);
    assert_string_not_equal(session_uuid(1, "sales").text, session_uuid(2, "sales").text);
    assert_string_not_equal(blast_message_uuid(blast, 1).text, blast_message_uuid(blast, 11).text);
    assert_string_equal(blast_message_uuid(blast, 7).text, uuid_v5("message:%s:7", blast).text);
    assert_string_equal(event_uuid(blast, 3).text, uuid_v5("event:%s:3", blast).text);
    assert_string_not_equal(idempotent_uuid(1, "message", "s", "k").text,
                            idempotent_uuid(2, "message", "s", "k").text);
    blast_key_format(INT64_C(1757246400000), 1, key);
    assert_string_equal(key, "blast_20250907_001");
    blast_key_format(INT64_C(1772323199999), 12345, key); /* the last moment of a February */
    assert_string_equal(key, "blast_20260228_12345");
    blast_key_format(INT64_C(1709164800000), 999, key);
    assert_string_equal(key, "blast_20240229_999");
}

static void texts_are_cut_between_characters_and_made_printable(void **state)
{
    char small[6];

    (void)state;
    FIXED_COPY(small, "abcd\xc3\xa9");
    assert_string_equal(small, "abcd");
    FIXED_COPY(small, "abc\xc3\xa9");
    assert_string_equal(small, "abc\xc3\xa9");
    FIXED_COPY(small, "a\xff\xc3");
    assert_string_equal(small, "a??");
    FIXED_COPY(small, NULL);
    assert_string_equal(small, "");
}

static void subscriptions_keep_known_names(void **state)
{
    static const char *names[] = {"All", "x", "Message"};
    const char *list[EVENT_NAME_COUNT];
    struct record_strings given = {3, names};

    (void)state;
    assert_int_equal(event_names_list(event_names_set(&given), list), 2);
    assert_string_equal(list[0], "Message");
    assert_string_equal(list[1], "All");
    assert_string_equal(event_name_text(EVENT_NAME_PAIR_SUCCESS), "PairSuccess");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phones_are_international_numbers),
        cmocka_unit_test(a_message_goes_to_a_phone_a_user_or_a_group),
        cmocka_unit_test(a_session_key_cannot_be_taken_for_another_id),
        cmocka_unit_test(templates_take_values_literally),
        cmocka_unit_test(a_variable_of_the_name_wins_over_the_contact),
        cmocka_unit_test(a_rendered_text_has_a_limit),
        cmocka_unit_test(a_config_is_read_over_the_defaults),
        cmocka_unit_test(a_bad_config_says_what_is_wrong),
        cmocka_unit_test(ids_repeat_for_the_same_thing_alone),
        cmocka_unit_test(texts_are_cut_between_characters_and_made_printable),
        cmocka_unit_test(subscriptions_keep_known_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
