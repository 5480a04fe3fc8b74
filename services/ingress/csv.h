/* csv: rows out of RFC 4180 text as it arrives, with memory for one row only. Pure.
 *
 * A byte order mark in front is skipped; lines end in CRLF or LF; a quoted cell may hold commas,
 * line ends and doubled quotes. A row that breaks a rule is given too, with what is wrong, so that
 * the caller can skip it or stop; only a quote that is never closed ends the parsing. */
#ifndef INGRESS_CSV_H
#define INGRESS_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct err;

enum {
    CSV_ROW_MAX = 64 * 1024, /* bytes of a row's cells */
    CSV_CELLS_MAX = 64
};

struct csv_row {
    int64_t line;        /* at which it begins, from 1 */
    const char *problem; /* NULL: a good row; else what is wrong, and the cells do not count */
    size_t n;
    const char *cells[CSV_CELLS_MAX]; /* UTF-8, borrowed for the call */
};

/* Returning a negative number ends csv_feed or csv_end with it. */
typedef int csv_row_cb(const struct csv_row *row, void *ctx, struct err *err);

enum csv_state { CSV_BEGIN, CSV_CELL, CSV_QUOTED, CSV_QUOTE_SEEN, CSV_SKIP };

struct csv {
    csv_row_cb *fn;
    void *ctx;
    enum csv_state state;
    struct buf text; /* cells of the row, each with its NUL */
    size_t starts[CSV_CELLS_MAX];
    size_t n;
    int64_t line;     /* of the next byte */
    int64_t row_line; /* of the row's first byte */
    const char *problem;
    unsigned bom; /* bytes of the mark that were seen; 4: past it */
    bool has_cr;  /* a CR came, an LF should follow */
};

void csv_init(struct csv *csv, csv_row_cb *fn, void *ctx);
void csv_done(struct csv *csv);

/* Take in the next bytes. Errors: those of the callback; -ERR_INVALID: a quoted cell over
 * CSV_ROW_MAX, most likely never closed; names its line. */
NODISCARD int csv_feed(struct csv *csv, struct bytes from, struct err *err);
NODISCARD int csv_end(struct csv *csv, struct err *err); /* the last row may have no line end */

#endif
