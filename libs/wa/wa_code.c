#include "wa/wa_code.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

enum { SALT = 32, ITERATIONS = 131072, CODE_BYTES = 5, RANDOM = 32 };
enum { BUNDLE_PLAIN = 2 * CRYPTO_KEY + RANDOM };

_Static_assert(WA_CODE_WRAPPED == SALT + CRYPTO_CTR_IV + CRYPTO_KEY, "salt, iv, key");
_Static_assert(WA_CODE_BUNDLE == SALT + CRYPTO_GCM_IV + BUNDLE_PLAIN + CRYPTO_GCM_TAG, "bundle");

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"; /* no 0, I, O, U */
static const char alphabet_low[] = "123456789abcdefghjklmnpqrstvwxyz";

struct wa_code wa_code_make(void)
{
    struct wa_code code = {{0}};
    uint8_t raw[CODE_BYTES];
    uint64_t bits = 0;

    crypto_random(raw, sizeof(raw));
    for (size_t i = 0; i < sizeof(raw); i++) {
        bits = bits << 8 | raw[i];
    }
    for (unsigned i = 0; i < WA_CODE_CHARS; i++) {
        code.text[i] = alphabet[(bits >> (5 * (WA_CODE_CHARS - 1 - i))) & 31];
    }
    mem_wipe(raw, sizeof(raw));
    return code;
}

const char *wa_code_format(const struct wa_code *code, char out[WA_CODE_TEXT_MAX])
{
    (void)snprintf(out, WA_CODE_TEXT_MAX, "%.4s-%s", code->text, code->text + 4);
    return out;
}

bool wa_code_parse(const char *text, struct wa_code *out)
{
    struct wa_code code = {{0}};
    size_t n = 0;

    for (; *text != '\0'; text++) {
        const char *high = strchr(alphabet, *text);
        const char *low = strchr(alphabet_low, *text);

        if (*text == '-' && n == WA_CODE_CHARS / 2) {
            continue;
        }
        if (n == WA_CODE_CHARS || (high == NULL && low == NULL)) {
            return false;
        }
        if (high == NULL) {
            high = alphabet + (low - alphabet_low);
        }
        code.text[n++] = *high;
    }
    if (n != WA_CODE_CHARS) {
        return false;
    }
    *out = code;
    return true;
}

/* Salt and iv stand in front of the wrapped key; the same call wraps and unwraps. */
static void apply(const struct wa_code *code, const uint8_t *head, const uint8_t *in, uint8_t *out)
{
    uint8_t key[CRYPTO_KEY];

    crypto_pbkdf2((struct bytes){(const uint8_t *)code->text, WA_CODE_CHARS},
                  (struct bytes){head, SALT}, ITERATIONS, key, sizeof(key));
    crypto_ctr(key, head + SALT, (struct bytes){in, CRYPTO_KEY}, out);
    mem_wipe(key, sizeof(key));
}

void wa_code_wrap(const struct wa_code *code, const uint8_t pub[CRYPTO_KEY],
                  uint8_t out[WA_CODE_WRAPPED])
{
    crypto_random(out, SALT + CRYPTO_CTR_IV);
    apply(code, out, pub, out + SALT + CRYPTO_CTR_IV);
}

void wa_code_unwrap(const struct wa_code *code, const uint8_t wrapped[WA_CODE_WRAPPED],
                    uint8_t pub[CRYPTO_KEY])
{
    apply(code, wrapped, wrapped + SALT + CRYPTO_CTR_IV, pub);
}

static struct bytes text_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

/* The key of the bundle from the link keys and the bundle's salt. */
static void bundle_key(const uint8_t link_shared[CRYPTO_KEY], const uint8_t salt[SALT],
                       uint8_t out[CRYPTO_KEY])
{
    crypto_hkdf((struct bytes){link_shared, CRYPTO_KEY}, (struct bytes){salt, SALT},
                text_of("link_code_pairing_key_bundle_encryption_key"), out, CRYPTO_KEY);
}

