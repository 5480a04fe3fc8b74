/* wa_qr: the text of the code that links a companion: shown by it, read by the phone. Pure. */
#ifndef WA_WA_QR_H
#define WA_WA_QR_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "wa/wa_creds.h"

struct err;

enum { WA_QR_REF_MAX = 256 };

/* Append the text for one @ref of the server. @platform_type is that of the profile. */
void wa_qr_make(struct bytes ref, const struct wa_creds *creds, int platform_type, struct buf *out);

struct wa_qr {
    char ref[WA_QR_REF_MAX + 1];
    uint8_t noise[CRYPTO_KEY];
    uint8_t identity[CRYPTO_KEY];
    uint8_t adv_secret[CRYPTO_KEY];
};

/* Read a text, with or without the link in front; further fields are ignored. -ERR_INVALID. */
NODISCARD int wa_qr_parse(const char *text, struct wa_qr *out, struct err *err);

#endif
