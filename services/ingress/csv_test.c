#include "testkit/testkit.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ingress/csv.h"

static int on_row(const struct csv_row *row, void *ctx, struct err *err)
{
    struct buf *out = ctx;

    (void)err;
    buf_addf(out, "%lld:", (long long)row->line);
    if (row->problem != NULL) {
        buf_addf(out, "!%s", row->problem);
    }
    for (size_t i = 0; i < row->n && row->problem == NULL; i++) {
        buf_addf(out, "[%s]", row->cells[i]);
    }
    buf_add_u8(out, ';');
    return 0;
}

/* What the rows of @text are, fed in steps of @step bytes. */
static void expect_steps(const char *text, size_t n, size_t step, const char *want)
{
    struct buf out = {0};
    struct csv csv;

    csv_init(&csv, on_row, &out);
    for (size_t at = 0; at < n; at += step) {
        const struct bytes part = {(const uint8_t *)text + at, n - at < step ? n - at : step};

        assert_int_equal(csv_feed(&csv, part, NULL), 0);
    }
    assert_int_equal(csv_end(&csv, NULL), 0);
    assert_string_equal(buf_text(&out), want);
    csv_done(&csv);
    buf_done(&out);
}

static void expect(const char *text, const char *want)
{
    expect_steps(text, strlen(text), 1000, want);
    expect_steps(text, strlen(text), 1, want);
}

static void plain_rows(void **state)
{
    (void)state;
    expect("phone,name\r\n62811,Ani\r\n62812,\r\n", "1:[phone][name];2:[62811][Ani];3:[62812][];");
    expect("a,b\n1,2", "1:[a][b];2:[1][2];");
    expect("", "");
    expect("\n\r\na\n\nb\n", "3:[a];5:[b];");
    expect(",", "1:[][];");
}

static void a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    expect("\xef\xbb\xbfphone\n1\n", "1:[phone];2:[1];");
    expect("\xef\xbb\xbf\"a\"\n", "1:[a];");
    expect("\xef\xbbphone\n1\n", "1:!not UTF-8;2:[1];");
}

static void quotes_hide_commas_and_line_ends(void **state)
{
    (void)state;
    expect("\"a,b\",\"c\"\"d\",\"e\nf\"\ng\n", "1:[a,b][c\"d][e\nf];3:[g];");
    expect("\"\",x\n", "1:[][x];");
    expect("\"\"\n", "1:[];");
    expect("\"a\"\r\n\"b\"", "1:[a];2:[b];");
}

static void bad_rows_are_named_and_the_next_is_good(void **state)
{
    (void)state;
    expect("a\"b,c\nd\n", "1:!a quote inside a cell that does not begin with one;2:[d];");
    expect("\"a\"b,c\nd\n", "1:!text after a closing quote;2:[d];");
    expect("a\rb\nd\n", "1:!a carriage return inside a row;2:[d];");
    expect("a,\xff\nd\n", "1:!not UTF-8;2:[d];");
    expect_steps("a\0b\nd\n", 6, 100, "1:!a NUL byte;2:[d];");
}

static void long_rows_are_refused_without_keeping_them(void **state)
{
    struct buf text = {0};

    (void)state;
    memset(buf_room(&text, 200000), 'x', 200000);
    buf_used(&text, 200000);
    buf_add_str(&text, "\nd\n");
    expect_steps((const char *)text.p, text.n, 5000, "1:!the row is too long;2:[d];");
    buf_clear(&text);
    for (int i = 0; i < CSV_CELLS_MAX; i++) {
        buf_add_str(&text, "x,");
    }
    buf_add_str(&text, "x\nd\n");
    expect_steps((const char *)text.p, text.n, 5000, "1:!too many cells;2:[d];");
    buf_done(&text);
}

static void an_open_quote_names_its_line(void **state)
{
    struct buf out = {0};
    struct csv csv;
    struct err err = {0};
    static const char text[] = "a\nb,\"c\nd\ne\n";

    (void)state;
    csv_init(&csv, on_row, &out);
    assert_int_equal(csv_feed(&csv, (struct bytes){(const uint8_t *)text, sizeof(text) - 1}, NULL),
                     0);
    assert_int_equal(csv_end(&csv, &err), -ERR_INVALID);
    assert_string_equal(err.text, "line 2: a quoted cell is not closed");
    csv_done(&csv);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_rows),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(quotes_hide_commas_and_line_ends),
        cmocka_unit_test(bad_rows_are_named_and_the_next_is_good),
        cmocka_unit_test(long_rows_are_refused_without_keeping_them),
        cmocka_unit_test(an_open_quote_names_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
