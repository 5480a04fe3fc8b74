/* sigstore_keys: making the key pairs of an account. No state: any thread may call it, so that the
 * hundreds of keys of a pairing can be made away from the event loop. */
#ifndef SIGSTORE_SIGSTORE_KEYS_H
#define SIGSTORE_SIGSTORE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "crypto/crypto.h"

struct err;

/* Who an account is; made once, at pairing. Holds a secret: wipe with sigstore_self_wipe. */
struct sigstore_self {
    uint32_t registration_id; /* 1 to 16380 when made here */
    struct crypto_pair identity;
};

/* A one-time prekey. Holds a secret. */
struct sigstore_prekey {
    uint32_t id; /* 1 to WA_PREKEY_ID_MAX */
    struct crypto_pair pair;
};

struct sigstore_signed_prekey {
    struct sigstore_prekey key;
    uint8_t signature[CRYPTO_SIGNATURE]; /* by the identity, over 0x05 || public key */
};

void sigstore_self_make(struct sigstore_self *out); /* random */
void sigstore_self_wipe(struct sigstore_self *self);

/* The same account for the same @seed, for ever: how a sandbox has phones that cost nothing before
 * somebody writes to them. */
void sigstore_self_derive(const uint8_t seed[CRYPTO_KEY], struct sigstore_self *out);

/* @n keys with the ids @first, @first + 1, ..., going on at 1 after the largest. */
void sigstore_prekeys_make(uint32_t first, size_t n, struct sigstore_prekey *out);
uint32_t sigstore_prekey_id_after(uint32_t id, size_t n); /* the id @n further, wrapping */

void sigstore_signed_prekey_make(const struct sigstore_self *self, uint32_t id,
                                 struct sigstore_signed_prekey *out);

#endif
