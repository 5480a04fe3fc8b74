#include "bus/bus_codec.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/err.h"
#include "bus/bus_schema.h"

enum { FRAME_BYTES = 5, SCHEMAS_MAX = 256 };

/* The schemas of records.c, made when first used; never changed or freed afterwards. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bus_schema *made[SCHEMAS_MAX];

static const struct schema_info *newest_of(const char *subject)
{
    const struct schema_info *newest = NULL;

    for (size_t i = 0; i < schemas_n; i++) {
        if (strcmp(schemas[i].subject, subject) == 0 &&
            (newest == NULL || schemas[i].version > newest->version)) {
            newest = &schemas[i];
        }
    }
    assert(newest != NULL);
    return newest;
}

static int schema_of(enum topic topic, const struct schema_info *info,
                     const struct bus_schema **out, struct err *err)
{
    size_t at = (size_t)(info - schemas);
    int rc;

    assert(schemas_n <= SCHEMAS_MAX);
    if (made[at] == NULL) {
        rc = bus_schema_new(info->text, newest_of(info->subject)->text, topics[topic].type,
                            &made[at], err);
        if (rc < 0) {
            return err_wrap(err, rc, "schema %d (%s version %d)", info->id, info->subject,
                            info->version);
        }
        made[at]->id = info->id;
        made[at]->version = info->version;
    }
    *out = made[at];
    return 0;
}

static int encode(enum topic topic, const void *record, struct buf *out, bool is_framed,
                  struct err *err)
{
    const struct schema_info *info = newest_of(topics[topic].subject);
    const struct bus_schema *schema = NULL;
    size_t before = out->n;
    int rc;

    (void)pthread_mutex_lock(&lock);
    rc = schema_of(topic, info, &schema, err);
    if (rc == 0) {
        if (is_framed) {
            buf_add_u8(out, 0);
            buf_add_be(out, (uint32_t)info->id, 4);
        }
        rc = bus_schema_write(schema, record, out, err);
    }
    (void)pthread_mutex_unlock(&lock);
    if (rc == 0 && out->n - before > BUS_RECORD_MAX) {
        rc = err_set(err, ERR_LIMIT, "record of %zu bytes, at most %d", out->n - before,
                     BUS_RECORD_MAX);
    }
    if (rc < 0) {
        out->n = before;
        return err_wrap(err, rc, "%s", topics[topic].name);
    }
    return 0;
}

int bus_encode(enum topic topic, const void *record, struct buf *out, struct err *err)
{
    return encode(topic, record, out, true, err);
}

int bus_encode_body(enum topic topic, const void *record, struct buf *out, struct err *err)
{
    return encode(topic, record, out, false, err);
}

struct bytes bus_body(struct bytes from)
{
    if (from.n < FRAME_BYTES) {
        return (struct bytes){0};
    }
    return (struct bytes){from.p + FRAME_BYTES, from.n - FRAME_BYTES};
}

/* The schema that the first five bytes name. */
static int named_schema(enum topic topic, struct bytes from, const struct schema_info **out,
                        struct err *err)
{
    uint32_t id = 0;

    if (from.n > BUS_RECORD_MAX) {
        return err_set(err, ERR_LIMIT, "record of %zu bytes, at most %d", from.n, BUS_RECORD_MAX);
    }
    if (from.n < FRAME_BYTES || from.p[0] != 0) {
        return err_set(err, ERR_INVALID, "does not begin with 0x00 and a schema id");
    }
    for (int i = 1; i < FRAME_BYTES; i++) {
        id = id << 8 | from.p[i];
    }
    for (size_t i = 0; i < schemas_n; i++) {
        if ((uint32_t)schemas[i].id != id) {
            continue;
        }
        if (strcmp(schemas[i].subject, topics[topic].subject) != 0) {
            return err_set(err, ERR_INVALID, "schema id %u is of %s", id, schemas[i].subject);
        }
        *out = &schemas[i];
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "schema id %u is not known here", id);
}

int bus_decode(enum topic topic, struct bytes from, struct arena *arena, void *record,
               struct err *err)
{
    const struct schema_info *info = NULL;
    const struct bus_schema *schema = NULL;
    int rc = named_schema(topic, from, &info, err);

    memset(record, 0, topics[topic].type->size);
    if (rc < 0 || info == NULL) {
        return err_wrap(err, rc, "%s", topics[topic].name);
    }
    (void)pthread_mutex_lock(&lock);
    rc = schema_of(topic, info, &schema, err);
    if (rc == 0) {
        rc = bus_schema_check(schema, bus_body(from), err);
    }
    if (rc == 0) {
        rc = bus_schema_read(schema, bus_body(from), arena, record, err);
    }
    (void)pthread_mutex_unlock(&lock);
    return rc < 0 ? err_wrap(err, rc, "%s", topics[topic].name) : 0;
}
