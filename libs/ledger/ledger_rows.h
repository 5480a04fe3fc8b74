/* ledger_rows: statements that write a batch of rows from arrays, one value a row to each. A turn
 * sends each of them once for a partition (whose lock it is staged under), however many rows it
 * has. What a service writes so stands in one table of texts. */
#ifndef LEDGER_LEDGER_ROWS_H
#define LEDGER_LEDGER_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "pg/pg_stmt.h"

struct ledger_tx;

enum { LEDGER_COLUMNS_MAX = 20 };

struct ledger_rows_text {
    const char *text;
    bool counts; /* every row must be touched: a compare-and-set or a plain insert */
    unsigned n;
    enum pg_array_kind kinds[LEDGER_COLUMNS_MAX]; /* of $1 and so on */
};

/* The rows of one text and one partition in the open turn. All 0: none yet. */
struct ledger_rows {
    struct pg_stmt *stmt;
    struct pg_array *column[LEDGER_COLUMNS_MAX];
    size_t n;
};

/* One more row: add a value to each of @rows' columns. The first stages the statement. */
void ledger_rows_add(struct ledger_tx *tx, int partition, const struct ledger_rows_text *text,
                     struct ledger_rows *rows);

/* Before an ask, and at the end of the turn: the next row begins a statement anew. @rows are
 * LEDGER_PARTITIONS times @n, those of one partition in the order of @texts. */
void ledger_rows_close(const struct ledger_rows_text *texts, size_t n, struct ledger_rows *rows);

#endif
