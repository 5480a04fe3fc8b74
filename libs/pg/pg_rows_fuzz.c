/* The cells of a row, in PostgreSQL's binary form: each is a type, a length and its bytes. What
 * they say is compared with what they are made of. */
#include <string.h>

#include "base/text.h"
#include "pg/pg_internal.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS_MAX = 32, NULL_LENGTH = 255 };

static const Oid types[] = {
    PG_OID_BOOL, PG_OID_INT2,  PG_OID_INT4,  PG_OID_INT8,        PG_OID_TEXT, PG_OID_VARCHAR,
    PG_OID_JSON, PG_OID_JSONB, PG_OID_BYTEA, PG_OID_TIMESTAMPTZ, PG_OID_UUID,
};

struct cell {
    Oid type;
    bool is_null;
    struct bytes bytes;
};

/* ---- a row out of bytes ---- */

static int read_cells(const uint8_t *data, size_t size, struct cell cells[COLUMNS_MAX])
{
    int n = 0;

    while (n < COLUMNS_MAX && size >= 2) {
        struct cell *cell = &cells[n++];
        size_t length = data[1] == NULL_LENGTH ? 0 : data[1];

        length = length < size - 2 ? length : size - 2;
        cell->type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
        cell->is_null = data[1] == NULL_LENGTH;
        cell->bytes = (struct bytes){data + 2, length};
        data += 2 + length;
        size -= 2 + length;
    }
    return n;
}

static PGresult *make_result(const struct cell *cells, int n)
{
    static char name[] = "c";
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[COLUMNS_MAX] = {{0}};

    for (int i = 0; i < n; i++) {
        columns[i] = (PGresAttDesc){.name = name, .format = 1, .typid = cells[i].type};
    }
    must(result != NULL && PQsetResultAttrs(result, n, columns) != 0);
    for (int i = 0; i < n; i++) {
        char value[NULL_LENGTH];

        memcpy(value, cells[i].bytes.p, cells[i].bytes.n);
        must(PQsetvalue(result, 0, i, cells[i].is_null ? NULL : value,
                        cells[i].is_null ? -1 : (int)cells[i].bytes.n) != 0);
    }
    return result;
}

/* ---- what its cells say ---- */

static uint64_t number(const struct cell *cell, size_t width)
{
    uint64_t v = 0;

    for (size_t i = 0; cell->bytes.n == width && i < width; i++) {
        v = (v << 8) | cell->bytes.p[i];
    }
    return v;
}

static void check_int(const struct pg_rows *rows, int column, const struct cell *cell)
{
    int64_t got = pg_get_int(rows, 0, column);
    size_t n = cell->is_null ? 0 : cell->bytes.n;

    if (n == 2 || n == 4 || n == 8) {
        must(((uint64_t)got & (UINT64_MAX >> (64 - 8 * n))) == number(cell, n));
        must(n == 8 || (got >= -(INT64_C(1) << (8 * n - 1)) && got < INT64_C(1) << (8 * n - 1)));
    } else {
        must(got == 0);
    }
}

static void check_text(const struct pg_rows *rows, int column, const struct cell *cell)
{
    const char *text = pg_get_text(rows, 0, column);
    size_t skipped = cell->type == PG_OID_JSONB && cell->bytes.n > 0 ? 1 : 0;

    must((text == NULL) == cell->is_null);
    if (text != NULL) {
        must(memcmp(text, cell->bytes.p + skipped, cell->bytes.n - skipped) == 0);
        must(text[cell->bytes.n - skipped] == '\0');
    }
}

static void check_uuid(const struct pg_rows *rows, int column, const struct cell *cell)
{
    struct uuid uuid = pg_get_uuid(rows, 0, column);

    must(strlen(uuid.text) < UUID_TEXT_MAX);
    must(cell->is_null || cell->bytes.n != 16 || uuid_is_valid(uuid.text));
    must(!cell->is_null || uuid.text[0] == '\0');
}

static void check_time(const struct pg_rows *rows, int column, const struct cell *cell)
{
    int64_t got = pg_get_time_us(rows, 0, column);

    if (cell->is_null || cell->bytes.n != 8) {
        must(got == INT64_MIN);
    } else { /* those that no int64 holds, "infinity" among them, are the last one that it does */
        must(got == INT64_MAX || (uint64_t)got - PG_EPOCH_US == number(cell, 8));
    }
}

static void check_bytes(const struct pg_rows *rows, int column, const struct cell *cell)
{
    struct bytes got = pg_get_bytes(rows, 0, column);

    must((got.p == NULL) == cell->is_null);
    must(cell->is_null ||
         (got.n == cell->bytes.n && memcmp(got.p, cell->bytes.p, cell->bytes.n) == 0));
}

static void check(const struct pg_rows *rows, int column, const struct cell *cell)
{
    must(pg_is_null(rows, 0, column) == cell->is_null);
    switch (cell->type) {
    case PG_OID_BOOL:
        must(pg_get_bool(rows, 0, column) ==
             (!cell->is_null && cell->bytes.n == 1 && cell->bytes.p[0] != 0));
        break;
    case PG_OID_INT2:
    case PG_OID_INT4:
    case PG_OID_INT8:
        check_int(rows, column, cell);
        break;
    case PG_OID_BYTEA:
        check_bytes(rows, column, cell);
        break;
    case PG_OID_TIMESTAMPTZ:
        check_time(rows, column, cell);
        break;
    case PG_OID_UUID:
        check_uuid(rows, column, cell);
        break;
    default:
        check_text(rows, column, cell);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cell cells[COLUMNS_MAX];
    int n = read_cells(data, size, cells);
    struct pg_rows rows;

    if (n == 0) {
        return 0;
    }
    rows.result = make_result(cells, n);
    must(pg_rows_n(&rows) == 1 && pg_rows_touched(&rows) >= 0);
    for (int i = 0; i < n; i++) {
        check(&rows, i, &cells[i]);
    }
    PQclear(rows.result);
    return 0;
}
