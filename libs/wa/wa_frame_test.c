#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_frame.h"

static struct bytes of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void frames_come_out_whole_however_they_are_cut(void **state)
{
    struct buf stream = {0};

    (void)state;
    assert_int_equal(wa_frame_add(&stream, of("first"), NULL), 0);
    assert_int_equal(wa_frame_add(&stream, of(""), NULL), 0);
    assert_int_equal(wa_frame_add(&stream, of("the third"), NULL), 0);
    for (size_t step = 1; step <= stream.n; step++) {
        struct wa_frame_reader reader;
        struct buf got = {0};

        wa_frame_reader_init(&reader, 100);
        for (size_t at = 0; at < stream.n; at += step) {
            size_t n = step < stream.n - at ? step : stream.n - at;
            struct bytes in = {stream.p + at, n};
            struct bytes frame;

            while (wa_frame_next(&reader, &in, &frame, NULL) == 1) {
                buf_add(&got, frame.p, frame.n);
                buf_add_str(&got, "|");
            }
            assert_int_equal(in.n, 0);
        }
        assert_string_equal(buf_text(&got), "first||the third|");
        assert_null(reader.pending.p);
        buf_done(&got);
        wa_frame_reader_done(&reader);
    }
    buf_done(&stream);
}

static void a_frame_over_the_limit_is_refused_by_its_length_alone(void **state)
{
    struct wa_frame_reader reader;
    struct bytes in = {(const uint8_t *)"\x00\x00\x65", 3};
    struct bytes frame;

    (void)state;
    wa_frame_reader_init(&reader, 100);
    assert_int_equal(wa_frame_next(&reader, &in, &frame, NULL), -ERR_LIMIT);
    in = (struct bytes){(const uint8_t *)"\x00", 1};
    assert_int_equal(wa_frame_next(&reader, &in, &frame, NULL), 0);
    in = (struct bytes){(const uint8_t *)"\xff\xff", 2};
    assert_int_equal(wa_frame_next(&reader, &in, &frame, NULL), -ERR_LIMIT);
    wa_frame_reader_done(&reader);
}

/* Feed an intro and one frame in pieces of @step. */
static void assert_intro_reads(struct bytes stream, size_t step)
{
    struct wa_frame_reader reader;
    uint8_t prologue[WA_FRAME_PROLOGUE] = {0};
    struct bytes frame = {0};
    int rc = 0;

    wa_frame_reader_init(&reader, 100);
    while (stream.n > 0) {
        size_t n = step < stream.n ? step : stream.n;
        struct bytes in = {stream.p, n};

        if (prologue[0] == 0) {
            assert_true(wa_frame_intro(&reader, &in, prologue, NULL) >= 0);
        }
        if (prologue[0] != 0) {
            rc = wa_frame_next(&reader, &in, &frame, NULL);
        }
        stream.p += n;
        stream.n -= n;
    }
    assert_int_equal(rc, 1);
    assert_memory_equal(prologue, wa_frame_prologue, sizeof(prologue));
    assert_int_equal(frame.n, 5);
    assert_memory_equal(frame.p, "hello", 5);
    wa_frame_reader_done(&reader);
}

static void an_intro_is_read_with_and_without_routing(void **state)
{
    (void)state;
    for (int with = 0; with < 2; with++) {
        struct buf stream = {0};

        wa_frame_add_intro(&stream, of(with == 1 ? "route" : ""));
        assert_int_equal(stream.n, with == 1 ? 16 : 4);
        assert_int_equal(wa_frame_add(&stream, of("hello"), NULL), 0);
        for (size_t step = 1; step <= stream.n; step++) {
            assert_intro_reads(buf_bytes(&stream), step);
        }
        buf_done(&stream);
    }
}

static void another_intro_is_refused(void **state)
{
    static const char *const intros[] = {"WA\x06\x02", "WA\x05\x03", "GET / HTTP",
                                         "ED\x01\x01\x01\x01\x01"};

    (void)state;
    for (size_t i = 0; i < sizeof(intros) / sizeof(intros[0]); i++) {
        struct wa_frame_reader reader;
        struct bytes in = of(intros[i]);
        uint8_t prologue[WA_FRAME_PROLOGUE];

        wa_frame_reader_init(&reader, 100);
        assert_int_equal(wa_frame_intro(&reader, &in, prologue, NULL), -ERR_INVALID);
        wa_frame_reader_done(&reader);
    }
}

static void routing_has_a_limit(void **state)
{
    struct wa_frame_reader reader;
    struct bytes in = {(const uint8_t *)"ED\x00\x01\x00\x10\x01", 7};
    uint8_t prologue[WA_FRAME_PROLOGUE];

    (void)state;
    wa_frame_reader_init(&reader, 100);
    assert_int_equal(wa_frame_intro(&reader, &in, prologue, NULL), -ERR_LIMIT);
    wa_frame_reader_done(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_whole_however_they_are_cut),
        cmocka_unit_test(a_frame_over_the_limit_is_refused_by_its_length_alone),
        cmocka_unit_test(an_intro_is_read_with_and_without_routing),
        cmocka_unit_test(another_intro_is_refused),
        cmocka_unit_test(routing_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
