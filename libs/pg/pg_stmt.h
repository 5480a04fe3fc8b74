/* pg_stmt: a statement with its parameters $1, $2, ... in the order in which they are added. Pure.
 *
 *     struct pg_stmt *stmt =
 *         pg_stmt_new("INSERT INTO seen SELECT * FROM unnest($1::text[], $2::int8[])");
 *     struct pg_array *names = pg_add_array(stmt, PG_ARRAY_TEXT);
 *     struct pg_array *counts = pg_add_array(stmt, PG_ARRAY_INT);
 *
 *     for (size_t i = 0; i < n; i++) {
 *         pg_array_text(names, rows[i].name);
 *         pg_array_int(counts, rows[i].count);
 *     }
 *
 * Statements are prepared by the server the first time a text is seen, so texts must be few: values
 * go into parameters. */
#ifndef PG_PG_STMT_H
#define PG_PG_STMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct pg_stmt;
struct pg_array;

enum { PG_PARAMS_MAX = 48 };

struct pg_stmt *pg_stmt_new(const char *text); /* copies @text */
void pg_stmt_free(struct pg_stmt **stmt);      /* sets *@stmt to NULL; NULL is fine */

/* How many rows it must touch or return; without it any number is right. A batch says it last. */
void pg_stmt_expect(struct pg_stmt *stmt, int64_t rows);

/* Each adds the next parameter and copies what it is given. */
void pg_add_int(struct pg_stmt *stmt, int64_t v); /* bigint; the server casts for smaller columns */
void pg_add_bool(struct pg_stmt *stmt, bool v);
void pg_add_text(struct pg_stmt *stmt, const char *v); /* NULL is null; also for jsonb: $1::jsonb */
void pg_add_uuid(struct pg_stmt *stmt,
                 const char *v); /* its text; asserts it is one; NULL is null */
void pg_add_bytes(struct pg_stmt *stmt, struct bytes v);    /* @v.p NULL is null */
void pg_add_time_ms(struct pg_stmt *stmt, int64_t wall_ms); /* timestamptz; INT64_MIN is null */
void pg_add_time_us(struct pg_stmt *stmt, int64_t wall_us); /* timestamptz; INT64_MIN is null */

enum pg_array_kind {
    PG_ARRAY_INT,
    PG_ARRAY_BOOL,
    PG_ARRAY_TEXT,
    PG_ARRAY_UUID,
    PG_ARRAY_BYTES,
    PG_ARRAY_TIME
};

/* A parameter that is an array, filled from here on until the statement is given away. The
 * statement's own, borrowed. Elements as the parameters of the same name; asserts that they are of
 * its kind. */
struct pg_array *pg_add_array(struct pg_stmt *stmt, enum pg_array_kind kind);
void pg_array_int(struct pg_array *array, int64_t v);
void pg_array_bool(struct pg_array *array, bool v);
void pg_array_text(struct pg_array *array, const char *v);
void pg_array_uuid(struct pg_array *array, const char *v);
void pg_array_bytes(struct pg_array *array, struct bytes v);
void pg_array_time_us(struct pg_array *array, int64_t wall_us);
void pg_array_null(struct pg_array *array);
size_t pg_array_n(const struct pg_array *array);

#endif
