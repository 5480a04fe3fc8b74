#include "bus/bus_schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static struct bus_plan *plan_new(avro_schema_t schema, const struct record_type *type, json_t *root,
                                 json_t *node, struct err *err);

/* ---- the newest schema's text, where the defaults stand ---- */

static json_t *find_record(json_t *node, const char *name)
{
    json_t *found = NULL;
    json_t *item;
    size_t i;

    if (json_is_object(node)) {
        const char *own = json_string_value(json_object_get(node, "name"));

        if (own != NULL && strcmp(own, name) == 0 && json_object_get(node, "fields") != NULL) {
            return node;
        }
    }
    json_array_foreach(node, i, item)
    {
        if (found == NULL) {
            found = find_record(item, name);
        }
    }
    for (void *at = json_object_iter(node); at != NULL && found == NULL;
         at = json_object_iter_next(node, at)) {
        if (strcmp(json_object_iter_key(at), "default") != 0) {
            found = find_record(json_object_iter_value(at), name);
        }
    }
    return found;
}

/* The record that a member of type @node is, or is a list of; NULL for anything else. */
static json_t *record_node(json_t *root, json_t *node)
{
    if (json_is_array(node)) { /* a union with null in front */
        return record_node(root, json_array_get(node, 1));
    }
    if (json_is_string(node)) {
        return find_record(root, json_string_value(node));
    }
    if (json_object_get(node, "fields") != NULL) {
        return node;
    }
    if (json_object_get(node, "items") != NULL) {
        return record_node(root, json_object_get(node, "items"));
    }
    return NULL;
}

static json_t *member_node(const json_t *record, const char *name)
{
    json_t *field;
    size_t i;

    json_array_foreach(json_object_get(record, "fields"), i, field)
    {
        const char *own = json_string_value(json_object_get(field, "name"));

        if (own != NULL && strcmp(own, name) == 0) {
            return field;
        }
    }
    return NULL;
}

/* ---- plans ---- */

static void plan_free(struct bus_plan **plan)
{
    if (*plan == NULL) {
        return;
    }
    for (size_t i = 0; i < (*plan)->n_fields; i++) {
        plan_free(&(*plan)->fields[i].inner);
    }
    free((*plan)->fields);
    free((*plan)->defaults);
    free(*plan);
    *plan = NULL;
}

static avro_schema_t resolve(avro_schema_t schema)
{
    while (is_avro_link(schema)) {
        schema = avro_schema_link_target(schema);
    }
    return schema;
}

/* What a member holds when it is not null. */
static avro_schema_t not_null(avro_schema_t schema)
{
    schema = resolve(schema);
    if (is_avro_union(schema)) {
        for (size_t i = 0; i < avro_schema_union_size(schema); i++) {
            avro_schema_t branch = resolve(avro_schema_union_branch(schema, (int)i));

            if (!is_avro_null(branch)) {
                return branch;
            }
        }
    }
    return schema;
}

/* Of the items of a list or the values of a map. */
static bool is_of(avro_schema_t items, avro_type_t type)
{
    avro_schema_t schema = resolve(items);

    return schema != NULL && avro_typeof(schema) == type;
}

static bool fits(avro_schema_t schema, enum record_field_kind kind)
{
    switch (kind) {
    case RECORD_STRING:
        return is_avro_string(schema);
    case RECORD_BYTES:
        return is_avro_bytes(schema);
    case RECORD_INT:
        return is_avro_int32(schema);
    case RECORD_LONG:
        return is_avro_int32(schema) || is_avro_int64(schema);
    case RECORD_BOOL:
        return is_avro_boolean(schema);
    case RECORD_STRING_LIST:
        return is_avro_array(schema) && is_of(avro_schema_array_items(schema), AVRO_STRING);
    case RECORD_STRING_MAP:
        return is_avro_map(schema) && is_of(avro_schema_map_values(schema), AVRO_STRING);
    case RECORD_RECORD:
        return is_avro_record(schema);
    case RECORD_RECORD_LIST:
        return is_avro_array(schema) && is_of(avro_schema_array_items(schema), AVRO_RECORD);
    }
    return false;
}

static const struct record_field *find_field(const struct record_type *type, const char *name)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        if (strcmp(type->fields[i].name, name) == 0) {
            return &type->fields[i];
        }
    }
    return NULL;
}

static size_t find_kind(const struct record_type *type, const char *member)
{
    for (size_t i = 0; i < type->cases_n; i++) {
        if (strcmp(type->cases[i].member, member) == 0) {
            return i + 1;
        }
    }
    return 0;
}

const struct record_field *bus_type_field(const struct record_type *type)
{
    const struct record_field *field = NULL;

    if (type->cases_n > 0) {
        field = find_field(type, "event_type");
        return field != NULL ? field : find_field(type, "command_type");
    }
    return NULL;
}

static int plan_inner(struct bus_plan_field *at, avro_schema_t schema,
                      const struct record_type *type, json_t *root, json_t *node, struct err *err)
{
    json_t *inner = record_node(root, json_object_get(node, "type"));

    if (is_avro_array(schema)) {
        schema = resolve(avro_schema_array_items(schema));
    }
    if (!is_avro_record(schema) || inner == NULL) {
        return err_set(err, ERR_INVALID, "member %s is not the record that it was", at->name);
    }
    at->inner = plan_new(schema, type, root, inner, err);
    return at->inner == NULL ? err_wrap(err, -ERR_INVALID, "%s", at->name) : 0;
}

