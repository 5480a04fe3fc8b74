/* From a struct to a value of avro-c, and from that to bytes. */
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_schema.h"

static int write_record(const struct bus_plan *plan, avro_value_t *value, const void *record,
                        int version, struct err *err);

static int failed(struct err *err)
{
    return err_set(err, ERR_EXTERNAL, "avro: %s", avro_strerror());
}

static int set_text(avro_value_t *value, const char *text, struct err *err)
{
    size_t n;

    if (text == NULL) {
        return err_set(err, ERR_INVALID, "must not be null");
    }
    n = strlen(text);
    if (!text_is_utf8((struct bytes){(const uint8_t *)text, n})) {
        return err_set(err, ERR_INVALID, "is not UTF-8 text");
    }
    if (n > BUS_RECORD_MAX) {
        return err_set(err, ERR_LIMIT, "text of %zu bytes, at most %d", n, BUS_RECORD_MAX);
    }
    return avro_value_set_string_len(value, text, n + 1) == 0 ? 0 : failed(err);
}

static int set_bytes(avro_value_t *value, const struct bytes *from, struct err *err)
{
    static const uint8_t none[1] = {0};
    const uint8_t *from_p = from->p == NULL ? none : from->p;
    void *p;

    if (from->n > BUS_RECORD_MAX) {
        return err_set(err, ERR_LIMIT, "%zu bytes, at most %d", from->n, BUS_RECORD_MAX);
    }
    memcpy(&p, (void *)&from_p,
           sizeof(p)); /* avro-c copies, for all that its argument is not const */
    return avro_value_set_bytes(value, p, from->n) == 0 ? 0 : failed(err);
}

static int write_strings(avro_value_t *value, const struct record_strings *list, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < list->n && rc == 0; i++) {
        avro_value_t item;

        rc = avro_value_append(value, &item, NULL) == 0 ? set_text(&item, list->at[i], err)
                                                        : failed(err);
    }
    return rc;
}

static int write_map(avro_value_t *value, const struct record_map *map, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < map->n && rc == 0; i++) {
        avro_value_t item;
        const char *name = map->at[i].name;

        if (name == NULL || !text_is_utf8((struct bytes){(const uint8_t *)name, strlen(name)})) {
            return err_set(err, ERR_INVALID, "a name that is not UTF-8 text");
        }
        rc = avro_value_add(value, name, &item, NULL, NULL) == 0
                 ? set_text(&item, map->at[i].value, err)
                 : failed(err);
    }
    return rc;
}

static int write_records(const struct bus_plan *plan, avro_value_t *value,
                         const struct bus_list *list, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < list->n && rc == 0; i++) {
        avro_value_t item;

        rc = avro_value_append(value, &item, NULL) == 0
                 ? write_record(plan, &item, (const char *)list->at + i * plan->type->size, 0, err)
                 : failed(err);
    }
    return rc;
}

static int write_long(avro_value_t *value, const struct record_field *field, const void *at,
                      struct err *err)
{
    int64_t number = 0;

    if (field->kind == RECORD_INT) {
        int32_t narrow;

        memcpy(&narrow, at, sizeof(narrow));
        number = narrow;
    } else {
        memcpy(&number, at, sizeof(number));
    }
    if (field->most > 0 && (number > field->most || number < -field->most)) {
        return err_set(err, ERR_INVALID, "%lld is no time", (long long)number);
    }
    if (avro_value_get_type(value) == AVRO_INT32) {
        return avro_value_set_int(value, (int32_t)number) == 0 ? 0 : failed(err);
    }
    return avro_value_set_long(value, number) == 0 ? 0 : failed(err);
}

static int write_present(const struct bus_plan_field *plan, avro_value_t *value, const void *at,
                         struct err *err)
{
    struct bus_list list;
    const void *p;
    bool flag;

    switch (plan->field->kind) {
    case RECORD_STRING:
        memcpy(&p, at, sizeof(p));
        return set_text(value, p, err);
    case RECORD_BYTES:
        return set_bytes(value, at, err);
    case RECORD_INT:
    case RECORD_LONG:
        return write_long(value, plan->field, at, err);
    case RECORD_BOOL:
        memcpy(&flag, at, sizeof(flag));
        return avro_value_set_boolean(value, flag) == 0 ? 0 : failed(err);
    case RECORD_STRING_LIST:
        return write_strings(value, at, err);
    case RECORD_STRING_MAP:
        return write_map(value, at, err);
    case RECORD_RECORD:
        memcpy(&p, at, sizeof(p));
        return p == NULL ? err_set(err, ERR_INVALID, "must not be null")
                         : write_record(plan->inner, value, p, 0, err);
    case RECORD_RECORD_LIST:
        memcpy(&list, at, sizeof(list));
        return write_records(plan->inner, value, &list, err);
    }
    return err_set(err, ERR_INVALID, "unknown kind of member");
}

static bool is_null(const struct record_field *field, const void *record)
{
    struct bytes bytes;
    struct bus_list list;
    const void *p;
    bool has;

    switch (field->kind) {
    case RECORD_STRING:
    case RECORD_RECORD:
        memcpy(&p, bus_member_const(record, field->offset), sizeof(p));
        return p == NULL;
    case RECORD_BYTES:
        memcpy(&bytes, bus_member_const(record, field->offset), sizeof(bytes));
        return bytes.p == NULL;
    case RECORD_INT:
    case RECORD_LONG:
    case RECORD_BOOL:
        memcpy(&has, bus_member_const(record, field->has_offset), sizeof(has));
        return !has;
    default:
        memcpy(&list, bus_member_const(record, field->offset), sizeof(list));
        return list.at == NULL;
    }
}

