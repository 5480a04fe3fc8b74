#include "record/record_sane.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/uuid.h"

static int check_fields(const struct record_type *type, const char *record, struct err *err)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct record_field *field = &type->fields[i];
        int64_t number = 0;

        if (field->kind != RECORD_LONG ||
            (field->has_offset != 0 && !*(const bool *)(record + field->has_offset))) {
            continue;
        }
        number = *(const int64_t *)(const void *)(record + field->offset);
        if (field->most > 0 && (number < 0 || number > field->most)) {
            return err_set(err, ERR_INVALID, "%s is %" PRId64 ", no time of 1970 to 9999",
                           field->name, number);
        }
        if (number == INT64_MIN) {
            return err_set(err, ERR_INVALID, "%s is %" PRId64 ", which stands for none",
                           field->name, number);
        }
    }
    return 0;
}

int record_is_sane(const struct record_type *type, const void *record, struct err *err)
{
    int kind = type->cases_n > 0
                   ? *(const int *)(const void *)((const char *)record + type->kind_offset)
                   : 0;
    int rc = check_fields(type, record, err);

    if (rc == 0 && kind >= 1 && (size_t)kind <= type->cases_n) {
        rc = check_fields(type->cases[kind - 1].type, (const char *)record + type->as_offset, err);
    }
    return rc;
}

int record_id_is_sane(const char *what, const char *id, struct err *err)
{
    return uuid_is_valid(id) ? 0 : err_set(err, ERR_INVALID, "%s is not a uuid", what);
}

int record_key_is_sane(const char *what, const char *key, struct err *err)
{
    size_t n = key != NULL ? strlen(key) : 0;

    return n <= RECORD_KEY_MAX ? 0
                               : err_set(err, ERR_INVALID, "%s has %zu bytes, %d are taken", what,
                                         n, RECORD_KEY_MAX);
}