static int adv_secret_of(const struct wa_code_keys *keys, const uint8_t link_shared[CRYPTO_KEY],
                         const uint8_t random[RANDOM], uint8_t out[CRYPTO_KEY], struct err *err)
{
    uint8_t input[2 * CRYPTO_KEY + RANDOM];
    int rc;

    memcpy(input, link_shared, CRYPTO_KEY);
    memcpy(input + (size_t)2 * CRYPTO_KEY, random, RANDOM);
    rc = crypto_dh(keys->identity->priv, keys->peer_identity, input + CRYPTO_KEY, err);
    if (rc == 0) {
        crypto_hkdf((struct bytes){input, sizeof(input)}, (struct bytes){0}, text_of("adv_secret"),
                    out, CRYPTO_KEY);
    }
    mem_wipe(input, sizeof(input));
    return rc;
}

int wa_code_finish(const struct wa_code_keys *keys, uint8_t bundle[WA_CODE_BUNDLE],
                   uint8_t adv_secret[CRYPTO_KEY], struct err *err)
{
    uint8_t shared[CRYPTO_KEY];
    uint8_t key[CRYPTO_KEY];
    uint8_t plain[BUNDLE_PLAIN];
    uint8_t *nonce = bundle + SALT;
    struct crypto_gcm *gcm;
    int rc = crypto_dh(keys->link->priv, keys->peer_link, shared, err);

    if (rc < 0) {
        return rc;
    }
    memcpy(plain, keys->identity->pub, CRYPTO_KEY);
    memcpy(plain + CRYPTO_KEY, keys->peer_identity, CRYPTO_KEY);
    crypto_random(plain + (size_t)2 * CRYPTO_KEY, RANDOM);
    rc = adv_secret_of(keys, shared, plain + (size_t)2 * CRYPTO_KEY, adv_secret, err);
    crypto_random(bundle, SALT + CRYPTO_GCM_IV);
    bundle_key(shared, bundle, key);
    gcm = crypto_gcm_new(key);
    crypto_gcm_seal(gcm, nonce, (struct bytes){0}, (struct bytes){plain, sizeof(plain)},
                    nonce + CRYPTO_GCM_IV);
    crypto_gcm_free(&gcm);
    mem_wipe(shared, sizeof(shared));
    mem_wipe(key, sizeof(key));
    mem_wipe(plain, sizeof(plain));
    return rc;
}

int wa_code_accept(const struct wa_code_keys *keys, const uint8_t bundle[WA_CODE_BUNDLE],
                   uint8_t adv_secret[CRYPTO_KEY], struct err *err)
{
    uint8_t shared[CRYPTO_KEY];
    uint8_t key[CRYPTO_KEY];
    uint8_t plain[BUNDLE_PLAIN];
    const uint8_t *nonce = bundle + SALT;
    struct crypto_gcm *gcm;
    int rc = crypto_dh(keys->link->priv, keys->peer_link, shared, err);

    if (rc < 0) {
        return rc;
    }
    bundle_key(shared, bundle, key);
    gcm = crypto_gcm_new(key);
    rc = crypto_gcm_open(gcm, nonce, (struct bytes){0},
                         (struct bytes){nonce + CRYPTO_GCM_IV, BUNDLE_PLAIN + CRYPTO_GCM_TAG},
                         plain, err);
    crypto_gcm_free(&gcm);
    if (rc == 0 && (!crypto_equal(plain, keys->peer_identity, CRYPTO_KEY) ||
                    !crypto_equal(plain + CRYPTO_KEY, keys->identity->pub, CRYPTO_KEY))) {
        rc = err_set(err, ERR_CRYPTO, "the bundle holds other identities");
    }
    if (rc == 0) {
        rc = adv_secret_of(keys, shared, plain + (size_t)2 * CRYPTO_KEY, adv_secret, err);
    }
    mem_wipe(shared, sizeof(shared));
    mem_wipe(key, sizeof(key));
    mem_wipe(plain, sizeof(plain));
    return rc;
}
