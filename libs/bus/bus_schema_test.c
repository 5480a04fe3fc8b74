/* Records of older writers: schemas that lack members, or have them narrower or not nullable yet.
 */
#include "bus/bus_schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"

#define NEWEST                                                                     \
    "{\"type\":\"record\",\"name\":\"SendMessage\",\"fields\":["                   \
    "{\"name\":\"recipient\",\"type\":\"string\"},"                                \
    "{\"name\":\"kind\",\"type\":\"string\",\"default\":\"text\"},"                \
    "{\"name\":\"text\",\"type\":\"string\"},"                                     \
    "{\"name\":\"contact_name\",\"type\":[\"null\",\"string\"],\"default\":null}," \
    "{\"name\":\"not_after\",\"type\":[\"null\",\"long\"],\"default\":null},"      \
    "{\"name\":\"blast_id\",\"type\":[\"null\",\"string\"],\"default\":null},"     \
    "{\"name\":\"blast_index\",\"type\":[\"null\",\"int\"],\"default\":null},"     \
    "{\"name\":\"campaign_id\",\"type\":[\"null\",\"string\"],\"default\":null}]}"

static struct bus_schema *schema(const char *text, const struct record_type *type,
                                 const char *newest)
{
    struct bus_schema *made = NULL;
    struct err err = {0};

    if (bus_schema_new(text, newest, type, &made, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return made;
}

static void members_that_came_later_get_their_defaults(void **state)
{
    static const char first[] = "{\"type\":\"record\",\"name\":\"SendMessage\",\"fields\":["
                                "{\"name\":\"text\",\"type\":\"string\"},"
                                "{\"name\":\"recipient\",\"type\":\"string\"}]}";
    static const uint8_t body[] = "\x04hi\x06"
                                  "628";
    struct bus_schema *old = schema(first, &record_send_message_type, NEWEST);
    struct send_message got = {0};
    struct arena arena = {0};

    (void)state;
    assert_int_equal(bus_schema_check(old, (struct bytes){body, 7}, NULL), 0);
    assert_int_equal(bus_schema_read(old, (struct bytes){body, 7}, &arena, &got, NULL), 0);
    assert_string_equal(got.text, "hi");
    assert_string_equal(got.recipient, "628");
    assert_string_equal(got.kind, "text");
    assert_null(got.contact_name);
    assert_false(got.has_not_after);
    arena_done(&arena);
    bus_schema_free(&old);
}

static void narrower_numbers_and_dropped_members_are_read(void **state)
{
    static const char first[] =
        "{\"type\":\"record\",\"name\":\"SendMessage\",\"fields\":["
        "{\"name\":\"recipient\",\"type\":\"string\"},{\"name\":\"text\",\"type\":\"string\"},"
        "{\"name\":\"priority\",\"type\":{\"type\":\"array\",\"items\":\"string\"}},"
        "{\"name\":\"not_after\",\"type\":\"int\"},"
        "{\"name\":\"blast_index\",\"type\":[\"int\",\"null\"]}]}";
    static const uint8_t body[] = "\x02r\x02t\x02\x02p\x00\x0e\x00\x09";
    struct bus_schema *old = schema(first, &record_send_message_type, NEWEST);
    struct send_message got = {0};
    struct arena arena = {0};

    (void)state;
    assert_int_equal(bus_schema_check(old, (struct bytes){body, 11}, NULL), 0);
    assert_int_equal(bus_schema_read(old, (struct bytes){body, 11}, &arena, &got, NULL), 0);
    assert_true(got.has_not_after);
    assert_int_equal(got.not_after, 7);
    assert_true(got.has_blast_index);
    assert_int_equal(got.blast_index, -5);
    arena_done(&arena);
    bus_schema_free(&old);
}

static const char *newest_of(const char *subject)
{
    const char *text = NULL;

    for (size_t i = 0; i < schemas_n; i++) {
        if (strcmp(schemas[i].subject, subject) == 0) {
            text = schemas[i].text;
        }
    }
    return text;
}

/* A writer from before the last types of event were added. */
static void events_of_writers_that_knew_fewer_types_are_read(void **state)
{
    const char *newest = newest_of("wa.session.events.v1-value");
    json_t *json = json_loads(newest, 0, NULL);
    json_t *members = json_object_get(json, "fields");
    struct session_event event = {
        .event_id = "e",
        .aggregate_type = "session",
        .aggregate_id = "a",
        .actor_kind = "user",
        .session_key = "k",
        .kind = SESSION_EVENT_RENAMED,
        .as.renamed = {"Sales"},
    };
    struct session_event got = {0};
    struct bus_schema *old;
    struct arena arena = {0};
    struct buf out = {0};
    char *text;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(json_array_remove(members, json_array_size(members) - 1), 0);
    }
    text = json_dumps(json, 0);
    old = schema(text, &record_session_event_type, newest);
    assert_int_equal(bus_schema_write(old, &event, &out, NULL), 0);
    assert_int_equal(bus_schema_check(old, buf_bytes(&out), NULL), 0);
    assert_int_equal(bus_schema_read(old, buf_bytes(&out), &arena, &got, NULL), 0);
    assert_int_equal(got.kind, SESSION_EVENT_RENAMED);
    assert_string_equal(got.as.renamed.name, "Sales");
    bus_schema_free(&old);
    buf_done(&out);
    arena_done(&arena);
    free(text);
    json_decref(json);
}

/* An envelope member without a default cannot have come later. */
static void a_first_schema_without_the_envelope_is_refused(void **state)
{
    static const char first[] = "{\"type\":\"record\",\"name\":\"MessageCommand\",\"fields\":["
                                "{\"name\":\"command_id\",\"type\":\"string\"}]}";
    struct bus_schema *old = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(bus_schema_new(first, newest_of("wa.message.cmd.v1-value"),
                                    &record_message_command_type, &old, &err),
                     -ERR_INVALID);
    assert_non_null(strstr(err.text, "is new and has no default"));
}

static void null_for_a_member_that_must_be_there_is_refused(void **state)
{
    static const char first[] = "{\"type\":\"record\",\"name\":\"SendMessage\",\"fields\":["
                                "{\"name\":\"recipient\",\"type\":[\"null\",\"string\"]},"
                                "{\"name\":\"text\",\"type\":\"string\"}]}";
    struct bus_schema *old = schema(first, &record_send_message_type, NEWEST);
    struct send_message got = {0};
    struct arena arena = {0};
    struct err err = {0};
    static const uint8_t body[] = "\x00\x02t";

    (void)state;
    assert_int_equal(bus_schema_read(old, (struct bytes){body, 3}, &arena, &got, &err),
                     -ERR_INVALID);
    assert_string_equal(err.text, "recipient: is null");
    arena_done(&arena);
    bus_schema_free(&old);
}

static void schemas_that_do_not_fit_the_struct_are_refused(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {
        {"{", "not an Avro schema"},
        {"\"string\"", "not the schema of a record"},
        {"{\"type\":\"record\",\"name\":\"SendMessage\",\"fields\":["
         "{\"name\":\"text\",\"type\":\"long\"}]}",
         "member text has a type that does not fit"},
        {"{\"type\":\"record\",\"name\":\"SendMessage\",\"fields\":["
         "{\"name\":\"blast_index\",\"type\":\"long\"}]}",
         "member blast_index has a type that does not fit"},
        {"{\"type\":\"record\",\"name\":\"SendMessage\",\"fields\":["
         "{\"name\":\"text\",\"type\":\"string\"}]}",
         "member recipient is new and has no default of its type"},
    };
    struct bus_schema *made = NULL;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            bus_schema_new(bad[i].text, NEWEST, &record_send_message_type, &made, &err),
            -ERR_INVALID);
        assert_non_null(strstr(err.text, bad[i].why));
        assert_null(made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_that_came_later_get_their_defaults),
        cmocka_unit_test(narrower_numbers_and_dropped_members_are_read),
        cmocka_unit_test(events_of_writers_that_knew_fewer_types_are_read),
        cmocka_unit_test(a_first_schema_without_the_envelope_is_refused),
        cmocka_unit_test(null_for_a_member_that_must_be_there_is_refused),
        cmocka_unit_test(schemas_that_do_not_fit_the_struct_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
