/* sign: the headers by which a subscriber knows who sent a delivery. Pure. */
#ifndef WEBHOOKS_SIGN_H
#define WEBHOOKS_SIGN_H

#include <stdint.h>

#include "base/arena.h"
#include "base/mem.h"

enum { SIGN_HEADERS_MAX = 8 };

struct sign_delivery {
    const char *id; /* the same in every attempt */
    int32_t attempt;
    int64_t now_s;
    struct bytes body;
    const char *secret; /* as the subscriber has it; NULL: unsigned */
};

/* Fill @out with "Name: value" lines, NULL behind the last; they live as long as @arena:
 *
 *   Content-Type, User-Agent
 *   webhook-id, webhook-timestamp, webhook-signature   Standard Webhooks; the key is what stands
 *       behind "whsec_" in base64, or the secret's own bytes where it has another form
 *   X-Webhook-Id, X-Webhook-Attempt
 *   X-Webhook-Signature   sha256=<hex HMAC-SHA256 of the body>; the key is the secret's own bytes
 */
void sign_headers(const struct sign_delivery *delivery, struct arena *arena,
                  const char *out[SIGN_HEADERS_MAX + 1]);

#endif
