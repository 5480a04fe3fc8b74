#include "tracker/record_json.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/buf.h"

/* The layout of every list of records. */
struct list {
    size_t n;
    const void *at;
};

static json_t *to_json(const struct record_type *type, const void *record);

static json_t *strings_to_json(const struct record_strings *strings)
{
    json_t *array = json_array();

    for (size_t i = 0; i < strings->n; i++) {
        (void)json_array_append_new(array, json_string(strings->at[i]));
    }
    return array;
}

static json_t *map_to_json(const struct record_map *map)
{
    json_t *object = json_object();

    for (size_t i = 0; i < map->n; i++) {
        (void)json_object_set_new(object, map->at[i].name, json_string(map->at[i].value));
    }
    return object;
}

static json_t *list_to_json(const struct record_type *type, const struct list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++) {
        (void)json_array_append_new(array, to_json(type, (const char *)list->at + i * type->size));
    }
    return array;
}

/* NULL leaves the member out. */
static json_t *field_to_json(const struct record_field *field, const char *record)
{
    const void *at = record + field->offset;
    const char *text = NULL;
    const void *inner = NULL;

    if (field->has_offset != 0 && !*(const bool *)(record + field->has_offset)) {
        return json_null();
    }
    switch (field->kind) {
    case RECORD_STRING:
        text = *(const char *const *)at;
        return text != NULL ? json_string(text) : json_null();
    case RECORD_BYTES:
        return NULL;
    case RECORD_INT:
        return json_integer(*(const int32_t *)at);
    case RECORD_LONG:
        return json_integer(*(const int64_t *)at);
    case RECORD_BOOL:
        return json_boolean(*(const bool *)at);
    case RECORD_STRING_LIST:
        return strings_to_json(at);
    case RECORD_STRING_MAP:
        return map_to_json(at);
    case RECORD_RECORD:
        inner = *(const void *const *)at;
        return inner != NULL ? to_json(field->type, inner) : json_null();
    case RECORD_RECORD_LIST:
        return list_to_json(field->type, at);
    }
    return NULL;
}

static json_t *to_json(const struct record_type *type, const void *record)
{
    json_t *object = json_object();

    for (size_t i = 0; i < type->fields_n; i++) {
        json_t *value = field_to_json(&type->fields[i], record);

        if (value != NULL) {
            (void)json_object_set_new(object, type->fields[i].name, value);
        }
    }
    return object;
}

static int append(const char *text, size_t n, void *out)
{
    buf_add(out, text, n);
    return 0;
}

static void write_out(json_t *object, struct buf *out)
{
    if (json_dump_callback(object, append, out, JSON_COMPACT) != 0) {
        abort(); /* out of memory; texts were checked when they were decoded */
    }
    json_decref(object);
}

void record_to_json(const struct record_type *type, const void *record, struct buf *out)
{
    write_out(to_json(type, record), out);
}

void record_payload_to_json(const struct record_type *type, const void *record, struct buf *out)
{
    int kind = *(const int *)(const void *)((const char *)record + type->kind_offset);

    if (kind < 1 || (size_t)kind > type->cases_n) {
        buf_add_str(out, "{}");
        return;
    }
    record_to_json(type->cases[kind - 1].type, (const char *)record + type->as_offset, out);
}
