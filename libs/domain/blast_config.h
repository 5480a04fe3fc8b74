/* blast_config: delays and business hours of one blast, from its JSON. The text itself is kept
 * verbatim elsewhere. */
#ifndef DOMAIN_BLAST_CONFIG_H
#define DOMAIN_BLAST_CONFIG_H

#include <stdint.h>

#include "base/attr.h"
#include "domain/hours.h"

struct err;

enum { BLAST_DELAY_MAX_MS = 86400000, BLAST_CONFIG_MAX = 4096 }; /* bytes of the JSON */

struct blast_delay {
    int32_t min_ms;
    int32_t max_ms;
};

struct blast_config {
    struct blast_delay message_delay; /* before a message is handed over */
    struct blast_delay contact_delay; /* between two recipients */
    struct hours hours;
};

/* messageDelay 1000-3000, contactDelay 2000-5000, hours off. */
struct blast_config blast_config_default(void);

/* Read @json over @defaults: absent members keep theirs; unknown members are allowed. NULL or "" is
 * all defaults.
 *   -ERR_INVALID  not an object, a wrong type, or a value out of bounds; says which member
 *   -ERR_LIMIT    over BLAST_CONFIG_MAX */
NODISCARD int blast_config_from_json(const char *json, const struct blast_config *defaults,
                                     struct blast_config *out, struct err *err);

#endif
