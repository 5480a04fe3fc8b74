/* request: members of a request body, by table. Pure.
 *
 *     struct login { const char *username; const char *password; };
 *     static const struct request_field fields[] = {
 *         REQUEST_TEXT(struct login, username, "username", true, 1, 100),
 *         ...
 *     };
 *     rc = request_read(fields, 2, body, &login, &err);
 *
 * Unknown members are ignored, and null counts as absent. */
#ifndef INGRESS_REQUEST_H
#define INGRESS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct json_t;

enum request_kind {
    REQUEST_IS_TEXT,   /* const char *; min and max count characters */
    REQUEST_IS_INT,    /* int64_t */
    REQUEST_IS_BOOL,   /* bool */
    REQUEST_IS_OBJECT, /* struct json_t * */
    REQUEST_IS_ARRAY   /* struct json_t *; min and max count elements */
};

struct request_field {
    const char *name;
    int64_t min;
    int64_t max;
    size_t offset;
    enum request_kind kind;
    bool is_required;
};

#define REQUEST_FIELD(type, member, text, of_kind, required, low, high)                \
    {                                                                                  \
        .name = (text), .min = (low), .max = (high), .offset = offsetof(type, member), \
        .kind = (of_kind), .is_required = (required),                                  \
    }
#define REQUEST_TEXT(type, member, text, required, low, high) \
    REQUEST_FIELD(type, member, text, REQUEST_IS_TEXT, required, low, high)
#define REQUEST_BOOL(type, member, text) \
    REQUEST_FIELD(type, member, text, REQUEST_IS_BOOL, false, 0, 0)
#define REQUEST_OBJECT(type, member, text) \
    REQUEST_FIELD(type, member, text, REQUEST_IS_OBJECT, false, 0, 0)
#define REQUEST_ARRAY(type, member, text, required, low, high) \
    REQUEST_FIELD(type, member, text, REQUEST_IS_ARRAY, required, low, high)

/* Fill the members of @to that @body (an object) has; the others stay as they are. Texts and
 * objects are borrowed from @body. -ERR_INVALID names the member and what it must be. */
NODISCARD int request_read(const struct request_field *fields, size_t n, const struct json_t *body,
                           void *to, struct err *err);

/* A webhook URL: "" or an absolute http or https URL with a host and without user info, spaces or
 * control characters, at most 2048 bytes. -ERR_INVALID says which member, @name. */
NODISCARD int request_check_url(const char *name, const char *url, struct err *err);

/* A number of a query: @text NULL or "" stands for the fallback; what is over the cap is lowered to
 * it. -ERR_INVALID: not a whole number from the lowest. */
struct request_number {
    const char *name;
    int64_t lowest;
    int64_t cap;
    int64_t fallback;
};
NODISCARD int request_number(const struct request_number *rule, const char *text, int64_t *out,
                             struct err *err);

size_t request_characters(const char *text); /* of UTF-8 */

#endif
