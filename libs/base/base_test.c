#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/uuid.h"
#include "testkit/testkit.h"

static void an_error_keeps_its_code_and_gains_context(void **state)
{
    struct err err = {0};
    int rc = err_set(&err, ERR_INVALID, "row %d", 7);

    (void)state;
    rc = err_wrap(&err, rc, "file %s", "a.csv");
    assert_int_equal(rc, -ERR_INVALID);
    assert_string_equal(err.text, "file a.csv: row 7");
    assert_string_equal(err_name(rc), "INVALID");
    assert_int_equal(err_action(-ERR_UNCERTAIN), ERR_ACTION_CHECK);
}

static void an_array_with_room_for_one_more_doubles(void **state)
{
    struct arena arena = {0};
    int *list = NULL;
    size_t cap = 0;

    (void)state;
    for (size_t n = 0; n < 1000; n++) {
        list = mem_room(list, n, &cap, sizeof(*list));
        assert_true(n < cap);
        list[n] = (int)n;
    }
    assert_int_equal(cap, 1024);
    assert_int_equal(list[999], 999);
    free(list);
    list = NULL;
    cap = 0;
    for (size_t n = 0; n < 1000; n++) {
        list = arena_room(&arena, list, n, &cap, sizeof(*list));
        list[n] = (int)n;
    }
    assert_int_equal(list[0] + list[999], 999);
    arena_done(&arena);
}

static void a_buffer_grows_and_drops_its_front(void **state)
{
    struct buf buf = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        buf_addf(&buf, "%03d", i);
    }
    buf_drop_front(&buf, 2997);
    assert_string_equal(buf_text(&buf), "999");
    buf_clear(&buf);
    buf_add_be(&buf, 0x010203, 3);
    assert_memory_equal(buf.p, "\x01\x02\x03", 3);
    buf_done(&buf);
}

static void an_arena_hands_out_zeroed_memory_again_after_reset(void **state)
{
    struct arena arena = {0};

    (void)state;
    memset(arena_new0(&arena, 100), 0xff, 100);
    arena_reset(&arena);
    for (int i = 0; i < 100; i++) {
        const char *p = arena_new0(&arena, 1);

        assert_int_equal(*p, 0);
    }
    assert_string_equal(arena_printf(&arena, "%s-%d", "x", 5), "x-5");
    assert_non_null(arena_new0(&arena, 100000));
    arena_done(&arena);
}

static void uuids_carry_version_and_repeat_for_a_name(void **state)
{
    struct uuid a = uuid_v5("session:%d:%s", 1, "sales");
    struct uuid b = uuid_v5("session:1:sales");
    struct uuid c = uuid_v7(1735689600000);

    (void)state;
    assert_string_equal(a.text, b.text);
    assert_string_not_equal(a.text, uuid_v5("session:1:support").text);
    assert_int_equal(a.text[14], '5');
    assert_int_equal(c.text[14], '7');
    assert_memory_equal(c.text, "01941f29-7c00", 13);
    assert_true(uuid_is_valid(a.text) && uuid_is_valid(c.text));
    assert_false(uuid_is_valid("01941F29-7c00-7000-8000-000000000000"));
}

static void hex_and_base64_go_there_and_back_and_refuse_rubbish(void **state)
{
    struct buf text = {0};
    struct buf raw = {0};

    (void)state;
    text_base64(&text, (struct bytes){(const uint8_t *)"\xff\xfe\xfd", 3}, TEXT_BASE64);
    assert_string_equal(buf_text(&text), "//79");
    assert_int_equal(text_unbase64(&raw, "//79", 4, TEXT_BASE64), 0);
    assert_memory_equal(raw.p, "\xff\xfe\xfd", 3);
    assert_int_equal(text_unbase64(&raw, "//7", 3, TEXT_BASE64), -ERR_INVALID);
    assert_int_equal(raw.n, 3);
    assert_int_equal(text_unhex(&raw, "0aXY", 4), -ERR_INVALID);
    assert_int_equal(text_unhex(&raw, "0aff", 4), 0);
    assert_int_equal(raw.n, 5);
    buf_done(&text);
    buf_done(&raw);
}

static void hex_digits_have_values_in_both_cases(void **state)
{
    static const char digits[] = "0123456789abcdef";

    (void)state;
    for (int c = CHAR_MIN; c <= CHAR_MAX; c++) {
        const char *found = c == 0 ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

        assert_int_equal(text_hex_digit((char)c), found == NULL ? -1 : found - digits);
    }
}

