/* record_sane: what a record must be like before its numbers may meet tables and arithmetic. */
#ifndef RECORD_SANE_H
#define RECORD_SANE_H

#include "base/attr.h"
#include "record/record.h"

struct err;

/* Looks at the members of @record and of the payload that it carries. -ERR_INVALID: a time is of no
 * calendar, which is one before 1970 or after 9999, or a number is INT64_MIN, which stands for none
 * in columns; says which. */
NODISCARD int record_is_sane(const struct record_type *type, const void *record, struct err *err);

#endif
