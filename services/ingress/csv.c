#include "ingress/csv.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

void csv_init(struct csv *csv, csv_row_cb *fn, void *ctx)
{
    *csv = (struct csv){.fn = fn, .ctx = ctx, .line = 1, .row_line = 1};
}

void csv_done(struct csv *csv)
{
    buf_done(&csv->text);
}

static void complain(struct csv *csv, const char *problem)
{
    if (csv->problem == NULL) {
        csv->problem = problem;
    }
}

static void begin_cell(struct csv *csv)
{
    if (csv->n == CSV_CELLS_MAX) {
        complain(csv, "too many cells");
        csv->state = CSV_SKIP;
        return;
    }
    csv->starts[csv->n++] = csv->text.n;
    csv->state = CSV_BEGIN;
}

static int give_row(struct csv *csv, struct err *err)
{
    struct csv_row row = {.line = csv->row_line, .n = csv->n};
    bool is_blank = csv->n <= 1 && csv->text.n == 0 && csv->state == CSV_BEGIN;
    int rc = 0;

    if (!is_blank && csv->problem == NULL) {
        buf_add_u8(&csv->text, 0);
        for (size_t i = 0; i < csv->n; i++) {
            row.cells[i] = (const char *)csv->text.p + csv->starts[i];
            if (!text_is_utf8(
                    (struct bytes){(const uint8_t *)row.cells[i], strlen(row.cells[i])})) {
                complain(csv, "not UTF-8");
            }
        }
    }
    row.problem = csv->problem;
    if (!is_blank) {
        rc = csv->fn(&row, csv->ctx, err);
    }
    buf_clear(&csv->text);
    csv->n = 0;
    csv->problem = NULL;
    csv->row_line = csv->line;
    csv->state = CSV_BEGIN;
    return rc;
}

static void add_byte(struct csv *csv, uint8_t c)
{
    if (c == 0) {
        complain(csv, "a NUL byte");
    } else if (csv->text.n >= CSV_ROW_MAX) {
        complain(csv, "the row is too long");
        csv->state = CSV_SKIP;
    } else {
        buf_add_u8(&csv->text, c);
    }
}

/* A byte outside quotes that is neither a comma nor a line end. */
static void take_plain(struct csv *csv, uint8_t c)
{
    if (csv->state == CSV_BEGIN && c == '"') {
        csv->state = CSV_QUOTED;
    } else if (csv->state == CSV_QUOTE_SEEN && c == '"') { /* a doubled one stands for itself */
        csv->state = CSV_QUOTED;
        add_byte(csv, c);
    } else if (csv->state == CSV_QUOTE_SEEN) {
        complain(csv, "text after a closing quote");
        csv->state = CSV_SKIP;
    } else if (c == '"') {
        complain(csv, "a quote inside a cell that does not begin with one");
        csv->state = CSV_SKIP;
    } else {
        csv->state = CSV_CELL;
        add_byte(csv, c);
    }
}

static int take_quoted(struct csv *csv, uint8_t c, struct err *err)
{
    if (c == '"') {
        csv->state = CSV_QUOTE_SEEN;
        return 0;
    }
    if (csv->text.n >= CSV_ROW_MAX) {
        return err_set(err, ERR_INVALID, "line %lld: a quoted cell is not closed within %d bytes",
                       (long long)csv->row_line, CSV_ROW_MAX);
    }
    csv->line += c == '\n' ? 1 : 0;
    add_byte(csv, c);
    return 0;
}

static int take_byte(struct csv *csv, uint8_t c, struct err *err)
{
    bool had_cr = csv->has_cr;

    if (csv->n == 0 && csv->state != CSV_SKIP) {
        begin_cell(csv);
    }
    if (csv->state == CSV_QUOTED) {
        return take_quoted(csv, c, err);
    }
    csv->has_cr = c == '\r';
    if (c == '\n') {
        csv->line++;
        return give_row(csv, err);
    }
    if (had_cr) {
        complain(csv, "a carriage return inside a row");
        csv->state = CSV_SKIP;
    }
    if (csv->state == CSV_SKIP || c == '\r') {
        return 0;
    }
    if (c == ',') {
        buf_add_u8(&csv->text, 0);
        begin_cell(csv);
    } else {
        take_plain(csv, c);
    }
    return 0;
}

/* True while @c is swallowed as part of a byte order mark. */
static bool skip_mark(struct csv *csv, uint8_t c)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

    if (csv->bom < 3 && c == mark[csv->bom]) {
        csv->bom++;
        return true;
    }
    if (csv->bom > 0 && csv->bom < 3) {
        complain(csv, "not UTF-8");
    }
    csv->bom = 4;
    return false;
}

int csv_feed(struct csv *csv, struct bytes from, struct err *err)
{
    for (size_t i = 0; i < from.n; i++) {
        if (csv->bom < 4 && skip_mark(csv, from.p[i])) {
            continue;
        }
        int rc = take_byte(csv, from.p[i], err);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int csv_end(struct csv *csv, struct err *err)
{
    if (csv->state == CSV_QUOTED) {
        return err_set(err, ERR_INVALID, "line %lld: a quoted cell is not closed",
                       (long long)csv->row_line);
    }
    return csv->n > 0 || csv->problem != NULL ? give_row(csv, err) : 0;
}
