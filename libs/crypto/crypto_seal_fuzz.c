/* The first byte says what the rest is: 0 a keyring as it is configured, 1 what stands where a
 * sealed value should, 2 a value to seal. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/crypto_seal.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* What is taken are keys of 64 digits between commas, in that order. */
static void as_keyring(const char *text)
{
    struct crypto_keyring ring;
    struct buf digits = {0};

    if (crypto_keyring_parse(text, &ring, NULL) == 0) {
        must(ring.n >= 1 && ring.n <= CRYPTO_SEAL_KEYS_MAX);
        for (unsigned i = 0; i < ring.n; i++) {
            buf_add_str(&digits, i == 0 ? "" : ",");
            text_hex(&digits, (struct bytes){ring.keys[i].key, CRYPTO_KEY});
        }
        must(digits.n == strlen(text));
        crypto_keyring_wipe(&ring);
    }
    buf_done(&digits);
}

static void as_sealed(const struct crypto_keyring *ring, struct bytes sealed)
{
    struct buf plain = {0};
    int rc = crypto_unseal(ring, "owner", "label", sealed, &plain, NULL);

    must((rc == -ERR_CRYPTO || rc == -ERR_NOT_FOUND) && plain.n == 0);
    buf_done(&plain);
}

/* Opens as it was; not with one bit changed, nor for another owner or label. */
static void as_plain(const struct crypto_keyring *ring, struct bytes plain)
{
    struct buf sealed = {0};
    struct buf opened = {0};
    size_t at;

    crypto_seal(ring, "owner", "label", plain, &sealed);
    must(sealed.n == plain.n + CRYPTO_SEAL_OVERHEAD);
    must(crypto_unseal(ring, "owner", "label", buf_bytes(&sealed), &opened, NULL) == 0);
    must(opened.n == plain.n && (plain.n == 0 || memcmp(opened.p, plain.p, plain.n) == 0));
    buf_clear(&opened);
    must(crypto_unseal(ring, "owne", "rlabel", buf_bytes(&sealed), &opened, NULL) < 0);
    must(crypto_unseal(ring, "owner", "labels", buf_bytes(&sealed), &opened, NULL) < 0);
    at = (plain.n * 7 + (plain.n > 0 ? plain.p[0] : 0)) % sealed.n;
    sealed.p[at] ^= 1;
    must(crypto_unseal(ring, "owner", "label", buf_bytes(&sealed), &opened, NULL) < 0);
    must(opened.n == 0);
    buf_done(&sealed);
    buf_done(&opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crypto_keyring ring;
    char *text;

    if (size == 0) {
        return 0;
    }
    must(crypto_keyring_parse(KEY, &ring, NULL) == 0);
    if (data[0] == 0) {
        text = mem_strndup((const char *)data + 1, size - 1);
        as_keyring(text);
        free(text);
    } else if (data[0] == 1) {
        as_sealed(&ring, (struct bytes){data + 1, size - 1});
    } else {
        as_plain(&ring, (struct bytes){data + 1, size - 1});
    }
    crypto_keyring_wipe(&ring);
    return 0;
}
