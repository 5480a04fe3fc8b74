/* idempotency: the same Idempotency-Key and caller within a day get the first answer again.
 *
 * The answer is kept in Redis, sealed. Losing it does no harm, nor does one that does not open: the
 * ids and the command made from the key are the same again, and the decider gives its first
 * verdict. */
#ifndef INGRESS_IDEMPOTENCY_H
#define INGRESS_IDEMPOTENCY_H

#include <stdbool.h>

#include "ingress/ingress.h"

struct http_request;
struct json_t;

enum { IDEMPOTENCY_KEY_MAX = 128, IDEMPOTENCY_FINGERPRINT_MAX = 65 };

struct idempotency {
    const char *key;                               /* NULL: the caller gave none */
    char fingerprint[IDEMPOTENCY_FINGERPRINT_MAX]; /* of method, path and body */
};

/* Look at the header. True to go on; false when the request was answered: from what is kept, or
 * because the key is bad or was used for another request. @body (may be NULL) counts towards what
 * the request is. */
bool idempotency_begin(struct ingress *ingress, struct http_request *request,
                       const struct json_t *body, struct idempotency *out);

/* Answer, and keep the answer where a key was given. Takes @body. */
void idempotency_answer(struct ingress *ingress, struct http_request *request,
                        const struct idempotency *idempotency, int status, struct json_t *body);

#endif
