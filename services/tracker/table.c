#include "tracker/table.h"

#include <assert.h>

#include "base/arena.h"
#include "base/buf.h"

static const char *array_type(enum table_kind kind)
{
    switch (kind) {
    case TABLE_INT:
        return "int8[]";
    case TABLE_BOOL:
        return "bool[]";
    case TABLE_UUID:
        return "uuid[]";
    case TABLE_BYTES:
        return "bytea[]";
    case TABLE_TIME:
        return "timestamptz[]";
    case TABLE_TEXT:
    case TABLE_JSON:
    case TABLE_LIST:
        break;
    }
    return "text[]";
}

static const struct table_column *key_of(const struct table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        if (table->columns[i].merge == TABLE_KEY) {
            return &table->columns[i];
        }
    }
    assert(false);
    return NULL;
}

void table_select_sql(const struct table *table, struct buf *out)
{
    buf_add_str(out, "SELECT ");
    for (size_t i = 0; i < table->n; i++) {
        const struct table_column *column = &table->columns[i];

        buf_add_str(out, i > 0 ? ", " : "");
        if (column->kind == TABLE_LIST) {
            buf_addf(out, "array_to_string(%s, ',')", column->name);
        } else {
            buf_addf(out, "%s%s", column->name, column->kind == TABLE_JSON ? "::text" : "");
        }
    }
    buf_addf(out, " FROM %s WHERE %s = ANY($1)", table->name, key_of(table)->name);
}

static void add_names(const struct table *table, bool keys_only, struct buf *out)
{
    const char *comma = "";

    for (size_t i = 0; i < table->n; i++) {
        if (!keys_only || table->columns[i].merge == TABLE_KEY) {
            buf_addf(out, "%s%s", comma, table->columns[i].name);
            comma = ", ";
        }
    }
}

static void add_values(const struct table *table, struct buf *out)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct table_column *column = &table->columns[i];

        buf_add_str(out, i > 0 ? ", " : "");
        if (column->kind == TABLE_LIST) {
            buf_addf(out, "string_to_array(u.%s, ',')", column->name);
        } else {
            buf_addf(out, "u.%s%s", column->name, column->kind == TABLE_JSON ? "::jsonb" : "");
        }
    }
}

static void add_change(const struct table_column *column, struct buf *out)
{
    const char *name = column->name;

    switch (column->merge) {
    case TABLE_KEY:
        break;
    case TABLE_SET:
        buf_addf(out, "%s = excluded.%s", name, name);
        break;
    case TABLE_FIRST:
        buf_addf(out, "%s = coalesce(t.%s, excluded.%s)", name, name, name);
        break;
    case TABLE_LAST:
        buf_addf(out, "%s = coalesce(excluded.%s, t.%s)", name, name, name);
        break;
    case TABLE_MOST:
        buf_addf(out, "%s = greatest(t.%s, excluded.%s)", name, name, name);
        break;
    }
}

void table_upsert_sql(const struct table *table, struct buf *out)
{
    const char *comma = "";

    buf_addf(out, "INSERT INTO %s AS t (", table->name);
    add_names(table, false, out);
    buf_add_str(out, ") SELECT ");
    add_values(table, out);
    buf_add_str(out, " FROM unnest(");
    for (size_t i = 0; i < table->n; i++) {
        buf_addf(out, "%s$%zu::%s", i > 0 ? ", " : "", i + 1, array_type(table->columns[i].kind));
    }
    buf_add_str(out, ") AS u (");
    add_names(table, false, out);
    buf_add_str(out, ") ON CONFLICT (");
    add_names(table, true, out);
    buf_add_str(out, ") DO ");
    if (table->grows == NULL) {
        buf_add_str(out, "NOTHING");
        return;
    }
    buf_add_str(out, "UPDATE SET ");
    for (size_t i = 0; i < table->n; i++) {
        if (table->columns[i].merge != TABLE_KEY) {
            buf_add_str(out, comma);
            add_change(&table->columns[i], out);
            comma = ", ";
        }
    }
    buf_addf(out, " WHERE t.%s < excluded.%s", table->grows, table->grows);
}

static void read_column(const struct pg_rows *rows, size_t at, int number,
                        const struct table_column *column, struct arena *arena, uint8_t *to)
{
    bool is_null = pg_is_null(rows, at, number);
    struct uuid uuid;

    switch (column->kind) {
    case TABLE_INT:
        *(int64_t *)(void *)to = is_null ? TABLE_NULL : pg_get_int(rows, at, number);
        break;
    case TABLE_BOOL:
        *(bool *)to = pg_get_bool(rows, at, number);
        break;
    case TABLE_TEXT:
    case TABLE_JSON:
    case TABLE_LIST:
        *(const char **)(void *)to = arena_strdup(arena, pg_get_text(rows, at, number));
        break;
    case TABLE_UUID:
        uuid = pg_get_uuid(rows, at, number);
        *(const char **)(void *)to = is_null ? NULL : arena_strdup(arena, uuid.text);
        break;
    case TABLE_BYTES:
        *(struct bytes *)(void *)to = arena_bytes(arena, pg_get_bytes(rows, at, number));
        break;
    case TABLE_TIME:
        *(int64_t *)(void *)to = pg_get_time_us(rows, at, number);
        break;
    }
}

void table_read(const struct table *table, const struct pg_rows *rows, size_t at,
                struct arena *arena, void *row)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct table_column *column = &table->columns[i];

        read_column(rows, at, (int)i, column, arena, (uint8_t *)row + column->offset);
    }
}

static enum pg_array_kind array_kind(enum table_kind kind)
{
    switch (kind) {
    case TABLE_INT:
        return PG_ARRAY_INT;
    case TABLE_BOOL:
        return PG_ARRAY_BOOL;
    case TABLE_UUID:
        return PG_ARRAY_UUID;
    case TABLE_BYTES:
        return PG_ARRAY_BYTES;
    case TABLE_TIME:
        return PG_ARRAY_TIME;
    case TABLE_TEXT:
    case TABLE_JSON:
    case TABLE_LIST:
        break;
    }
    return PG_ARRAY_TEXT;
}

static void write_value(struct pg_array *array, enum table_kind kind, const uint8_t *from)
{
    int64_t number = 0;

    switch (kind) {
    case TABLE_INT:
        number = *(const int64_t *)(const void *)from;
        if (number == TABLE_NULL) {
            pg_array_null(array);
        } else {
            pg_array_int(array, number);
        }
        break;
    case TABLE_BOOL:
        pg_array_bool(array, *(const bool *)from);
        break;
    case TABLE_TEXT:
    case TABLE_JSON:
    case TABLE_LIST:
        pg_array_text(array, *(const char *const *)(const void *)from);
        break;
    case TABLE_UUID:
        pg_array_uuid(array, *(const char *const *)(const void *)from);
        break;
    case TABLE_BYTES:
        pg_array_bytes(array, *(const struct bytes *)(const void *)from);
        break;
    case TABLE_TIME:
        pg_array_time_us(array, *(const int64_t *)(const void *)from);
        break;
    }
}

void table_write(const struct table *table, void *const *rows, size_t n, struct pg_stmt *stmt)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct table_column *column = &table->columns[i];
        struct pg_array *array = pg_add_array(stmt, array_kind(column->kind));

        for (size_t row = 0; row < n; row++) {
            write_value(array, column->kind, (const uint8_t *)rows[row] + column->offset);
        }
    }
}
