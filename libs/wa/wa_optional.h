/* wa_optional: attributes that need not be there: what is missing or malformed leaves @out as it
 * is. Internal to the stanzas. */
#ifndef WA_WA_OPTIONAL_H
#define WA_WA_OPTIONAL_H

#include "wa/wa_node.h"

static inline void wa_optional_jid(const struct wa_node *node, const char *key, struct wa_jid *out)
{
    if (!wa_node_attr_jid(node, key, out)) {
        return;
    }
}

/* 0 to @max. */
static inline void wa_optional_int(const struct wa_node *node, const char *key, int64_t max,
                                   int64_t *out)
{
    if (!wa_node_attr_int(node, key, 0, max, out)) {
        return;
    }
}

#endif
