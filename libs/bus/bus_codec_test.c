#include "bus/bus_codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bus/bus_tester.h"
#include "testkit/testkit.h"

/* ---- tests ---- */

/* Encode, decode, encode again: the bytes say whether anything was lost on the way. */
static void round_trip(enum topic topic, int kind, uint64_t seed)
{
    struct arena arena = {0};
    struct buf first = {0};
    struct buf second = {0};
    struct err err = {0};
    void *again = arena_new0(&arena, topics[topic].type->size);

    if (bus_encode(topic, bus_any_record(topic, &arena, seed, kind), &first, &err) < 0 ||
        bus_decode(topic, buf_bytes(&first), &arena, again, &err) < 0 ||
        bus_encode(topic, again, &second, &err) < 0) {
        fail_msg("%s kind %d seed %u: %s", topics[topic].name, kind, (unsigned)seed, err.text);
    }
    assert_int_equal(first.n, second.n);
    assert_memory_equal(first.p, second.p, first.n);
    buf_done(&first);
    buf_done(&second);
    arena_done(&arena);
}

static void every_kind_of_every_topic_comes_back(void **state)
{
    (void)state;
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        int kinds = (int)topics[topic].type->cases_n;

        for (int kind = kinds > 0; kind <= kinds; kind++) {
            for (uint64_t seed = 1; seed <= 8; seed++) {
                round_trip((enum topic)topic, kind, seed);
            }
        }
    }
}

/* True: it is written, and what is written can be read: else it would be lost for every reader, and
 * with it, of an event, what comes behind it. */
static bool is_written(enum topic topic, int kind, uint64_t seed)
{
    struct arena arena = {0};
    struct buf out = {0};
    struct err err = {0};
    void *again = arena_new0(&arena, topics[topic].type->size);
    int rc = bus_encode(topic, bus_wild_record(topic, &arena, seed, kind), &out, &err);

    if (rc == 0 && bus_decode(topic, buf_bytes(&out), &arena, again, &err) < 0) {
        fail_msg("%s kind %d seed %u: %s", topics[topic].name, kind, (unsigned)seed, err.text);
    }
    buf_done(&out);
    arena_done(&arena);
    return rc == 0;
}

static void what_is_encoded_is_decoded(void **state)
{
    unsigned written = 0;
    unsigned all = 0;

    (void)state;
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        int kinds = (int)topics[topic].type->cases_n;

        for (uint64_t seed = 1; seed <= 100; seed++) {
            int kind = kinds > 0 ? 1 + (int)(seed % (uint64_t)kinds) : 0;

            written += is_written((enum topic)topic, kind, seed);
            all++;
        }
    }
    assert_true(written > 100 && all - written > 100);
}

static void the_items_of_all_lists_count(void **state)
{
    struct arena arena = {0};
    struct blast_recipients chunk = {.blast_id = "b", .upload_id = "u", .session_uuid = "s"};
    struct recipient person = {.phone = "1"};
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    chunk.recipients.n = 1;
    chunk.recipients.at = &person;
    person.variables.n = BUS_RECORD_ITEMS_MAX - 1;
    person.variables.at = arena_array0(&arena, BUS_RECORD_ITEMS_MAX, sizeof(struct record_pair));
    for (size_t i = 0; i < BUS_RECORD_ITEMS_MAX; i++) {
        person.variables.at[i].name = arena_printf(&arena, "%zu", i);
        person.variables.at[i].value = "";
    }
    assert_int_equal(bus_encode(TOPIC_BLAST_RECIPIENTS, &chunk, &out, &err), 0);
    person.variables.n++;
    assert_int_equal(bus_encode(TOPIC_BLAST_RECIPIENTS, &chunk, &out, &err), -ERR_LIMIT);
    assert_non_null(strstr(err.text, "items make more than the 50000 of a record"));
    buf_done(&out);
    arena_done(&arena);
}

static struct session_event renamed(void)
{
    return (struct session_event){
        .event_id = "e",
        .aggregate_type = "session",
        .aggregate_id = "a",
        .sequence = 3,
        .actor_kind = "user",
        .session_key = "sales",
        .user_id = 1,
        .kind = SESSION_EVENT_RENAMED,
        .as.renamed = {.name = "Büdi"},
    };
}

static void values_are_the_ones_that_were_written(void **state)
{
    struct session_event event = renamed();
    struct session_event got;
    struct buf out = {0};
    struct arena arena = {0};

    (void)state;
    event.event_type = "not looked at";
    event.schema_version = 99;
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, NULL), 0);
    assert_memory_equal(out.p, "\0\0\0\0\2", 5);
    assert_int_equal(bus_decode(TOPIC_SESSION_EVENTS, buf_bytes(&out), &arena, &got, NULL), 0);
    assert_string_equal(got.event_type, "SessionRenamed");
    assert_int_equal(got.schema_version, 1);
    assert_int_equal(got.sequence, 3);
    assert_null(got.correlation_id);
    assert_int_equal(got.kind, SESSION_EVENT_RENAMED);
    assert_string_equal(got.as.renamed.name, "Büdi");
    buf_done(&out);
    arena_done(&arena);
}

