/* json_read: members of a JSON object into C, with an error that names the member. Wraps jansson.
 */
#ifndef DOMAIN_JSON_READ_H
#define DOMAIN_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/buf.h"

struct err;

/* The @n bytes at @text as one object, each name once. Gives *@out (json_decref).
 *   -ERR_INVALID   no such object */
NODISCARD int json_read_object(const char *text, size_t n, json_t **out, struct err *err);

/* Each reads a member that must be there:
 *   -ERR_INVALID   missing, of another type or out of bounds */
NODISCARD int json_read_int(const json_t *from, const char *name, int64_t min, int64_t max,
                            int64_t *out, struct err *err);
NODISCARD int json_read_bool(const json_t *from, const char *name, bool *out, struct err *err);
NODISCARD int json_read_text(const json_t *from, const char *name, char *out, size_t cap,
                             struct err *err);

/* Append the text of @object, compact, and end it. Takes @object. */
void json_write(json_t *object, struct buf *out);

#endif
