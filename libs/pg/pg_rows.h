/* pg_rows: what a statement answered. Pure accessors; texts and bytes are borrowed from the rows.
 */
#ifndef PG_PG_ROWS_H
#define PG_PG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/uuid.h"

struct pg_rows;

size_t pg_rows_n(const struct pg_rows *rows);
int64_t pg_rows_touched(const struct pg_rows *rows); /* by INSERT, UPDATE, DELETE or SELECT */
void pg_rows_free(struct pg_rows **rows);            /* only of those that a call gave */

/* Asserts that the cell exists and that its column has the type: a mistake in the SQL beside it. */
bool pg_is_null(const struct pg_rows *rows, size_t row, int column);
int64_t pg_get_int(const struct pg_rows *rows, size_t row,
                   int column); /* int2, int4, int8; null: 0 */
bool pg_get_bool(const struct pg_rows *rows, size_t row, int column); /* null: false */
/* text, varchar, json, jsonb; null: NULL */
const char *pg_get_text(const struct pg_rows *rows, size_t row, int column);
struct bytes pg_get_bytes(const struct pg_rows *rows, size_t row,
                          int column); /* {NULL, 0} for null */
struct uuid pg_get_uuid(const struct pg_rows *rows, size_t row, int column); /* null: "" */
/* timestamptz, since the epoch; null: INT64_MIN; infinity: INT64_MAX */
int64_t pg_get_time_us(const struct pg_rows *rows, size_t row, int column);

#endif
