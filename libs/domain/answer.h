/* answer: what a decider replies to one command, as the JSON text that is kept, given again for a
 * repeat, and told to whoever waits. */
#ifndef DOMAIN_ANSWER_H
#define DOMAIN_ANSWER_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "domain/verdict.h"

struct answer {
    const char *command_id;
    enum verdict verdict;
    const char *message;        /* NULL: the verdict's own text */
    const char *aggregate_type; /* "session", "blast", "message" */
    const char *aggregate_id;
    int64_t sequence; /* of the aggregate once the command's events are applied */
};

/* Append {"command_id","verdict","code","message","aggregate_type","aggregate_id","sequence"};
 * "verdict" is "ok" or "refused". */
void answer_to_json(const struct answer *answer, struct buf *out);

#endif
