#include "wa/wa_qr.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/wa_payload.h"

static const char link_prefix[] = "https://wa.me/settings/linked_devices#";

enum { FIELDS = 4, BASE64_KEY = 44 };

static const char *type_of(int platform_type)
{
    switch (platform_type) {
    case WA_PLATFORM_CHROME:
        return "1";
    case WA_PLATFORM_DESKTOP:
        return "7";
    default:
        return "9"; /* another web client */
    }
}

void wa_qr_make(struct bytes ref, const struct wa_creds *creds, int platform_type, struct buf *out)
{
    const uint8_t *keys[] = {creds->noise.pub, creds->identity.pub, creds->adv_secret};

    buf_add_str(out, link_prefix);
    buf_add(out, ref.p, ref.n);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        buf_add_u8(out, ',');
        text_base64(out, (struct bytes){keys[i], CRYPTO_KEY}, TEXT_BASE64);
    }
    buf_addf(out, ",%s", type_of(platform_type));
}

static bool parse_key(struct bytes field, uint8_t out[CRYPTO_KEY])
{
    struct buf raw = {0};
    bool ok = field.n == BASE64_KEY &&
              text_unbase64(&raw, (const char *)field.p, field.n, TEXT_BASE64) == 0 &&
              raw.n == CRYPTO_KEY;

    if (ok) {
        memcpy(out, raw.p, CRYPTO_KEY);
    }
    buf_wipe(&raw);
    return ok;
}

int wa_qr_parse(const char *text, struct wa_qr *out, struct err *err)
{
    struct bytes fields[FIELDS];
    struct wa_qr qr = {{0}, {0}, {0}, {0}};

    if (strncmp(text, link_prefix, sizeof(link_prefix) - 1) == 0) {
        text += sizeof(link_prefix) - 1;
    }
    for (size_t i = 0; i < FIELDS; i++) {
        size_t n = strcspn(text, ",");

        fields[i] = (struct bytes){(const uint8_t *)text, n};
        text += n + (text[n] == ',');
    }
    if (fields[0].n == 0 || fields[0].n > WA_QR_REF_MAX || !parse_key(fields[1], qr.noise) ||
        !parse_key(fields[2], qr.identity) || !parse_key(fields[3], qr.adv_secret)) {
        return err_set(err, ERR_INVALID, "not the text of a pairing code");
    }
    memcpy(qr.ref, fields[0].p, fields[0].n);
    *out = qr;
    return 0;
}
