/* table: rows of one table of the projections, between C structs and SQL, by a list of its columns.
 *
 * A fold either reads whole rows, changes and writes them (columns TABLE_SET), or writes what a
 * batch says of a row without reading it, and each column says how that joins what is there. */
#ifndef TRACKER_TABLE_H
#define TRACKER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg/pg_rows.h"
#include "pg/pg_stmt.h"

struct arena;
struct buf;

#define TABLE_NULL INT64_MIN /* of TABLE_INT and TABLE_TIME */

/* What the struct has for a column; texts and bytes are borrowed. */
enum table_kind {
    TABLE_INT,   /* int64_t */
    TABLE_BOOL,  /* bool */
    TABLE_TEXT,  /* const char *; NULL is null */
    TABLE_UUID,  /* const char *, valid; NULL is null */
    TABLE_BYTES, /* struct bytes */
    TABLE_TIME,  /* int64_t, us since the epoch */
    TABLE_JSON,  /* const char *, of a jsonb column */
    TABLE_LIST,  /* const char *, joined with commas, of a text[] column */
};

/* How a value joins the row that is there. */
enum table_merge {
    TABLE_KEY,
    TABLE_SET,   /* the new value, null too */
    TABLE_FIRST, /* what is there stays; a null is filled */
    TABLE_LAST,  /* the new value unless it is null */
    TABLE_MOST,  /* the larger */
};

struct table_column {
    const char *name;
    enum table_kind kind;
    enum table_merge merge;
    size_t offset;
};

struct table {
    const char *name;
    const struct table_column *columns;
    size_t n;
    /* Rows change only where this column grows, so that a repeat changes nothing; NULL: rows that
     * are there are left alone. */
    const char *grows;
};

/* "SELECT ... WHERE key = ANY($1)"; the key is the one TABLE_KEY column, a uuid. Appends. */
void table_select_sql(const struct table *table, struct buf *out);

/* "INSERT ... SELECT ... FROM unnest($1, $2, ...) ON CONFLICT ..."; each row may come once.
 * Appends. */
void table_upsert_sql(const struct table *table, struct buf *out);

/* The row number @at of a select into @row; its texts are copied into @arena. */
void table_read(const struct table *table, const struct pg_rows *rows, size_t at,
                struct arena *arena, void *row);

/* The upsert's parameters for @n rows at @rows, pointers to structs. */
void table_write(const struct table *table, void *const *rows, size_t n, struct pg_stmt *stmt);

#endif
