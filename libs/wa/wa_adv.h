/* wa_adv: how a phone vouches for a companion: the phone makes an offer, the companion checks and
 * countersigns it, the server checks the reply. Pure. */
#ifndef WA_WA_ADV_H
#define WA_WA_ADV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "crypto/crypto.h"
#include "wa/wa_creds.h"

struct err;

enum { WA_ADV_INDEXES_MAX = 256 /* companions in one key index list */ };

/* ---- phone ---- */
struct wa_adv_offer {
    uint32_t raw_id;                /* of the account, the same for ever */
    uint32_t key_index;             /* of the companion, 1 or more */
    int64_t timestamp_s;            /* unix seconds */
    uint8_t identity[CRYPTO_KEY];   /* of the companion, from its QR text */
    uint8_t adv_secret[CRYPTO_KEY]; /* from there too */
};

/* Append the offer (an ADVSignedDeviceIdentityHMAC), signed by the phone's identity @account. */
void wa_adv_offer_make(const struct wa_adv_offer *offer, const struct crypto_pair *account,
                       struct buf *out);

/* ---- companion ---- */

/* name, code and text of the refusal that goes to the server */
#define WA_ADV_VERDICT_LIST(X)          \
    X(OK, 0, "")                        \
    X(MALFORMED, 500, "internal-error") \
    X(HMAC, 401, "hmac-mismatch")       \
    X(SIGNATURE, 401, "signature-mismatch")

enum wa_adv_verdict {
#define WA_ADV_ENUM(name, code, text) WA_ADV_##name,
    WA_ADV_VERDICT_LIST(WA_ADV_ENUM)
#undef WA_ADV_ENUM
};

int wa_adv_verdict_code(enum wa_adv_verdict verdict);
const char *wa_adv_verdict_text(enum wa_adv_verdict verdict);

/* Check @offer for the device with @creds and countersign it. On WA_ADV_OK key_index and
 * device_identity of @creds are set and the answer (an ADVSignedDeviceIdentity without the
 * account's key) is appended to @reply; else both are as they were. */
enum wa_adv_verdict wa_adv_accept(struct bytes offer, struct wa_creds *creds, struct buf *reply);

/* ---- server ---- */

/* Check a companion's answer to an offer signed by the account with key @account. Sets
 * *@key_index. -ERR_INVALID, -ERR_CRYPTO. */
NODISCARD int wa_adv_reply_verify(struct bytes reply, const uint8_t identity[CRYPTO_KEY],
                                  const uint8_t account[CRYPTO_KEY], uint32_t *key_index,
                                  struct err *err);

/* ---- key index lists: which companions of an account are valid ---- */
struct wa_adv_index_list {
    uint32_t raw_id;
    int64_t timestamp_s;
    uint32_t current; /* the highest given out */
    size_t n;
    uint32_t valid[WA_ADV_INDEXES_MAX];
};

/* Append the list signed by @account (an ADVSignedKeyIndexList). */
void wa_adv_index_list_make(const struct wa_adv_index_list *list, const struct crypto_pair *account,
                            struct buf *out);
/* Read one; its signature is not looked at. -ERR_INVALID, -ERR_LIMIT. */
NODISCARD int wa_adv_index_list_parse(struct bytes raw, struct wa_adv_index_list *out,
                                      struct err *err);
/* May a companion with this key index be written to? */
bool wa_adv_index_is_valid(const struct wa_adv_index_list *list, uint32_t key_index);

#endif
