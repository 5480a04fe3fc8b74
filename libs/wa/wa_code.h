/* wa_code: pairing by a code that is typed into the phone: what both sides compute. Pure.
 *
 *     companion                         phone
 *     make a code, wrap own link key -> (code typed in) unwrap it
 *     unwrap it                      <- wrap own link key
 *     finish: bundle, new adv secret -> accept: the same adv secret
 *
 * Wrapping and unwrapping take tens of milliseconds each, on purpose. */
#ifndef WA_WA_CODE_H
#define WA_WA_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "crypto/crypto.h"

struct err;

enum {
    WA_CODE_CHARS = 8,
    WA_CODE_TEXT_MAX = WA_CODE_CHARS + 2, /* bytes of a shown code: a dash, a NUL */
    WA_CODE_WRAPPED = 80,
    WA_CODE_BUNDLE = 156
};

struct wa_code {
    char text[WA_CODE_CHARS + 1]; /* without the dash; a secret */
};

struct wa_code wa_code_make(void);                                                  /* random */
const char *wa_code_format(const struct wa_code *code, char out[WA_CODE_TEXT_MAX]); /* ABCD-EFGH */
/* A code as typed: with or without the dash, in any case. False: not one. */
NODISCARD bool wa_code_parse(const char *text, struct wa_code *out);

void wa_code_wrap(const struct wa_code *code, const uint8_t pub[CRYPTO_KEY],
                  uint8_t out[WA_CODE_WRAPPED]);
/* With another code than it was wrapped with, some other 32 bytes come out. */
void wa_code_unwrap(const struct wa_code *code, const uint8_t wrapped[WA_CODE_WRAPPED],
                    uint8_t pub[CRYPTO_KEY]);

/* One side's view of the four keys. */
struct wa_code_keys {
    const struct crypto_pair *link; /* own, fresh for this pairing */
    const struct crypto_pair *identity;
    const uint8_t *peer_link; /* CRYPTO_KEY bytes each */
    const uint8_t *peer_identity;
};

/* Companion: the last message and the adv secret that holds from now on. -ERR_CRYPTO: a key of the
 * phone is a point of small order. */
NODISCARD int wa_code_finish(const struct wa_code_keys *keys, uint8_t bundle[WA_CODE_BUNDLE],
                             uint8_t adv_secret[CRYPTO_KEY], struct err *err);
/* Phone: take it. -ERR_CRYPTO: another code, or other identities than the two sides showed. */
NODISCARD int wa_code_accept(const struct wa_code_keys *keys, const uint8_t bundle[WA_CODE_BUNDLE],
                             uint8_t adv_secret[CRYPTO_KEY], struct err *err);

#endif
