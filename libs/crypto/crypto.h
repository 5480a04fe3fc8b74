/* crypto: the primitives of the wire: X25519, XEdDSA, SHA-256, HMAC, HKDF, AES-256-GCM.
 * The prefix is libsodium's too: new names here must not be among its own.
 * Keys are raw 32 bytes, never with the 0x05 type byte in front. Any thread may call it; a
 * crypto_gcm belongs to one thread at a time. Nothing here logs; errors hold no key material. */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"

struct err;

enum {
    CRYPTO_KEY = 32, /* bytes of every key, private or public */
    CRYPTO_SIGNATURE = 64,
    CRYPTO_SHA256 = 32,
    CRYPTO_SHA1 = 20,
    CRYPTO_MD5 = 16,
    CRYPTO_GCM_IV = 12,
    CRYPTO_GCM_TAG = 16,
    CRYPTO_CTR_IV = 16,
    CRYPTO_HKDF_MAX = 255 * CRYPTO_SHA256
};

/* An X25519 key pair; wipe it with crypto_pair_wipe. */
struct crypto_pair {
    uint8_t priv[CRYPTO_KEY];
    uint8_t pub[CRYPTO_KEY];
};

/* Once per process, before anything else here: picks the fast implementations and checks known
 * answers. -ERR_EXTERNAL: a library gives wrong results. */
NODISCARD int crypto_start(struct err *err);

void crypto_random(void *out, size_t n); /* from the system; cannot fail */

/* True when the @n bytes are the same; the time taken does not depend on where they differ. */
bool crypto_equal(const void *a, const void *b, size_t n);

void crypto_pair_new(struct crypto_pair *out); /* a fresh random pair */
/* The pair of a private key; the private key is clamped on the way in. */
void crypto_pair_from(const uint8_t priv[CRYPTO_KEY], struct crypto_pair *out);
void crypto_pair_wipe(struct crypto_pair *pair);

/* The shared secret of X25519. -ERR_CRYPTO: @pub is a point of small order. */
NODISCARD int crypto_dh(const uint8_t priv[CRYPTO_KEY], const uint8_t pub[CRYPTO_KEY],
                        uint8_t out[CRYPTO_KEY], struct err *err);

/* Signal's signature over X25519 keys; the sign bit of the Edwards key is in bit 7 of byte 63.
 * Signing is randomised: two signatures of one message differ. */
void crypto_xeddsa_sign(const uint8_t priv[CRYPTO_KEY], struct bytes message,
                        uint8_t out[CRYPTO_SIGNATURE]);
/* As crypto_xeddsa_sign with the 64 random bytes given: for known answers only. */
void crypto_xeddsa_sign_with(const uint8_t priv[CRYPTO_KEY], struct bytes message,
                             const uint8_t random[CRYPTO_SIGNATURE], uint8_t out[CRYPTO_SIGNATURE]);
NODISCARD bool crypto_xeddsa_verify(const uint8_t pub[CRYPTO_KEY], struct bytes message,
                                    const uint8_t signature[CRYPTO_SIGNATURE]);

void crypto_sha256(struct bytes data, uint8_t out[CRYPTO_SHA256]);
void crypto_sha1(struct bytes data, uint8_t out[CRYPTO_SHA1]); /* the prekey digest wants it */
void crypto_md5(struct bytes data, uint8_t out[CRYPTO_MD5]);   /* the build hash wants it */
void crypto_hmac(struct bytes key, struct bytes data, uint8_t out[CRYPTO_SHA256]);

/* HKDF-SHA256 (RFC 5869). An empty @salt is 32 zero bytes. @n is 1 to CRYPTO_HKDF_MAX. */
void crypto_hkdf(struct bytes key, struct bytes salt, struct bytes info, uint8_t *out, size_t n);

/* PBKDF2-HMAC-SHA256. @n bytes at @out; takes as long as @iterations say. */
void crypto_pbkdf2(struct bytes password, struct bytes salt, unsigned iterations, uint8_t *out,
                   size_t n);

/* AES-256-CTR, both ways: @in.n bytes at @out (may be @in.p). @iv is the whole first counter block.
 */
void crypto_ctr(const uint8_t key[CRYPTO_KEY], const uint8_t iv[CRYPTO_CTR_IV], struct bytes in,
                uint8_t *out);

/* AES-256-GCM with its key schedule kept, for a stream of messages. */
struct crypto_gcm;
struct crypto_gcm *crypto_gcm_new(const uint8_t key[CRYPTO_KEY]);
void crypto_gcm_free(struct crypto_gcm **gcm); /* wipes */

/* Write ciphertext and tag, @plain.n + CRYPTO_GCM_TAG bytes, to @out (may be @plain.p). */
void crypto_gcm_seal(struct crypto_gcm *gcm, const uint8_t iv[CRYPTO_GCM_IV], struct bytes aad,
                     struct bytes plain, uint8_t *out);
/* Write the plaintext, @sealed.n - CRYPTO_GCM_TAG bytes, to @out (may be @sealed.p).
 * -ERR_CRYPTO: shorter than a tag, or not made with this key, iv and aad; @out is then zeroed. */
NODISCARD int crypto_gcm_open(struct crypto_gcm *gcm, const uint8_t iv[CRYPTO_GCM_IV],
                              struct bytes aad, struct bytes sealed, uint8_t *out, struct err *err);

#endif
