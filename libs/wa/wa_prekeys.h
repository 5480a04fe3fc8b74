/* wa_prekeys: the public keys that a device offers, and the stanzas that carry them, both sides.
 * Parsed values borrow from the node unless they are copied arrays. Pure. */
#ifndef WA_WA_PREKEYS_H
#define WA_WA_PREKEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/crypto.h"
#include "wa/wa_node.h"

struct err;

/* Ids have 24 bits: 1 to this (0xFFFFFF is special to libsignal). Keys and signatures carry no type
 * byte; a signature is XEdDSA over 0x05 || key. */
enum { WA_PREKEY_ID_MAX = 0xFFFFFE };

enum {
    WA_PREKEYS_UPLOAD_MAX = 2000, /* one-time keys in one upload */
    WA_PREKEYS_FETCH_MAX = 2000,  /* devices in one fetch */
    WA_PREKEYS_COUNT_MAX = 1000000
};

/* What a sender needs to begin a session with one device. */
struct wa_bundle {
    uint32_t registration_id;
    uint8_t identity[CRYPTO_KEY];
    uint32_t signed_id;
    uint8_t signed_public[CRYPTO_KEY];
    uint8_t signature[CRYPTO_SIGNATURE];
    bool has_prekey; /* false: the server had no one-time key left */
    uint32_t prekey_id;
    uint8_t prekey_public[CRYPTO_KEY];
};

/* True when the signed prekey's signature is the identity's. */
NODISCARD bool wa_bundle_holds(const struct wa_bundle *bundle);

struct wa_prekey {
    uint32_t id;
    uint8_t public_key[CRYPTO_KEY];
};

/* ---- upload, count, digest ---- */

struct wa_prekeys_upload {
    struct wa_bundle own; /* has_prekey unused */
    const struct wa_prekey *keys;
    size_t n;
};

struct wa_node *wa_prekeys_upload(struct arena *arena, const char *id,
                                  const struct wa_prekeys_upload *upload);

/* What a device uploads (the server's side); @out->keys is in @arena.
 *   -ERR_INVALID  a part is missing or has a wrong size or id, or an id is there twice
 *   -ERR_LIMIT    over WA_PREKEYS_UPLOAD_MAX keys
 *   -ERR_CRYPTO   the signed prekey's signature does not hold */
NODISCARD int wa_prekeys_upload_parse(const struct wa_node *iq, struct arena *arena,
                                      struct wa_prekeys_upload *out, struct err *err);

struct wa_node *wa_prekeys_count(struct arena *arena, const char *id);
struct wa_node *wa_prekeys_count_answer(struct arena *arena, const struct wa_node *request,
                                        uint32_t count);
/* False, @out untouched: not such an answer (or a notification of few keys left). */
NODISCARD bool wa_prekeys_count_parse(const struct wa_node *answer, uint32_t *out);

struct wa_node *wa_prekeys_digest(struct arena *arena, const char *id);
/* @upload: what the server holds; the hash is made here. */
struct wa_node *wa_prekeys_digest_answer(struct arena *arena, const struct wa_node *request,
                                         const struct wa_prekeys_upload *upload);
/* True when the digest in @answer is that of @upload's identity, signed key and the listed keys,
 * all of which @upload has. */
NODISCARD bool wa_prekeys_digest_holds(const struct wa_node *answer,
                                       const struct wa_prekeys_upload *upload);

/* Which of these an iq with xmlns="encrypt" asks for (the server's side). */
enum wa_prekeys_request {
    WA_PREKEYS_NONE, /* unknown */
    WA_PREKEYS_UPLOAD,
    WA_PREKEYS_COUNT,
    WA_PREKEYS_DIGEST,
    WA_PREKEYS_FETCH,
    WA_PREKEYS_ROTATE /* `<rotate><skey>` */
};
enum wa_prekeys_request wa_prekeys_request(const struct wa_node *iq);

/* The new signed prekey of a rotation goes into @out (signed_*, signature). -ERR_INVALID; the
 * signature is for the caller to check, who knows the identity (wa_bundle_holds). */
NODISCARD int wa_prekeys_rotate_parse(const struct wa_node *iq, struct wa_bundle *out,
                                      struct err *err);

/* ---- bundles of others ---- */

struct wa_node *wa_prekeys_fetch(struct arena *arena, const char *id, const struct wa_jid *devices,
                                 size_t n);

struct wa_prekeys_wanted {
    const struct wa_jid *devices; /* as asked: forms matter, the answer repeats them */
    size_t n;
};

/* -ERR_INVALID a user without an address; -ERR_LIMIT over WA_PREKEYS_FETCH_MAX. */
NODISCARD int wa_prekeys_fetch_parse(const struct wa_node *iq, struct arena *arena,
                                     struct wa_prekeys_wanted *out, struct err *err);

/* Add a device to the `<list>` of an answer: iq = wa_iq_result(...), list = wa_node_child(iq,
 * "list"). @device_identity: ADVSignedDeviceIdentity of a companion, else empty. */
void wa_prekeys_list_add(struct wa_node *list, const struct wa_jid *device,
                         const struct wa_bundle *bundle, struct bytes device_identity);

struct wa_prekeys_found {
    struct wa_jid device;
    bool ok; /* false: the server had an error for it, or what it gave was malformed */
    struct wa_bundle bundle;
    struct bytes device_identity; /* borrows from the answer; empty: none */
};

/* An answer's devices, in @arena; signatures are checked by whoever begins a session with them.
 *   -ERR_INVALID  no list
 *   -ERR_LIMIT    over WA_PREKEYS_FETCH_MAX */
NODISCARD int wa_prekeys_answer_parse(const struct wa_node *answer, struct arena *arena,
                                      struct wa_prekeys_found **out, size_t *n, struct err *err);

/* ---- parts that retry receipts share ---- */

void wa_prekeys_add_key(struct wa_node *parent, const struct wa_prekey *key); /* `<key>` */
void wa_prekeys_add_skey(struct wa_node *parent, const struct wa_bundle *bundle);

/* `<key>` and `<skey>`; a value may have its type byte in front (some clients' retries). */
NODISCARD bool wa_prekeys_take_key(const struct wa_node *key, struct wa_prekey *out);
NODISCARD bool wa_prekeys_take_skey(const struct wa_node *skey, struct wa_bundle *out);

#endif
