/* From checked bytes to a value of avro-c, and from that to a struct. */
#include <string.h>

#include "base/err.h"
#include "bus/bus_schema.h"

struct reading {
    struct arena *arena;
    struct err *err;
};

static int read_record(const struct reading *in, const struct bus_plan *plan, avro_value_t *value,
                       void *record);

static int failed(const struct reading *in)
{
    return err_set(in->err, ERR_EXTERNAL, "avro: %s", avro_strerror());
}

static int read_text(const struct reading *in, avro_value_t *value, void *at)
{
    const char *text;
    size_t n; /* with the NUL */

    if (avro_value_get_string(value, &text, &n) != 0) {
        return failed(in);
    }
    text = arena_strndup(in->arena, text, n - 1);
    memcpy(at, &text, sizeof(text));
    return 0;
}

static int read_bytes(const struct reading *in, avro_value_t *value, void *at)
{
    const void *p;
    struct bytes copy = {0};

    if (avro_value_get_bytes(value, &p, &copy.n) != 0) {
        return failed(in);
    }
    /* empty is not null: it points somewhere */
    copy.p = copy.n > 0 ? arena_dup(in->arena, p, copy.n) : arena_new0(in->arena, 1);
    memcpy(at, &copy, sizeof(copy));
    return 0;
}

static int read_number(const struct reading *in, const struct record_field *field,
                       avro_value_t *value, void *at)
{
    enum record_field_kind kind = field->kind;
    int32_t narrow = 0;
    int64_t wide = 0;
    int flag = 0;

    if (kind == RECORD_BOOL) {
        bool is_set;

        if (avro_value_get_boolean(value, &flag) != 0) {
            return failed(in);
        }
        is_set = flag != 0;
        memcpy(at, &is_set, sizeof(is_set));
        return 0;
    }
    if (avro_value_get_type(value) == AVRO_INT32) {
        if (avro_value_get_int(value, &narrow) != 0) {
            return failed(in);
        }
        wide = narrow;
    } else if (avro_value_get_long(value, &wide) != 0) {
        return failed(in);
    }
    if (field->most > 0 && (wide > field->most || wide < -field->most)) {
        return err_set(in->err, ERR_INVALID, "%lld is no time", (long long)wide);
    }
    if (kind == RECORD_INT) {
        memcpy(at, &narrow, sizeof(narrow)); /* the plan lets no long in here */
    } else {
        memcpy(at, &wide, sizeof(wide));
    }
    return 0;
}

static int read_strings(const struct reading *in, avro_value_t *value, void *at)
{
    struct record_strings list = {0};
    int rc = 0;

    if (avro_value_get_size(value, &list.n) != 0) {
        return failed(in);
    }
    list.at = arena_array0(in->arena, list.n, sizeof(list.at[0]));
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        avro_value_t item;

        rc = avro_value_get_by_index(value, i, &item, NULL) == 0
                 ? read_text(in, &item, (void *)&list.at[i])
                 : failed(in);
    }
    memcpy(at, &list, sizeof(list));
    return rc;
}

static int read_map(const struct reading *in, avro_value_t *value, void *at)
{
    struct record_map map = {0};
    int rc = 0;

    if (avro_value_get_size(value, &map.n) != 0) {
        return failed(in);
    }
    map.at = arena_array0(in->arena, map.n, sizeof(map.at[0]));
    for (size_t i = 0; i < map.n && rc == 0; i++) {
        avro_value_t item;
        const char *name;

        if (avro_value_get_by_index(value, i, &item, &name) != 0) {
            return failed(in);
        }
        map.at[i].name = arena_strdup(in->arena, name);
        rc = read_text(in, &item, (void *)&map.at[i].value);
    }
    memcpy(at, &map, sizeof(map));
    return rc;
}

static int read_records(const struct reading *in, const struct bus_plan *plan, avro_value_t *value,
                        void *at)
{
    struct bus_list list = {0};
    int rc = 0;

    if (avro_value_get_size(value, &list.n) != 0) {
        return failed(in);
    }
    list.at = arena_array0(in->arena, list.n, plan->type->size);
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        avro_value_t item;

        rc = avro_value_get_by_index(value, i, &item, NULL) == 0
                 ? read_record(in, plan, &item, (char *)list.at + i * plan->type->size)
                 : failed(in);
    }
    memcpy(at, &list, sizeof(list));
    return rc;
}

static int read_present(const struct reading *in, const struct bus_plan_field *plan,
                        avro_value_t *value, void *record)
{
    const struct record_field *field = plan->field;
    void *at = bus_member(record, field->offset);
    void *inner;
    bool has = true;

    switch (field->kind) {
    case RECORD_STRING:
        return read_text(in, value, at);
    case RECORD_BYTES:
        return read_bytes(in, value, at);
    case RECORD_INT:
    case RECORD_LONG:
    case RECORD_BOOL:
        if (field->nullable) {
            memcpy(bus_member(record, field->has_offset), &has, sizeof(has));
        }
        return read_number(in, field, value, at);
    case RECORD_STRING_LIST:
        return read_strings(in, value, at);
    case RECORD_STRING_MAP:
        return read_map(in, value, at);
    case RECORD_RECORD:
        inner = arena_new0(in->arena, plan->inner->type->size);
        memcpy(at, (void *)&inner, sizeof(inner));
        return read_record(in, plan->inner, value, inner);
    case RECORD_RECORD_LIST:
        return read_records(in, plan->inner, value, at);
    }
    return err_set(in->err, ERR_INVALID, "unknown kind of member");
}

