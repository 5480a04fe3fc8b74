/* crypto_seal: bytes encrypted at rest (AES-256-GCM), with keys that can be rotated.
 *
 * A sealed value is: version 1 (1 byte), key id (4), nonce (12), ciphertext and tag (16). The key
 * that encrypts is made from the master key by HKDF for one owner (a session's uuid), so that no
 * two owners share one; what the value is (its table and key) goes in as @label and must be the
 * same when it is opened, so that a value moved to another row does not open. Any thread may read a
 * keyring. */
#ifndef CRYPTO_CRYPTO_SEAL_H
#define CRYPTO_CRYPTO_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "crypto/crypto.h"

struct err;

enum {
    CRYPTO_SEAL_KEYS_MAX = 8, /* the current key and the retired ones */
    CRYPTO_SEAL_OVERHEAD = 1 + 4 + CRYPTO_GCM_IV + CRYPTO_GCM_TAG /* bytes over the plaintext */
};

struct crypto_seal_key {
    uint8_t id[4]; /* first bytes of the SHA-256 of the key */
    uint8_t key[CRYPTO_KEY];
};

struct crypto_keyring {
    unsigned n;
    struct crypto_seal_key keys[CRYPTO_SEAL_KEYS_MAX]; /* the first one seals, all open */
};

/* Parse "hex64[,hex64...]": the current master key, then retired ones. -ERR_INVALID names the
 * place, never the text. */
NODISCARD int crypto_keyring_parse(const char *text, struct crypto_keyring *out, struct err *err);
NODISCARD int crypto_keyring_check(const char *text, struct err *err); /* its verdict alone */
void crypto_keyring_wipe(struct crypto_keyring *ring);

/* Append @plain sealed for @owner under the current key to @out. */
void crypto_seal(const struct crypto_keyring *ring, const char *owner, const char *label,
                 struct bytes plain, struct buf *out);

/* Append what @sealed holds to @out. On failure @out is as it was:
 *   -ERR_NOT_FOUND  sealed under a key that the ring does not hold
 *   -ERR_CRYPTO     malformed, changed, or of another owner or label */
NODISCARD int crypto_unseal(const struct crypto_keyring *ring, const char *owner, const char *label,
                            struct bytes sealed, struct buf *out, struct err *err);

#endif