static int plan_field(struct bus_plan_field *at, const struct record_type *type,
                      avro_schema_t schema, json_t *root, json_t *node, struct err *err)
{
    avro_schema_t held = not_null(schema);

    node = member_node(node, at->name);
    at->field = find_field(type, at->name);
    at->kind = at->field == NULL ? find_kind(type, at->name) : 0;
    if (at->kind != 0) {
        return plan_inner(at, held, type->cases[at->kind - 1].type, root, node, err);
    }
    if (at->field == NULL) {
        return 0;
    }
    if (!fits(held, at->field->kind)) {
        return err_set(err, ERR_INVALID, "member %s has a type that does not fit", at->name);
    }
    return at->field->type == NULL ? 0 : plan_inner(at, held, at->field->type, root, node, err);
}

static bool has_field(const struct bus_plan *plan, const struct record_field *field)
{
    for (size_t i = 0; i < plan->n_fields; i++) {
        if (plan->fields[i].field == field) {
            return true;
        }
    }
    return false;
}

static bool is_empty(const json_t *value)
{
    return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static bool is_default(const json_t *value, const struct record_field *field)
{
    switch (field->kind) {
    case RECORD_STRING:
        return json_is_string(value) || (field->nullable && json_is_null(value));
    case RECORD_INT:
    case RECORD_LONG:
        return json_is_integer(value) || (field->nullable && json_is_null(value));
    case RECORD_BOOL:
        return json_is_boolean(value) || (field->nullable && json_is_null(value));
    default: /* of these only "nothing" is in use */
        return value != NULL && is_empty(value);
    }
}

static int plan_defaults(struct bus_plan *plan, json_t *node, struct err *err)
{
    const struct record_type *type = plan->type;

    plan->defaults = mem_array0(type->fields_n + 1, sizeof(plan->defaults[0]));
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct record_field *field = &type->fields[i];
        const json_t *value = json_object_get(member_node(node, field->name), "default");

        if (has_field(plan, field)) {
            continue;
        }
        if (!is_default(value, field)) {
            return err_set(err, ERR_INVALID, "member %s is new and has no default of its type",
                           field->name);
        }
        plan->defaults[plan->n_defaults].field = field;
        plan->defaults[plan->n_defaults++].value = value;
    }
    return 0;
}

/* @node: the same record in the newest schema's text, @root the whole of that. */
static struct bus_plan *plan_new(avro_schema_t schema, const struct record_type *type, json_t *root,
                                 json_t *node, struct err *err)
{
    struct bus_plan *plan = mem_new0(sizeof(*plan));

    plan->type = type;
    plan->n_fields = avro_schema_record_size(schema);
    plan->fields = mem_array0(plan->n_fields + 1, sizeof(plan->fields[0]));
    for (size_t i = 0; i < plan->n_fields; i++) {
        avro_schema_t member = avro_schema_record_field_get_by_index(schema, (int)i);

        plan->fields[i].name = avro_schema_record_field_name(schema, (int)i);
        if (plan_field(&plan->fields[i], type, member, root, node, err) < 0) {
            plan_free(&plan);
            return NULL;
        }
    }
    if (plan_defaults(plan, node, err) < 0) {
        plan_free(&plan);
    }
    return plan;
}

/* ---- schemas ---- */

int bus_schema_new(const char *text, const char *newest_text, const struct record_type *type,
                   struct bus_schema **out, struct err *err)
{
    struct bus_schema *schema = mem_new0(sizeof(*schema));
    int rc = 0;

    schema->newest = json_loads(newest_text, 0, NULL);
    if (avro_schema_from_json_length(text, strlen(text), &schema->avro) != 0) {
        schema->avro = NULL;
        rc = err_set(err, ERR_INVALID, "not an Avro schema: %s", avro_strerror());
        goto out;
    }
    if (!is_avro_record(schema->avro) || schema->newest == NULL) {
        rc = err_set(err, ERR_INVALID, "not the schema of a record");
        goto out;
    }
    schema->plan = plan_new(schema->avro, type, schema->newest, schema->newest, err);
    schema->iface = avro_generic_class_from_schema(schema->avro);
    if (schema->plan == NULL || schema->iface == NULL) {
        rc = schema->plan == NULL ? -ERR_INVALID : err_set(err, ERR_EXTERNAL, "avro: no class");
        goto out;
    }
    *out = schema;
    schema = NULL;
out:
    bus_schema_free(&schema);
    return rc;
}

void bus_schema_free(struct bus_schema **schema)
{
    struct bus_schema *s = *schema;

    *schema = NULL;
    if (s == NULL) {
        return;
    }
    plan_free(&s->plan);
    json_decref(s->newest);
    if (s->iface != NULL) {
        avro_value_iface_decref(s->iface);
    }
    if (s->avro != NULL) {
        (void)avro_schema_decref(s->avro);
    }
    free(s);
}