/* Steps into the branch of a union: 1; 0 when that is null. */
static int enter(const struct reading *in, avro_value_t *value)
{
    avro_value_t inner;

    if (avro_value_get_type(value) == AVRO_UNION) {
        if (avro_value_get_current_branch(value, &inner) != 0) {
            return failed(in);
        }
        *value = inner;
    }
    return avro_value_get_type(value) != AVRO_NULL;
}

static int read_payload(const struct reading *in, const struct bus_plan_field *plan,
                        const struct record_type *type, avro_value_t value, void *record)
{
    int kind;
    int rc = enter(in, &value);

    if (rc <= 0) {
        return rc;
    }
    memcpy(&kind, bus_member(record, type->kind_offset), sizeof(kind));
    if (kind != 0) {
        return err_set(in->err, ERR_INVALID, "set beside %s, exactly one may be",
                       type->cases[kind - 1].member);
    }
    kind = (int)plan->kind;
    memcpy(bus_member(record, type->kind_offset), &kind, sizeof(kind));
    return read_record(in, plan->inner, &value, bus_member(record, type->as_offset));
}

static int read_field(const struct reading *in, const struct bus_plan_field *plan,
                      avro_value_t value, void *record)
{
    int rc = enter(in, &value);

    if (rc == 0 && !plan->field->nullable) {
        return err_set(in->err, ERR_INVALID, "is null");
    }
    return rc <= 0 ? rc : read_present(in, plan, &value, record);
}

static void fill_default(const struct reading *in, const struct bus_plan_default *from,
                         void *record)
{
    const struct record_field *field = from->field;
    void *at = bus_member(record, field->offset);
    int64_t wide = json_integer_value(from->value);
    int32_t narrow = (int32_t)wide;
    bool flag = json_is_true(from->value);
    bool has = true;
    const char *text;

    if (json_is_null(from->value)) {
        return;
    }
    if (field->kind == RECORD_STRING) {
        text = arena_strdup(in->arena, json_string_value(from->value));
        memcpy(at, (void *)&text, sizeof(text));
    } else if (field->kind == RECORD_INT) {
        memcpy(at, &narrow, sizeof(narrow));
    } else if (field->kind == RECORD_LONG) {
        memcpy(at, &wide, sizeof(wide));
    } else if (field->kind == RECORD_BOOL) {
        memcpy(at, &flag, sizeof(flag));
    } else {
        return;
    }
    if (field->nullable && field->kind != RECORD_STRING) {
        memcpy(bus_member(record, field->has_offset), &has, sizeof(has));
    }
}

/* Exactly one payload, and the name of its type is the one that the envelope says. */
static int check_kind(const struct reading *in, const struct record_type *type, const void *record)
{
    const struct record_field *field = bus_type_field(type);
    const char *said;
    int kind;

    if (type->cases_n == 0) {
        return 0;
    }
    memcpy(&kind, bus_member_const(record, type->kind_offset), sizeof(kind));
    if (kind == 0) {
        return err_set(in->err, ERR_INVALID, "%s: none of its payloads is set", type->name);
    }
    memcpy((void *)&said, bus_member_const(record, field->offset), sizeof(said));
    if (said == NULL || strcmp(said, type->cases[kind - 1].event_type) != 0) {
        return err_set(in->err, ERR_INVALID, "%s: is not the name of its payload %s", field->name,
                       type->cases[kind - 1].member);
    }
    return 0;
}

static int read_record(const struct reading *in, const struct bus_plan *plan, avro_value_t *value,
                       void *record)
{
    for (size_t i = 0; i < plan->n_fields; i++) {
        const struct bus_plan_field *field = &plan->fields[i];
        avro_value_t member;
        int rc;

        if (avro_value_get_by_index(value, i, &member, NULL) != 0) {
            return failed(in);
        }
        if (field->kind != 0) {
            rc = read_payload(in, field, plan->type, member, record);
        } else {
            rc = field->field == NULL ? 0 : read_field(in, field, member, record);
        }
        if (rc < 0) {
            return err_wrap(in->err, rc, "%s", field->name);
        }
    }
    for (size_t i = 0; i < plan->n_defaults; i++) {
        fill_default(in, &plan->defaults[i], record);
    }
    return check_kind(in, plan->type, record);
}

int bus_schema_read(const struct bus_schema *schema, struct bytes body, struct arena *arena,
                    void *record, struct err *err)
{
    struct reading in = {arena, err};
    avro_reader_t reader = avro_reader_memory((const char *)body.p, (int64_t)body.n);
    avro_value_t value;
    int rc;

    if (avro_generic_value_new(schema->iface, &value) != 0) {
        avro_reader_free(reader);
        return failed(&in);
    }
    rc = avro_value_read(reader, &value) == 0 ? 0 : failed(&in);
    if (rc == 0) {
        rc = read_record(&in, schema->plan, &value, record);
    }
    avro_value_decref(&value);
    avro_reader_free(reader);
    return rc;
}
