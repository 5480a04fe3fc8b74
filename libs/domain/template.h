/* template: texts with {{variables}}. A placeholder is two braces, optional spaces, a name of
 * letters, digits and underscores that does not begin with a digit, optional spaces, two braces;
 * all else is literal. */
#ifndef DOMAIN_TEMPLATE_H
#define DOMAIN_TEMPLATE_H

#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "record/record.h"

enum {
    TEMPLATE_NAME_MAX = 64,      /* bytes of a variable's name, without NUL */
    TEMPLATE_OUTPUT_MAX = 65536, /* bytes of a rendered text */
};

/* Where values come from. A variable of that name wins; then "name" and "contact_name" are the
 * contact's name and "phone" its digits. */
struct template_values {
    const char *phone;
    const char *contact_name;           /* may be NULL */
    const struct record_map *variables; /* may be NULL */
};

/* Append the text of @template to @out. Values go in as they are and are not looked at again. A
 * name without a value becomes nothing and is counted in @missing (may be NULL).
 *   -ERR_LIMIT  the text would be over TEMPLATE_OUTPUT_MAX; @out is as it was */
NODISCARD int template_render(const char *template, const struct template_values *values,
                              struct buf *out, unsigned *missing);

#endif
