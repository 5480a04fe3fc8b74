/* state_json: a struct with numbers and texts of a fixed size to and from a JSON object, by a table
 * of its members. */
#ifndef DOMAIN_STATE_JSON_H
#define DOMAIN_STATE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct err;

enum state_member_kind {
    STATE_BOOL,
    STATE_I32,
    STATE_U32,
    STATE_I64,
    STATE_TEXT, /* char[size] */
    STATE_WORD, /* an enum of @size names, written by name */
};

struct state_member {
    const char *name;
    enum state_member_kind kind;
    size_t offset;
    size_t size;
    const char *const *words; /* STATE_WORD */
};

void state_to_json(const void *state, const struct state_member *members, size_t n,
                   struct buf *out);

/* All members must be there; others are let be, so that an older program reads what a newer one
 * wrote. @state is in a mixed condition after a failure: -ERR_INVALID. */
NODISCARD int state_from_json(const char *json, size_t len, const struct state_member *members,
                              size_t n, void *state, struct err *err);

#endif
