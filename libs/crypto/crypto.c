#include "crypto/crypto.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

_Static_assert(CRYPTO_KEY == crypto_scalarmult_curve25519_BYTES, "libsodium's keys");
_Static_assert(CRYPTO_SHA256 == crypto_hash_sha256_BYTES, "libsodium's digests");

struct crypto_gcm {
    EVP_CIPHER_CTX *ctx; /* key schedule inside; direction is set with each iv */
};

/* OpenSSL fails here only when out of memory or misused. */
static void must(int ok)
{
    if (ok != 1) {
        abort();
    }
}

void crypto_random(void *out, size_t n)
{
    randombytes_buf(out, n);
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    return n == 0 || sodium_memcmp(a, b, n) == 0;
}

void crypto_sha256(struct bytes data, uint8_t out[CRYPTO_SHA256])
{
    (void)crypto_hash_sha256(out, data.p, data.n);
}

/* Where @data begins; never NULL, which the libraries refuse or take for something else. */
static const uint8_t *start(struct bytes data)
{
    return data.n == 0 ? (const uint8_t *)"" : data.p;
}

static void digest(const EVP_MD *kind, struct bytes data, uint8_t *out)
{
    must(EVP_Digest(start(data), data.n, out, NULL, kind, NULL));
}

void crypto_sha1(struct bytes data, uint8_t out[CRYPTO_SHA1])
{
    digest(EVP_sha1(), data, out);
}

void crypto_md5(struct bytes data, uint8_t out[CRYPTO_MD5])
{
    digest(EVP_md5(), data, out);
}

void crypto_hmac(struct bytes key, struct bytes data, uint8_t out[CRYPTO_SHA256])
{
    crypto_auth_hmacsha256_state state;

    (void)crypto_auth_hmacsha256_init(&state, start(key), key.n);
    (void)crypto_auth_hmacsha256_update(&state, start(data), data.n);
    (void)crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof(state));
}

void crypto_hkdf(struct bytes key, struct bytes salt, struct bytes info, uint8_t *out, size_t n)
{
    static const uint8_t no_salt[CRYPTO_SHA256];
    crypto_auth_hmacsha256_state state;
    uint8_t prk[CRYPTO_SHA256];
    uint8_t block[CRYPTO_SHA256];
    uint8_t counter = 0;

    assert(n > 0 && n <= CRYPTO_HKDF_MAX);
    crypto_hmac(salt.n == 0 ? (struct bytes){no_salt, sizeof(no_salt)} : salt, key, prk);
    while (n > 0) {
        size_t take = n < sizeof(block) ? n : sizeof(block);

        (void)crypto_auth_hmacsha256_init(&state, prk, sizeof(prk));
        if (counter > 0) {
            (void)crypto_auth_hmacsha256_update(&state, block, sizeof(block));
        }
        counter++;
        (void)crypto_auth_hmacsha256_update(&state, start(info), info.n);
        (void)crypto_auth_hmacsha256_update(&state, &counter, 1);
        (void)crypto_auth_hmacsha256_final(&state, block);
        memcpy(out, block, take);
        out += take;
        n -= take;
    }
    sodium_memzero(prk, sizeof(prk));
    sodium_memzero(block, sizeof(block));
    sodium_memzero(&state, sizeof(state));
}

void crypto_pbkdf2(struct bytes password, struct bytes salt, unsigned iterations, uint8_t *out,
                   size_t n)
{
    assert(password.n < INT32_MAX && salt.n < INT32_MAX && n < INT32_MAX && iterations > 0 &&
           iterations < INT32_MAX);
    must(PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.n, salt.p, (int)salt.n,
                           (int)iterations, EVP_sha256(), (int)n, out));
}

void crypto_ctr(const uint8_t key[CRYPTO_KEY], const uint8_t iv[CRYPTO_CTR_IV], struct bytes in,
                uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    assert(in.n < INT32_MAX);
    must(ctx != NULL);
    must(EVP_CipherInit_ex(ctx, EVP_aes_256_ctr(), NULL, key, iv, 1));
    must(EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n));
    EVP_CIPHER_CTX_free(ctx);
}

struct crypto_gcm *crypto_gcm_new(const uint8_t key[CRYPTO_KEY])
{
    struct crypto_gcm *gcm = mem_new0(sizeof(*gcm));

    gcm->ctx = EVP_CIPHER_CTX_new();
    must(gcm->ctx != NULL);
    must(EVP_CipherInit_ex(gcm->ctx, EVP_aes_256_gcm(), NULL, key, NULL, 1));
    return gcm;
}

void crypto_gcm_free(struct crypto_gcm **gcm)
{
    if (*gcm != NULL) {
        EVP_CIPHER_CTX_free((*gcm)->ctx); /* wipes its key schedule */
        free(*gcm);
        *gcm = NULL;
    }
}

/* One pass over @aad and @in. Lengths fit an int: the callers assert it. */
static void gcm_run(struct crypto_gcm *gcm, const uint8_t *iv, int encrypt, struct bytes aad,
                    struct bytes in, uint8_t *out)
{
    int n = 0;

    must(EVP_CipherInit_ex(gcm->ctx, NULL, NULL, NULL, iv, encrypt));
    if (aad.n > 0) {
        must(EVP_CipherUpdate(gcm->ctx, NULL, &n, aad.p, (int)aad.n));
    }
    if (in.n > 0) {
        must(EVP_CipherUpdate(gcm->ctx, out, &n, in.p, (int)in.n));
    }
}

void crypto_gcm_seal(struct crypto_gcm *gcm, const uint8_t iv[CRYPTO_GCM_IV], struct bytes aad,
                     struct bytes plain, uint8_t *out)
{
    int n = 0;

    assert(plain.n < INT32_MAX && aad.n < INT32_MAX);
    gcm_run(gcm, iv, 1, aad, plain, out);
    must(EVP_CipherFinal_ex(gcm->ctx, out + plain.n, &n));
    must(EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_GCM_TAG, out + plain.n));
}

int crypto_gcm_open(struct crypto_gcm *gcm, const uint8_t iv[CRYPTO_GCM_IV], struct bytes aad,
                    struct bytes sealed, uint8_t *out, struct err *err)
{
    struct bytes body = {sealed.p, sealed.n - CRYPTO_GCM_TAG};
    uint8_t tag[CRYPTO_GCM_TAG];
    int n = 0;

    if (sealed.n < CRYPTO_GCM_TAG) {
        return err_set(err, ERR_CRYPTO, "%zu bytes are less than a tag", sealed.n);
    }
    assert(body.n < INT32_MAX && aad.n < INT32_MAX);
    memcpy(tag, sealed.p + body.n, sizeof(tag));
    gcm_run(gcm, iv, 0, aad, body, out);
    must(EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_GCM_TAG, tag));
    if (EVP_CipherFinal_ex(gcm->ctx, out + body.n, &n) != 1) {
        mem_wipe(out, body.n);
        return err_set(err, ERR_CRYPTO, "%zu bytes do not decrypt", sealed.n);
    }
    return 0;
}
