/* wa_creds: what one companion device is: its keys, and after pairing its addresses and what the
 * phone signed. Pure. Wipe with wa_creds_wipe. */
#ifndef WA_WA_CREDS_H
#define WA_WA_CREDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "crypto/crypto.h"
#include "wa/wa_jid.h"

struct err;

enum {
    WA_CREDS_IDENTITY_MAX = 512, /* bytes of the signed device identity */
    WA_CREDS_NAME_MAX = 128,     /* bytes of a name with its NUL; longer ones are cut */
    WA_CREDS_PLATFORM_MAX = 32
};

struct wa_creds {
    uint32_t registration_id;
    struct crypto_pair noise;    /* proves who we are at login */
    struct crypto_pair identity; /* the Signal identity */
    uint8_t adv_secret[CRYPTO_KEY];
    uint32_t signed_prekey_id; /* shown when registering; its private half lives elsewhere */
    uint8_t signed_prekey[CRYPTO_KEY];
    uint8_t signed_prekey_signature[CRYPTO_SIGNATURE];

    /* since pairing; pn is none before */
    struct wa_jid pn; /* with our device number */
    struct wa_jid lid;
    uint32_t key_index;
    size_t device_identity_n;
    uint8_t device_identity[WA_CREDS_IDENTITY_MAX]; /* ADVSignedDeviceIdentity, all four fields */
    char business_name[WA_CREDS_NAME_MAX];          /* of the account; "" when unknown */
    char platform[WA_CREDS_PLATFORM_MAX];           /* of the phone, such as "android" */
};

/* Fresh noise pair and adv secret; the rest is the caller's to fill. */
void wa_creds_make(struct wa_creds *out);
void wa_creds_wipe(struct wa_creds *creds);
bool wa_creds_is_paired(const struct wa_creds *creds);

/* For keeping: the bytes hold every secret. -ERR_INVALID: not made by wa_creds_encode. */
void wa_creds_encode(const struct wa_creds *creds, struct buf *out);
NODISCARD int wa_creds_decode(struct bytes raw, struct wa_creds *out, struct err *err);

#endif
