#include "pg/pg_stmt.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/uuid.h"
#include "pg/pg_internal.h"

enum { UUID_BYTES = 16, ARRAY_HEAD_BYTES = 20 };

struct pg_array {
    enum pg_array_kind kind;
    uint32_t n;
    bool has_null;
    struct buf value; /* the head, written when it is bound, then the elements */
};

struct pg_param {
    Oid type;
    bool is_null;
    struct buf value;
    struct pg_array *array; /* instead of value; owned */
};

struct pg_stmt {
    char *text;
    int64_t expected;
    int n;
    struct pg_param params[PG_PARAMS_MAX];
};

struct pg_stmt *pg_stmt_new(const char *text)
{
    struct pg_stmt *stmt = mem_new0(sizeof(*stmt));

    stmt->text = mem_strdup(text);
    stmt->expected = -1;
    return stmt;
}

void pg_stmt_free(struct pg_stmt **stmt)
{
    struct pg_stmt *old = *stmt;

    *stmt = NULL;
    if (old == NULL) {
        return;
    }
    for (int i = 0; i < old->n; i++) {
        buf_done(&old->params[i].value);
        if (old->params[i].array != NULL) {
            buf_done(&old->params[i].array->value);
            free(old->params[i].array);
        }
    }
    free(old->text);
    free(old);
}

void pg_stmt_expect(struct pg_stmt *stmt, int64_t rows)
{
    stmt->expected = rows;
}

int64_t pg_stmt_expected(const struct pg_stmt *stmt)
{
    return stmt->expected;
}

const char *pg_stmt_text(const struct pg_stmt *stmt)
{
    return stmt->text;
}

/* ---- values in PostgreSQL's binary form ---- */

static void put_uuid(struct buf *out, const char *text)
{
    char hex[UUID_BYTES * 2];
    size_t n = 0;
    int rc;

    assert(uuid_is_valid(text));
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '-') {
            hex[n++] = *c;
        }
    }
    rc = text_unhex(out, hex, n);
    assert(rc == 0 && n == sizeof(hex));
}

static struct pg_param *add_param(struct pg_stmt *stmt, Oid type, bool is_null)
{
    struct pg_param *param = &stmt->params[stmt->n];

    assert(stmt->n < PG_PARAMS_MAX);
    stmt->n++;
    param->type = type;
    param->is_null = is_null;
    return param;
}

void pg_add_int(struct pg_stmt *stmt, int64_t v)
{
    buf_add_be(&add_param(stmt, PG_OID_INT8, false)->value, (uint64_t)v, 8);
}

void pg_add_bool(struct pg_stmt *stmt, bool v)
{
    buf_add_u8(&add_param(stmt, PG_OID_BOOL, false)->value, v);
}

void pg_add_text(struct pg_stmt *stmt, const char *v)
{
    struct pg_param *param = add_param(stmt, PG_OID_TEXT, v == NULL);

    if (v != NULL) {
        buf_add_str(&param->value, v);
    }
}

void pg_add_uuid(struct pg_stmt *stmt, const char *v)
{
    struct pg_param *param = add_param(stmt, PG_OID_UUID, v == NULL);

    if (v != NULL) {
        put_uuid(&param->value, v);
    }
}

void pg_add_bytes(struct pg_stmt *stmt, struct bytes v)
{
    struct pg_param *param = add_param(stmt, PG_OID_BYTEA, v.p == NULL);

    buf_add(&param->value, v.p, v.n);
}

void pg_add_time_us(struct pg_stmt *stmt, int64_t wall_us)
{
    struct pg_param *param = add_param(stmt, PG_OID_TIMESTAMPTZ, wall_us == INT64_MIN);

    if (wall_us != INT64_MIN) {
        buf_add_be(&param->value, (uint64_t)(wall_us - PG_EPOCH_US), 8);
    }
}

void pg_add_time_ms(struct pg_stmt *stmt, int64_t wall_ms)
{
    pg_add_time_us(stmt, wall_ms == INT64_MIN ? INT64_MIN : wall_ms * 1000);
}

/* ---- arrays ---- */

