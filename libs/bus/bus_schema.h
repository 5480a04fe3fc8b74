/* bus_schema: one Avro schema matched to the struct of its topic. Inside libs/bus; bus_codec.h is
 * the way in. One thread at a time: avro-c keeps process-wide state. */
#ifndef BUS_BUS_SCHEMA_H
#define BUS_BUS_SCHEMA_H

#include <avro.h>
#include <jansson.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "record/records.h"

struct err;
struct bus_plan;

/* A member of the schema's record, in the schema's order. */
struct bus_plan_field {
    const char *name;                 /* the schema's own */
    const struct record_field *field; /* NULL: the struct does not have it */
    size_t kind;                      /* not 0: the payload of that kind of a command or event */
    struct bus_plan *inner;           /* owned; of a record, or of the items of a list of records */
};

/* A member of the struct that the schema does not have. */
struct bus_plan_default {
    const struct record_field *field;
    const json_t *value; /* of the newest schema's text */
};

/* How a record of the schema and a struct belong together. */
struct bus_plan {
    const struct record_type *type;
    size_t n_fields;
    struct bus_plan_field *fields;
    size_t n_defaults;
    struct bus_plan_default *defaults;
};

struct bus_schema {
    int32_t id;
    int version;
    avro_schema_t avro;
    avro_value_iface_t *iface;
    json_t *newest; /* the text that defaults come from */
    struct bus_plan *plan;
};

/* Match the schema @text to @type, whose own newest schema is @newest_text. Gives *@out
 * (bus_schema_free). -ERR_INVALID: no schema, or one that could not be read into @type. */
NODISCARD int bus_schema_new(const char *text, const char *newest_text,
                             const struct record_type *type, struct bus_schema **out,
                             struct err *err);
void bus_schema_free(struct bus_schema **schema);

/* Say whether @body is exactly one value of the schema within the limits, before avro-c, which
 * believes every length, sees it. Errors as bus_decode. */
NODISCARD int bus_schema_check(const struct bus_schema *schema, struct bytes body, struct err *err);

/* The body of @record, appended; errors as bus_encode. */
NODISCARD int bus_schema_write(const struct bus_schema *schema, const void *record, struct buf *out,
                               struct err *err);

/* The checked @body into @record (all zero before). Errors as bus_decode. */
NODISCARD int bus_schema_read(const struct bus_schema *schema, struct bytes body,
                              struct arena *arena, void *record, struct err *err);

/* The member of @type that holds the name of an event's or command's type; NULL in other records.
 */
const struct record_field *bus_type_field(const struct record_type *type);

/* Where @field lies in @record. */
static inline void *bus_member(void *record, size_t offset)
{
    return (char *)record + offset;
}

static inline const void *bus_member_const(const void *record, size_t offset)
{
    return (const char *)record + offset;
}

/* The layout of every list of a struct. */
struct bus_list {
    size_t n;
    void *at;
};

#endif
