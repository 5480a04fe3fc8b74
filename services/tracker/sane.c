/* What a record must be like before it may meet the tables: PostgreSQL would refuse the rest, and
 * with it every batch that holds it, for ever. */
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/uuid.h"
#include "tracker/projection_internal.h"

int sane_uuid(const char *what, const char *id, struct err *err)
{
    return uuid_is_valid(id) ? 0 : err_set(err, ERR_INVALID, "%s is not a uuid", what);
}

int sane_key(const char *what, const char *key, struct err *err)
{
    size_t n = key != NULL ? strlen(key) : 0;

    return n <= PROJECTION_KEY_MAX ? 0
                                   : err_set(err, ERR_INVALID, "%s has %zu bytes, %d are taken",
                                             what, n, PROJECTION_KEY_MAX);
}

static int check_times(const struct record_type *type, const char *record, struct err *err)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct record_field *field = &type->fields[i];
        int64_t time = 0;

        if (field->most == 0 || /* it is no time, or there is none */
            (field->has_offset != 0 && !*(const bool *)(record + field->has_offset))) {
            continue;
        }
        time = *(const int64_t *)(const void *)(record + field->offset);
        if (time < 0 || time > field->most) {
            return err_set(err, ERR_INVALID, "%s is %" PRId64 ", no time of 1970 to 9999",
                           field->name, time);
        }
    }
    return 0;
}

int sane_times(const struct record_type *type, const void *record, struct err *err)
{
    int kind = type->cases_n > 0
                   ? *(const int *)(const void *)((const char *)record + type->kind_offset)
                   : 0;
    int rc = check_times(type, record, err);

    if (rc == 0 && kind >= 1 && (size_t)kind <= type->cases_n) {
        rc = check_times(type->cases[kind - 1].type, (const char *)record + type->as_offset, err);
    }
    return rc;
}