/* Steps into the branch of a union that is null or not; leaves anything else alone. */
static int branch(avro_value_t *value, bool null, struct err *err)
{
    avro_schema_t schema = avro_value_get_schema(value);
    avro_value_t inner;

    if (!is_avro_union(schema)) {
        return null ? err_set(err, ERR_INVALID, "cannot be null in this schema") : 0;
    }
    for (size_t i = 0; i < avro_schema_union_size(schema); i++) {
        if (is_avro_null(avro_schema_union_branch(schema, (int)i)) != null) {
            continue;
        }
        if (avro_value_set_branch(value, (int)i, &inner) != 0) {
            return failed(err);
        }
        *value = inner;
        return 0;
    }
    return err_set(err, ERR_INVALID, "cannot be null in this schema");
}

static int write_field(const struct bus_plan_field *plan, avro_value_t value, const void *record,
                       struct err *err)
{
    bool null = plan->field->nullable && is_null(plan->field, record);
    int rc = branch(&value, null, err);

    if (rc < 0 || null) {
        return rc;
    }
    return write_present(plan, &value, bus_member_const(record, plan->field->offset), err);
}

/* The member of a payload: null unless it is the one of the record's kind. */
static int write_payload(const struct bus_plan_field *plan, const struct record_type *type,
                         avro_value_t value, const void *record, struct err *err)
{
    int kind;
    bool null;
    int rc;

    memcpy(&kind, bus_member_const(record, type->kind_offset), sizeof(kind));
    null = plan->kind != (size_t)kind;
    rc = branch(&value, null, err);
    if (rc < 0 || null) {
        return rc;
    }
    return write_record(plan->inner, &value, bus_member_const(record, type->as_offset), 0, err);
}

static int check_kind(const struct record_type *type, const void *record, const char **name,
                      struct err *err)
{
    int kind;

    *name = NULL;
    if (type->cases_n == 0) {
        return 0;
    }
    memcpy(&kind, bus_member_const(record, type->kind_offset), sizeof(kind));
    if (kind < 1 || (size_t)kind > type->cases_n) {
        return err_set(err, ERR_INVALID, "%s of unknown kind %d", type->name, kind);
    }
    *name = type->cases[kind - 1].event_type;
    return 0;
}

/* @version: what schema_version of the outermost record becomes. */
static int write_record(const struct bus_plan *plan, avro_value_t *value, const void *record,
                        int version, struct err *err)
{
    const struct record_field *type_field = bus_type_field(plan->type);
    const char *type_name;
    int rc = check_kind(plan->type, record, &type_name, err);

    for (size_t i = 0; i < plan->n_fields && rc == 0; i++) {
        const struct bus_plan_field *field = &plan->fields[i];
        avro_value_t member;

        if (avro_value_get_by_index(value, i, &member, NULL) != 0) {
            rc = failed(err);
        } else if (field->kind != 0) {
            rc = write_payload(field, plan->type, member, record, err);
        } else if (field->field == NULL) {
            rc = err_set(err, ERR_INVALID, "is not in the struct");
        } else if (type_field != NULL && field->field == type_field) {
            rc = set_text(&member, type_name, err);
        } else if (type_field != NULL && strcmp(field->name, "schema_version") == 0) {
            rc = avro_value_set_int(&member, version) == 0 ? 0 : failed(err);
        } else {
            rc = write_field(field, member, record, err);
        }
        if (rc < 0) {
            rc = err_wrap(err, rc, "%s", field->name);
        }
    }
    return rc;
}

static int serialise(avro_value_t *value, struct buf *out, struct err *err)
{
    avro_writer_t writer;
    size_t n;
    int rc = 0;

    if (avro_value_sizeof(value, &n) != 0) {
        return failed(err);
    }
    if (n > BUS_RECORD_MAX) {
        return err_set(err, ERR_LIMIT, "record of %zu bytes, at most %d", n, BUS_RECORD_MAX);
    }
    writer = avro_writer_memory((const char *)buf_room(out, n + 1), (int64_t)n);
    if (writer == NULL || avro_value_write(writer, value) != 0 ||
        avro_writer_tell(writer) != (int64_t)n) {
        rc = failed(err);
    } else {
        buf_used(out, n);
    }
    avro_writer_free(writer);
    return rc;
}

int bus_schema_write(const struct bus_schema *schema, const void *record, struct buf *out,
                     struct err *err)
{
    size_t before = out->n;
    avro_value_t value;
    int rc;

    if (avro_generic_value_new(schema->iface, &value) != 0) {
        return failed(err);
    }
    rc = write_record(schema->plan, &value, record, schema->version, err);
    if (rc == 0) {
        rc = serialise(&value, out, err);
    }
    if (rc == 0) { /* what no reader would take is not written: it would be lost for all of them */
        rc = bus_schema_check(schema, (struct bytes){out->p + before, out->n - before}, err);
    }
    avro_value_decref(&value);
    return rc;
}
