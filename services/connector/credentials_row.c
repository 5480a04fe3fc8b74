#include "connector/credentials_row.h"

#include <string.h>

#include "base/err.h"
#include "connector/credentials.h"

/* version, wire id key, push name (one byte of length), device */
enum { FORMAT = 1, FIXED = 1 + CRYPTO_KEY + 1 };

_Static_assert(WA_CREDS_NAME_MAX <= UINT8_MAX, "the length of a push name is one byte");

void credentials_encode(const struct credentials *credentials, struct buf *out)
{
    buf_add_u8(out, FORMAT);
    buf_add(out, credentials->wire_id_key, CRYPTO_KEY);
    buf_add_u8(out, (uint8_t)strlen(credentials->push_name));
    buf_add_str(out, credentials->push_name);
    wa_creds_encode(&credentials->device, out);
}

int credentials_decode(struct bytes raw, struct credentials *out, struct err *err)
{
    size_t name_n = raw.n >= FIXED ? raw.p[FIXED - 1] : 0;

    if (raw.n < FIXED + name_n || raw.p[0] != FORMAT || name_n >= sizeof(out->push_name)) {
        return err_set(err, ERR_INVALID, "credentials of an unknown form");
    }
    memcpy(out->wire_id_key, raw.p + 1, CRYPTO_KEY);
    memcpy(out->push_name, raw.p + FIXED, name_n);
    return wa_creds_decode((struct bytes){raw.p + FIXED + name_n, raw.n - FIXED - name_n},
                           &out->device, err);
}
