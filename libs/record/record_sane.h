/* record_sane: what a record must be like before it may meet tables: PostgreSQL would refuse the
 * rest, and with it every turn that holds it, for ever. */
#ifndef RECORD_SANE_H
#define RECORD_SANE_H

#include "base/attr.h"
#include "record/record.h"

struct err;

enum { RECORD_KEY_MAX = 255 }; /* bytes of a text that an index holds */

/* Looks at the members of @record and of the payload that it carries. -ERR_INVALID: a time is of no
 * calendar, which is one before 1970 or after 9999, or a number is INT64_MIN, which stands for none
 * in columns; says which. */
NODISCARD int record_is_sane(const struct record_type *type, const void *record, struct err *err);

/* -ERR_INVALID: @what is no uuid; is longer than a key may be. @key may be NULL. */
NODISCARD int record_id_is_sane(const char *what, const char *id, struct err *err);
NODISCARD int record_key_is_sane(const char *what, const char *key, struct err *err);

#endif
