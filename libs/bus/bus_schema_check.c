/* Walks a schema over bytes that a peer chose. avro-c allocates what a length announces before it
 * looks for the data, takes any bytes for text, and stops before the end without a word. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_schema.h"

struct place { /* the chain of members that leads to the value at hand */
    const struct place *outer;
    const char *name;
};

struct walk {
    const uint8_t *at;
    size_t left;
    size_t items;
    struct err *err;
};

static int walk_value(struct walk *walk, avro_schema_t schema, const struct place *place);

/* "a.b.c" of at most the four innermost members. */
static const char *path_of(const struct place *place, char *out, size_t size)
{
    const struct place *chain[4];
    size_t n = 0;
    size_t used = 0;

    for (; place != NULL && n < 4; place = place->outer) {
        chain[n++] = place;
    }
    out[0] = '\0';
    while (n > 0 && used + 1 < size) {
        const char *name = chain[--n]->name;
        size_t length = strnlen(name, size - used - 2);

        memcpy(out + used, name, length);
        used += length;
        out[used++] = n > 0 ? '.' : '\0';
        out[size - 1] = '\0';
    }
    return out;
}

static int refuse(const struct walk *walk, enum err_code code, const struct place *place,
                  const char *why)
{
    char path[120];

    return err_set(walk->err, code, "%s: %s",
                   place == NULL ? "record" : path_of(place, path, sizeof(path)), why);
}

static int walk_long(struct walk *walk, const struct place *place, int64_t *out)
{
    uint64_t raw = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;

        if (walk->left == 0) {
            return refuse(walk, ERR_INVALID, place, "ends inside a number");
        }
        byte = *walk->at++;
        walk->left--;
        if (shift == 63 && byte > 1) {
            break;
        }
        raw |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
            return 0;
        }
    }
    return refuse(walk, ERR_INVALID, place, "a number of more than 64 bits");
}

static int walk_int(struct walk *walk, const struct place *place)
{
    int64_t value = 0;
    int rc = walk_long(walk, place, &value);

    if (rc == 0 && (value < INT32_MIN || value > INT32_MAX)) {
        return refuse(walk, ERR_INVALID, place, "does not fit 32 bits");
    }
    return rc;
}

static int walk_bytes(struct walk *walk, const struct place *place, struct bytes *out)
{
    int64_t n = 0;
    int rc = walk_long(walk, place, &n);

    if (rc < 0) {
        return rc;
    }
    if (n < 0 || (uint64_t)n > walk->left) {
        return refuse(walk, ERR_INVALID, place, "announces more bytes than there are");
    }
    *out = (struct bytes){walk->at, (size_t)n};
    walk->at += n;
    walk->left -= (size_t)n;
    return 0;
}

static int walk_string(struct walk *walk, const struct place *place)
{
    struct bytes text = {0};
    int rc = walk_bytes(walk, place, &text);

    if (rc == 0 && !text_is_utf8(text)) {
        return refuse(walk, ERR_INVALID, place, "is not UTF-8 text without NUL");
    }
    return rc;
}

static int walk_bool(struct walk *walk, const struct place *place)
{
    if (walk->left == 0 || *walk->at > 1) {
        return refuse(walk, ERR_INVALID, place, "is not true or false");
    }
    walk->at++;
    walk->left--;
    return 0;
}

static int walk_record(struct walk *walk, avro_schema_t schema, const struct place *place)
{
    int rc = 0;

    for (size_t i = 0; i < avro_schema_record_size(schema) && rc == 0; i++) {
        struct place inner = {place, avro_schema_record_field_name(schema, (int)i)};

        rc = walk_value(walk, avro_schema_record_field_get_by_index(schema, (int)i), &inner);
    }
    return rc;
}

static int walk_union(struct walk *walk, avro_schema_t schema, const struct place *place)
{
    int64_t branch = 0;
    int rc = walk_long(walk, place, &branch);

    if (rc < 0) {
        return rc;
    }
    if (branch < 0 || (uint64_t)branch >= avro_schema_union_size(schema)) {
        return refuse(walk, ERR_INVALID, place, "is of no branch of its union");
    }
    return walk_value(walk, avro_schema_union_branch(schema, (int)branch), place);
}

/* The head of the next block: how many items, 0 at the end. */
static int walk_block(struct walk *walk, const struct place *place, uint64_t *n)
{
    int64_t count = 0;
    int64_t size = 0;
    int rc = walk_long(walk, place, &count);

    if (rc == 0 && count < 0) { /* the size in bytes follows; avro-c does not look at it either */
        rc = walk_long(walk, place, &size);
        if (rc == 0 && (size < 0 || (uint64_t)size > walk->left)) {
            return refuse(walk, ERR_INVALID, place, "announces more bytes than there are");
        }
    }
    if (rc < 0) {
        return rc;
    }
    *n = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    if (*n > BUS_RECORD_ITEMS_MAX - walk->items) {
        char why[96];

        (void)snprintf(why, sizeof(why), "%llu items make more than the %d of a record",
                       (unsigned long long)*n, (int)BUS_RECORD_ITEMS_MAX);
        return refuse(walk, ERR_LIMIT, place, why);
    }
    walk->items += (size_t)*n;
    return 0;
}

static int walk_items(struct walk *walk, avro_schema_t schema, const struct place *place)
{
    bool is_map = is_avro_map(schema);
    avro_schema_t items = is_map ? avro_schema_map_values(schema) : avro_schema_array_items(schema);
    uint64_t n = 0;
    int rc;

    while ((rc = walk_block(walk, place, &n)) == 0 && n > 0) {
        for (; n > 0; n--) {
            if (is_map && (rc = walk_string(walk, place)) < 0) {
                return rc;
            }
            rc = walk_value(walk, items, place);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return rc;
}

static int walk_value(struct walk *walk, avro_schema_t schema, const struct place *place)
{
    struct bytes ignored;
    int64_t number;

    switch (avro_typeof(schema)) {
    case AVRO_NULL:
        return 0;
    case AVRO_BOOLEAN:
        return walk_bool(walk, place);
    case AVRO_INT32:
        return walk_int(walk, place);
    case AVRO_INT64:
        return walk_long(walk, place, &number);
    case AVRO_STRING:
        return walk_string(walk, place);
    case AVRO_BYTES:
        return walk_bytes(walk, place, &ignored);
    case AVRO_RECORD:
        return walk_record(walk, schema, place);
    case AVRO_UNION:
        return walk_union(walk, schema, place);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return walk_items(walk, schema, place);
    case AVRO_LINK:
        return walk_value(walk, avro_schema_link_target(schema), place);
    default: /* float, double, enum, fixed: our schemas have none */
        return refuse(walk, ERR_INVALID, place, "is of a type that is not in use");
    }
}

int bus_schema_check(const struct bus_schema *schema, struct bytes body, struct err *err)
{
    struct walk walk = {.at = body.p, .left = body.n, .err = err};
    int rc;

    if (body.n > BUS_RECORD_MAX) {
        return err_set(err, ERR_LIMIT, "record of %zu bytes, at most %d", body.n, BUS_RECORD_MAX);
    }
    rc = walk_value(&walk, schema->avro, NULL);
    if (rc == 0 && walk.left > 0) {
        return err_set(err, ERR_INVALID, "record: %zu bytes too many at the end", walk.left);
    }
    return rc;
}