static void numbers_may_be_as_large_and_small_as_they_can(void **state)
{
    struct session_event event = renamed();
    struct session_event got;
    struct buf out = {0};
    struct arena arena = {0};

    (void)state;
    event.user_id = INT64_MAX;
    event.sequence = INT64_MIN;
    event.kind = SESSION_EVENT_CONNECTION_LOST;
    event.as.connection_lost =
        (struct session_connection_lost){.has_code = true, .code = INT32_MIN, .reason = ""};
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, NULL), 0);
    assert_int_equal(bus_decode(TOPIC_SESSION_EVENTS, buf_bytes(&out), &arena, &got, NULL), 0);
    assert_true(got.user_id == INT64_MAX && got.sequence == INT64_MIN);
    assert_true(got.as.connection_lost.has_code && got.as.connection_lost.code == INT32_MIN);
    buf_done(&out);
    arena_done(&arena);
}

static void the_body_is_the_record_without_its_frame(void **state)
{
    struct session_event event = renamed();
    struct buf whole = {0};
    struct buf body = {0};

    (void)state;
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &whole, NULL), 0);
    assert_int_equal(bus_encode_body(TOPIC_SESSION_EVENTS, &event, &body, NULL), 0);
    assert_int_equal(bus_body(buf_bytes(&whole)).n, body.n);
    assert_memory_equal(bus_body(buf_bytes(&whole)).p, body.p, body.n);
    assert_int_equal(bus_body((struct bytes){body.p, 4}).n, 0);
    buf_done(&whole);
    buf_done(&body);
}

static void encoding_names_the_member_that_is_wrong(void **state)
{
    struct session_event event = renamed();
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    buf_add_str(&out, "before");
    event.as.renamed.name = NULL;
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, &err), -ERR_INVALID);
    assert_string_equal(err.text, "wa.session.events.v1: renamed: name: must not be null");
    event.as.renamed.name = "\xff";
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, &err), -ERR_INVALID);
    assert_string_equal(err.text, "wa.session.events.v1: renamed: name: is not UTF-8 text");
    event.kind = SESSION_EVENT_NONE;
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "unknown kind 0"));
    assert_int_equal(out.n, 6);
    buf_done(&out);
}

static void a_record_over_the_limit_is_refused(void **state)
{
    struct dead_letter letter = {.service = "s", .source_topic = "t", .reason = "r"};
    struct buf out = {0};
    struct err err = {0};

    struct buf value = {0};

    (void)state;
    letter.value = (struct bytes){buf_room(&value, BUS_RECORD_MAX), BUS_RECORD_MAX};
    memset(value.p, 0, BUS_RECORD_MAX);
    assert_int_equal(bus_encode(TOPIC_DLQ, &letter, &out, &err), -ERR_LIMIT);
    letter.value.n = BUS_RECORD_MAX - 100;
    assert_int_equal(bus_encode(TOPIC_DLQ, &letter, &out, &err), 0);
    buf_done(&value);
    buf_done(&out);
}

/* ---- what a peer may send ---- */

static int decode(enum topic topic, const struct buf *from, struct err *err)
{
    struct arena arena = {0};
    void *record = mem_new0(topics[topic].type->size);
    int rc = bus_decode(topic, buf_bytes(from), &arena, record, err);

    free(record);
    arena_done(&arena);
    return rc;
}

static void frames_of_others_are_refused(void **state)
{
    struct session_event event = renamed();
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(decode(TOPIC_DLQ, &out, &err), -ERR_INVALID);
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, NULL), 0);
    assert_int_equal(decode(TOPIC_SESSION_CMD, &out, &err), -ERR_INVALID);
    assert_string_equal(err.text,
                        "wa.session.cmd.v1: schema id 2 is of wa.session.events.v1-value");
    out.p[3] = 1;
    assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), -ERR_NOT_FOUND);
    out.p[0] = 1;
    assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), -ERR_INVALID);
    buf_done(&out);
}

static void a_time_of_no_calendar_is_refused(void **state)
{
    static const struct {
        int64_t at_us;
        int rc;
    } cases[] = {
        {0, 0},
        {INT64_C(253402300799999999), 0},
        {INT64_C(253402300800000000), -ERR_INVALID},
        {-INT64_C(253402300799999999), 0},
        {INT64_MIN, -ERR_INVALID},
        {INT64_MAX, -ERR_INVALID},
    };
    static const char last[] =
        "\xfe\xff\x9a\xc7\x99\x83\xa2\x84\x07"; /* 253402300799999999 on the wire */
    struct session_event event = renamed();
    struct buf out = {0};
    struct err err = {0};
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&out);
        event.occurred_at = cases[i].at_us;
        assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, &err), cases[i].rc);
        if (cases[i].rc == 0) {
            assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), 0);
        }
    }
    assert_string_equal(err.text,
                        "wa.session.events.v1: occurred_at: 9223372036854775807 is no time");
    event.occurred_at = INT64_C(253402300799999999);
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, NULL), 0);
    while (memcmp(out.p + at, last, sizeof(last) - 1) != 0) {
        at++;
        assert_true(at + sizeof(last) <= out.n);
    }
    out.p[at + 2]++; /* as others might write it */
    assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), -ERR_INVALID);
    assert_string_equal(err.text,
                        "wa.session.events.v1: occurred_at: 253402300800008191 is no time");
    buf_done(&out);
}

