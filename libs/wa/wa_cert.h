/* wa_cert: the two certificates with which a server shows its static key: root, intermediate,
 * leaf. Pure. */
#ifndef WA_WA_CERT_H
#define WA_WA_CERT_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "crypto/crypto.h"

struct err;

enum { WA_CERT_ROOT_SERIAL = 0 };

extern const uint8_t wa_cert_root_key[CRYPTO_KEY]; /* WhatsApp's own root */

struct wa_cert {
    uint32_t serial;
    uint32_t issuer_serial;
    uint8_t key[CRYPTO_KEY];
    int64_t not_before_s; /* unix seconds */
    int64_t not_after_s;
};

/* Append the chain as it travels: @intermediate signed by @root_priv, @leaf by the private key that
 * belongs to intermediate->key. Whether they fit together is not looked at. */
void wa_cert_chain_make(const struct wa_cert *leaf, const struct wa_cert *intermediate,
                        const uint8_t intermediate_priv[CRYPTO_KEY],
                        const uint8_t root_priv[CRYPTO_KEY], struct buf *out);

/* Accept @chain for a server that showed @server_static at @now_s.
 *   -ERR_INVALID, -ERR_LIMIT  not a chain
 *   -ERR_CRYPTO  a signature, serial or key does not fit, or @now_s is outside of its time */
NODISCARD int wa_cert_chain_verify(struct bytes chain, const uint8_t root[CRYPTO_KEY],
                                   const uint8_t server_static[CRYPTO_KEY], int64_t now_s,
                                   struct err *err);

#endif