static const struct {
    Oid array;
    Oid element;
} kinds[] = {
    [PG_ARRAY_INT] = {PG_OID_INT8_ARRAY, PG_OID_INT8},
    [PG_ARRAY_BOOL] = {PG_OID_BOOL_ARRAY, PG_OID_BOOL},
    [PG_ARRAY_TEXT] = {PG_OID_TEXT_ARRAY, PG_OID_TEXT},
    [PG_ARRAY_UUID] = {PG_OID_UUID_ARRAY, PG_OID_UUID},
    [PG_ARRAY_BYTES] = {PG_OID_BYTEA_ARRAY, PG_OID_BYTEA},
    [PG_ARRAY_TIME] = {PG_OID_TIMESTAMPTZ_ARRAY, PG_OID_TIMESTAMPTZ},
};

struct pg_array *pg_add_array(struct pg_stmt *stmt, enum pg_array_kind kind)
{
    struct pg_param *param = add_param(stmt, kinds[kind].array, false);

    param->array = mem_new0(sizeof(*param->array));
    param->array->kind = kind;
    buf_used(&param->array->value, 0);
    (void)buf_room(&param->array->value, ARRAY_HEAD_BYTES);
    buf_used(&param->array->value, ARRAY_HEAD_BYTES);
    return param->array;
}

static struct buf *add_element(struct pg_array *array, enum pg_array_kind kind, size_t n)
{
    assert(array->kind == kind && n <= INT_MAX);
    array->n++;
    buf_add_be(&array->value, n, 4);
    return &array->value;
}

void pg_array_null(struct pg_array *array)
{
    array->n++;
    array->has_null = true;
    buf_add_be(&array->value, UINT32_MAX, 4);
}

void pg_array_int(struct pg_array *array, int64_t v)
{
    buf_add_be(add_element(array, PG_ARRAY_INT, 8), (uint64_t)v, 8);
}

void pg_array_bool(struct pg_array *array, bool v)
{
    buf_add_u8(add_element(array, PG_ARRAY_BOOL, 1), v);
}

void pg_array_text(struct pg_array *array, const char *v)
{
    if (v == NULL) {
        pg_array_null(array);
        return;
    }
    buf_add_str(add_element(array, PG_ARRAY_TEXT, strlen(v)), v);
}

void pg_array_uuid(struct pg_array *array, const char *v)
{
    if (v == NULL) {
        pg_array_null(array);
        return;
    }
    put_uuid(add_element(array, PG_ARRAY_UUID, UUID_BYTES), v);
}

void pg_array_bytes(struct pg_array *array, struct bytes v)
{
    if (v.p == NULL) {
        pg_array_null(array);
        return;
    }
    buf_add(add_element(array, PG_ARRAY_BYTES, v.n), v.p, v.n);
}

void pg_array_time_us(struct pg_array *array, int64_t wall_us)
{
    if (wall_us == INT64_MIN) {
        pg_array_null(array);
        return;
    }
    buf_add_be(add_element(array, PG_ARRAY_TIME, 8), (uint64_t)(wall_us - PG_EPOCH_US), 8);
}

size_t pg_array_n(const struct pg_array *array)
{
    return array->n;
}

static void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* Dimensions (1), has nulls, type of the elements, their number, first index (1). An array without
 * elements is one of one dimension and length 0, which the server takes as well. */
static void write_head(struct pg_array *array)
{
    put_be32(array->value.p, 1);
    put_be32(array->value.p + 4, array->has_null);
    put_be32(array->value.p + 8, kinds[array->kind].element);
    put_be32(array->value.p + 12, array->n);
    put_be32(array->value.p + 16, 1);
}

void pg_stmt_bind(const struct pg_stmt *stmt, struct pg_bound *out)
{
    out->n = stmt->n;
    for (int i = 0; i < stmt->n; i++) {
        const struct pg_param *param = &stmt->params[i];
        const struct buf *value = &param->value;

        if (param->array != NULL) {
            write_head(param->array);
            value = &param->array->value;
        }
        assert(value->n <= INT_MAX);
        out->types[i] = param->type;
        out->lengths[i] = (int)value->n;
        out->formats[i] = 1;
        /* An empty value is not null: libpq looks at the pointer alone. */
        out->values[i] = param->is_null ? NULL : value->p != NULL ? (const char *)value->p : "";
    }
}