static void every_cut_and_every_byte_too_many_is_refused(void **state)
{
    struct session_event event = renamed();
    struct buf out = {0};
    struct err err = {0};
    size_t whole;

    (void)state;
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, NULL), 0);
    whole = out.n;
    for (size_t n = 0; n < whole; n++) {
        struct buf cut = {.p = out.p, .n = n};

        assert_int_equal(decode(TOPIC_SESSION_EVENTS, &cut, &err), -ERR_INVALID);
    }
    buf_add_u8(&out, 0);
    assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "1 bytes too many"));
    buf_done(&out);
}

static void rejection(struct buf *out, const char *body, size_t n)
{
    buf_clear(out);
    buf_add(out, "\0\0\0\0\x09", 5);
    buf_add(out, body, n);
}

static void text_that_is_none_and_lengths_that_lie_are_refused(void **state)
{
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    rejection(&out,
              "\x02r\x02"
              "c\x02m\x00",
              7);
    assert_int_equal(decode(TOPIC_BLAST_REJECTIONS, &out, &err), 0);
    rejection(&out, "\x02r\x04\xc0\x80\x02m\x00", 8); /* an overlong NUL */
    assert_int_equal(decode(TOPIC_BLAST_REJECTIONS, &out, &err), -ERR_INVALID);
    assert_string_equal(err.text, "wa.blast.rejections.v1: code: is not UTF-8 text without NUL");
    rejection(&out, "\x02r\x02\x00\x02m\x00", 7);
    assert_int_equal(decode(TOPIC_BLAST_REJECTIONS, &out, &err), -ERR_INVALID);
    rejection(&out, "\x80\x80\x80\x80\x08r", 6); /* a gigabyte */
    assert_int_equal(decode(TOPIC_BLAST_REJECTIONS, &out, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "request_id: announces more bytes"));
    rejection(&out,
              "\x03r\x02"
              "c\x02m\x00",
              7); /* minus two */
    assert_int_equal(decode(TOPIC_BLAST_REJECTIONS, &out, &err), -ERR_INVALID);
    rejection(&out, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10);
    assert_int_equal(decode(TOPIC_BLAST_REJECTIONS, &out, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "64 bits"));
    buf_done(&out);
}

static void lists_of_nothing_are_bounded(void **state)
{
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    buf_add(&out, "\0\0\0\0\x06", 5);
    buf_add(&out, "\x00\x00\x00\x02\x00", 5);
    buf_add(&out, "\xfe\xff\xff\xff\x0f", 5); /* two thousand million recipients */
    assert_int_equal(decode(TOPIC_BLAST_RECIPIENTS, &out, &err), -ERR_LIMIT);
    assert_non_null(strstr(err.text, "items make more than the 50000 of a record"));
    buf_done(&out);
}

static void exactly_one_payload_is_set(void **state)
{
    struct session_event event = renamed();
    struct buf out = {0};
    struct err err = {0};
    size_t renamed_at;

    (void)state;
    assert_int_equal(bus_encode(TOPIC_SESSION_EVENTS, &event, &out, NULL), 0);
    /* 21 members: created null, renamed {6 bytes and a length}, 19 times null */
    renamed_at = out.n - 19 - 7;
    assert_int_equal(out.p[renamed_at], 2);
    out.p[out.n - 1] = 2; /* deleted, which has no members, is set too */
    assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), -ERR_INVALID);
    assert_string_equal(err.text, "wa.session.events.v1: deleted: set beside renamed, exactly one "
                                  "may be");
    out.p[out.n - 1] = 0;
    memset(out.p + renamed_at, 0, 20);
    out.n = renamed_at + 20;
    assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "none of its payloads is set"));
    out.p[out.n - 1] = 2;
    assert_int_equal(decode(TOPIC_SESSION_EVENTS, &out, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "event_type: is not the name of its payload deleted"));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_every_topic_comes_back),
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(the_items_of_all_lists_count),
        cmocka_unit_test(values_are_the_ones_that_were_written),
        cmocka_unit_test(numbers_may_be_as_large_and_small_as_they_can),
        cmocka_unit_test(a_time_of_no_calendar_is_refused),
        cmocka_unit_test(the_body_is_the_record_without_its_frame),
        cmocka_unit_test(encoding_names_the_member_that_is_wrong),
        cmocka_unit_test(a_record_over_the_limit_is_refused),
        cmocka_unit_test(frames_of_others_are_refused),
        cmocka_unit_test(every_cut_and_every_byte_too_many_is_refused),
        cmocka_unit_test(text_that_is_none_and_lengths_that_lie_are_refused),
        cmocka_unit_test(lists_of_nothing_are_bounded),
        cmocka_unit_test(exactly_one_payload_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
