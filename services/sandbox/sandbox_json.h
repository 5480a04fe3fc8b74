/* sandbox_json: the shapes of the admin interface. Texts and numbers are README.md's. */
#ifndef SANDBOX_SANDBOX_JSON_H
#define SANDBOX_SANDBOX_JSON_H

#include <jansson.h>

#include "base/attr.h"
#include "sandbox/sandbox_world.h"

/* All give a new reference. */
json_t *sandbox_json_account(const struct sandbox_account *account, bool in_full);
json_t *sandbox_json_entry(const struct sandbox_entry *entry);
json_t *sandbox_json_violation(const struct sandbox_violation_record *record);
json_t *sandbox_json_summary(struct sandbox_world *world);

/* Change in @out what @body names. -ERR_INVALID: a member of wrong type or out of bounds. */
NODISCARD int sandbox_json_behaviour(const json_t *body, struct sandbox_behaviour *out,
                                     struct err *err);

struct sandbox_json_phones {
    size_t n;
    const char *const *numbers; /* NULL: any; borrows from the body */
    const char *name;           /* NULL: as they are */
    bool has_behaviour;
    struct sandbox_behaviour behaviour;
    const char **list;
};

/* Read {"count" or "numbers", "name", members of a behaviour}. -ERR_INVALID, -ERR_LIMIT. End with
 * sandbox_json_phones_done. */
NODISCARD int sandbox_json_phones(const json_t *body, struct sandbox_json_phones *out,
                                  struct err *err);
void sandbox_json_phones_done(struct sandbox_json_phones *phones);

#endif
