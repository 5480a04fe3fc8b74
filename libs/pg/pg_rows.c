#include "pg/pg_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pg/pg_internal.h"

size_t pg_rows_n(const struct pg_rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

int64_t pg_rows_touched(const struct pg_rows *rows)
{
    PGresult *result = rows->result;
    int64_t n = 0;

    return text_to_int(PQcmdTuples(result), 0, INT64_MAX, &n) ? n : 0;
}

void pg_rows_free(struct pg_rows **rows)
{
    if (*rows != NULL) {
        PQclear((*rows)->result);
        free(*rows);
        *rows = NULL;
    }
}

bool pg_is_null(const struct pg_rows *rows, size_t row, int column)
{
    assert(row < pg_rows_n(rows) && column >= 0 && column < PQnfields(rows->result));
    return PQgetisnull(rows->result, (int)row, column) != 0;
}

/* The cell's bytes; {NULL, 0} for null. */
static struct bytes cell(const struct pg_rows *rows, size_t row, int column)
{
    if (pg_is_null(rows, row, column)) {
        return (struct bytes){0};
    }
    return (struct bytes){
        .p = (const uint8_t *)PQgetvalue(rows->result, (int)row, column),
        .n = (size_t)PQgetlength(rows->result, (int)row, column),
    };
}

static uint64_t big_endian(struct bytes from)
{
    uint64_t v = 0;

    for (size_t i = 0; i < from.n; i++) {
        v = (v << 8) | from.p[i];
    }
    return v;
}

int64_t pg_get_int(const struct pg_rows *rows, size_t row, int column)
{
    struct bytes from = cell(rows, row, column);
    Oid type = PQftype(rows->result, column);

    assert(type == PG_OID_INT8 || type == PG_OID_INT4 || type == PG_OID_INT2);
    switch (from.n) {
    case 2:
        return (int16_t)big_endian(from);
    case 4:
        return (int32_t)big_endian(from);
    case 8:
        return (int64_t)big_endian(from);
    default:
        return 0;
    }
}

bool pg_get_bool(const struct pg_rows *rows, size_t row, int column)
{
    struct bytes from = cell(rows, row, column);

    assert(PQftype(rows->result, column) == PG_OID_BOOL);
    return from.n == 1 && from.p[0] != 0;
}

const char *pg_get_text(const struct pg_rows *rows, size_t row, int column)
{
    struct bytes from = cell(rows, row, column);
    Oid type = PQftype(rows->result, column);

    assert(type == PG_OID_TEXT || type == PG_OID_VARCHAR || type == PG_OID_JSON ||
           type == PG_OID_JSONB);
    if (from.p != NULL && type == PG_OID_JSONB && from.n > 0) {
        from.p++; /* a version in front */
    }
    return (const char *)from.p; /* libpq puts a NUL behind every value */
}

struct bytes pg_get_bytes(const struct pg_rows *rows, size_t row, int column)
{
    assert(PQftype(rows->result, column) == PG_OID_BYTEA);
    return cell(rows, row, column);
}

struct uuid pg_get_uuid(const struct pg_rows *rows, size_t row, int column)
{
    struct bytes from = cell(rows, row, column);
    struct buf hex = {0};
    struct uuid uuid = {""};
    size_t at = 0;

    assert(PQftype(rows->result, column) == PG_OID_UUID);
    if (from.p == NULL) {
        return uuid;
    }
    text_hex(&hex, from);
    for (size_t i = 0; i < hex.n && at < sizeof(uuid.text) - 1; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            uuid.text[at++] = '-';
        }
        uuid.text[at++] = (char)hex.p[i];
    }
    uuid.text[at] = '\0';
    buf_done(&hex);
    return uuid;
}

int64_t pg_get_time_us(const struct pg_rows *rows, size_t row, int column)
{
    struct bytes from = cell(rows, row, column);

    int64_t since_2000_us = (int64_t)big_endian(from);

    assert(PQftype(rows->result, column) == PG_OID_TIMESTAMPTZ);
    if (from.n != 8) {
        return INT64_MIN;
    }
    return since_2000_us > INT64_MAX - PG_EPOCH_US ? INT64_MAX : since_2000_us + PG_EPOCH_US;
}

int pg_check_expected(const struct pg_stmt *stmt, const struct pg_rows *rows, struct err *err)
{
    int64_t want = pg_stmt_expected(stmt);

    if (want >= 0 && pg_rows_touched(rows) != want) {
        return err_set(err, ERR_CONFLICT, "%lld rows where %lld had to be: %.100s",
                       (long long)pg_rows_touched(rows), (long long)want, pg_stmt_text(stmt));
    }
    return 0;
}
