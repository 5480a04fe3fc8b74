#include "sigstore/sigstore_keys.h"

#include <string.h>

#include "wa/wa_prekeys.h"

enum { KEY_TYPE = 5, REGISTRATION_MAX = 16380 };

void sigstore_self_make(struct sigstore_self *out)
{
    uint8_t seed[CRYPTO_KEY];

    crypto_random(seed, sizeof(seed));
    sigstore_self_derive(seed, out);
    mem_wipe(seed, sizeof(seed));
}

void sigstore_self_derive(const uint8_t seed[CRYPTO_KEY], struct sigstore_self *out)
{
    static const char info[] = "kentongan signal account";
    uint8_t made[CRYPTO_KEY + 4];

    crypto_hkdf((struct bytes){seed, CRYPTO_KEY}, (struct bytes){NULL, 0},
                (struct bytes){(const uint8_t *)info, sizeof(info) - 1}, made, sizeof(made));
    crypto_pair_from(made, &out->identity);
    out->registration_id = 1 + (((uint32_t)made[CRYPTO_KEY] << 16 |
                                 (uint32_t)made[CRYPTO_KEY + 1] << 8 | made[CRYPTO_KEY + 2]) %
                                REGISTRATION_MAX);
    mem_wipe(made, sizeof(made));
}

void sigstore_self_wipe(struct sigstore_self *self)
{
    mem_wipe(self, sizeof(*self));
}

uint32_t sigstore_prekey_id_after(uint32_t id, size_t n)
{
    return (uint32_t)((id - 1 + n) % WA_PREKEY_ID_MAX) + 1;
}

void sigstore_prekeys_make(uint32_t first, size_t n, struct sigstore_prekey *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i].id = sigstore_prekey_id_after(first, i);
        crypto_pair_new(&out[i].pair);
    }
}

/* What a signed prekey's signature covers. */
static struct bytes signed_bytes(const uint8_t key[CRYPTO_KEY], uint8_t out[CRYPTO_KEY + 1])
{
    out[0] = KEY_TYPE;
    memcpy(out + 1, key, CRYPTO_KEY);
    return (struct bytes){out, CRYPTO_KEY + 1};
}

void sigstore_signed_prekey_make(const struct sigstore_self *self, uint32_t id,
                                 struct sigstore_signed_prekey *out)
{
    uint8_t message[CRYPTO_KEY + 1];

    sigstore_prekeys_make(id, 1, &out->key);
    crypto_xeddsa_sign(self->identity.priv, signed_bytes(out->key.pair.pub, message),
                       out->signature);
}
