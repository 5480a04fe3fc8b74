/* What a record must be like before it may meet the tables, beside its numbers (record_sane.h):
 * PostgreSQL would refuse the rest, and with it every batch that holds it, for ever. */
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