static void numbers_and_utf8_are_checked_whole(void **state)
{
    int64_t n = 0;

    (void)state;
    assert_true(text_to_int("42", 0, 100, &n) && n == 42);
    assert_false(text_to_int("42x", 0, 100, &n));
    assert_false(text_to_int(" 42", 0, 100, &n));
    assert_false(text_to_int("101", 0, 100, &n));
    assert_true(text_is_utf8((struct bytes){(const uint8_t *)"h\xc3\xa9\xf0\x9f\x99\x82", 7}));
    assert_false(text_is_utf8((struct bytes){(const uint8_t *)"\xc0\xaf", 2}));
    assert_false(text_is_utf8((struct bytes){(const uint8_t *)"\xed\xa0\x80", 3}));
    assert_false(text_is_utf8((struct bytes){(const uint8_t *)"a\0b", 3}));
}

static void a_text_is_clipped_at_a_characters_end(void **state)
{
    static const char text[] = "h\xc3\xa9\xf0\x9f\x99\x82"; /* of 1, 2 and 4 bytes */
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 3, 7, 7};

    (void)state;
    for (size_t max = 0; max < sizeof(want) / sizeof(want[0]); max++) {
        assert_int_equal(text_clip(text, max), want[max]);
    }
}

static void nesting_counts_outside_of_strings(void **state)
{
    static const struct {
        const char *before;
        size_t brackets;
        size_t want; /* SIZE_MAX: fine */
    } rows[] = {
        {"", TEXT_JSON_DEPTH_MAX, SIZE_MAX},
        {"", TEXT_JSON_DEPTH_MAX + 1, TEXT_JSON_DEPTH_MAX},
        {"[]{}]]}", TEXT_JSON_DEPTH_MAX + 1, 7 + TEXT_JSON_DEPTH_MAX},
        {"\"", 1000, SIZE_MAX},
        {"\"\\\"", 1000, SIZE_MAX},
        {"\"\\\\\"", TEXT_JSON_DEPTH_MAX + 1, 4 + TEXT_JSON_DEPTH_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text = {0};

        buf_add_str(&text, rows[i].before);
        for (size_t n = 0; n < rows[i].brackets; n++) {
            buf_add_u8(&text, n % 2 == 0 ? '{' : '[');
        }
        assert_int_equal(text_json_too_deep(buf_bytes(&text)),
                         rows[i].want == SIZE_MAX ? text.n : rows[i].want);
        buf_done(&text);
    }
}

static void times_are_written_in_utc(void **state)
{
    char out[CLOCK_TEXT_MAX];

    (void)state;
    assert_string_equal(clock_format_s(1757241000000, out), "2025-09-07T10:30:00Z");
    assert_string_equal(clock_format_ms(1753427397575, out), "2025-07-25T07:09:57.575Z");
}

static void a_crash_point_ends_the_process_the_nth_time_and_no_other_does(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        if (crash_setup("a.after.commit@2", NULL) < 0) {
            _exit(1);
        }
        crash_point("a", "before.commit");
        crash_point("b", "after.commit");
        crash_point("a", "after.commit");
        crash_point("a", "after.commit");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 137);
    assert_int_equal(crash_setup("a.after.commit@0", NULL), -ERR_INVALID);
    assert_int_equal(crash_setup("@1", NULL), -ERR_INVALID);
    assert_int_equal(crash_setup(NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_keeps_its_code_and_gains_context),
        cmocka_unit_test(an_array_with_room_for_one_more_doubles),
        cmocka_unit_test(a_buffer_grows_and_drops_its_front),
        cmocka_unit_test(an_arena_hands_out_zeroed_memory_again_after_reset),
        cmocka_unit_test(uuids_carry_version_and_repeat_for_a_name),
        cmocka_unit_test(hex_and_base64_go_there_and_back_and_refuse_rubbish),
        cmocka_unit_test(hex_digits_have_values_in_both_cases),
        cmocka_unit_test(numbers_and_utf8_are_checked_whole),
        cmocka_unit_test(a_text_is_clipped_at_a_characters_end),
        cmocka_unit_test(nesting_counts_outside_of_strings),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(a_crash_point_ends_the_process_the_nth_time_and_no_other_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
