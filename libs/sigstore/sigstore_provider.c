#include "sigstore/sigstore_provider.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <signal/signal_protocol.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/crypto.h"

enum { AES_KEY = 32, AES_BLOCK = 16, SHA512_BYTES = 64 };

/* Fetching an algorithm or making a context costs more than using it, so all are made once. HMAC
 * contexts are handed out in turn: the library never has more than a few open. */
enum { HMACS = 4 };

struct sigstore_provider {
    EVP_MAC *hmac;
    EVP_MAC_CTX *hmacs[HMACS];
    bool busy[HMACS];
    EVP_CIPHER *cbc;
    EVP_CIPHER *ctr;
    EVP_CIPHER_CTX *cipher;
};

static int random_bytes(uint8_t *data, size_t len, void *ctx)
{
    (void)ctx;
    crypto_random(data, len);
    return 0;
}

static int hmac_init(void **out, const uint8_t *key, size_t len, void *ctx)
{
    struct sigstore_provider *provider = ctx;

    for (size_t i = 0; i < HMACS; i++) {
        if (!provider->busy[i]) {
            if (EVP_MAC_init(provider->hmacs[i], key, len, NULL) != 1) {
                return SG_ERR_UNKNOWN;
            }
            provider->busy[i] = true;
            *out = provider->hmacs[i];
            return 0;
        }
    }
    return SG_ERR_NOMEM;
}

static int hmac_update(void *hmac, const uint8_t *data, size_t len, void *ctx)
{
    (void)ctx;
    return EVP_MAC_update(hmac, data, len) == 1 ? 0 : SG_ERR_UNKNOWN;
}

static int hmac_final(void *hmac, signal_buffer **out, void *ctx)
{
    uint8_t md[CRYPTO_SHA256];
    size_t len = 0;

    (void)ctx;
    if (EVP_MAC_final(hmac, md, &len, sizeof(md)) != 1 || len != sizeof(md)) {
        return SG_ERR_UNKNOWN;
    }
    *out = signal_buffer_create(md, sizeof(md));
    mem_wipe(md, sizeof(md));
    return *out == NULL ? SG_ERR_NOMEM : 0;
}

static void hmac_cleanup(void *hmac, void *ctx)
{
    struct sigstore_provider *provider = ctx;

    for (size_t i = 0; i < HMACS; i++) {
        if (provider->hmacs[i] == hmac) {
            provider->busy[i] = false;
        }
    }
}

/* SHA-512 is for fingerprints only, which nobody here makes; libsodium's needs no set-up. */
static int sha512_init(void **out, void *ctx)
{
    crypto_hash_sha512_state *state = mem_new0(sizeof(*state));

    (void)ctx;
    (void)crypto_hash_sha512_init(state);
    *out = state;
    return 0;
}

static int sha512_update(void *state, const uint8_t *data, size_t len, void *ctx)
{
    (void)ctx;
    (void)crypto_hash_sha512_update(state, data, len);
    return 0;
}

static int sha512_final(void *state, signal_buffer **out, void *ctx)
{
    uint8_t md[SHA512_BYTES];

    (void)ctx;
    (void)crypto_hash_sha512_final(state, md);
    (void)crypto_hash_sha512_init(state);
    *out = signal_buffer_create(md, sizeof(md));
    return *out == NULL ? SG_ERR_NOMEM : 0;
}

static void sha512_cleanup(void *state, void *ctx)
{
    (void)ctx;
    free(state);
}

struct aes_job {
    bool encrypt;
    int cipher; /* SG_CIPHER_* */
    struct bytes key, iv, in;
};

static int aes(struct sigstore_provider *provider, const struct aes_job *job, signal_buffer **out)
{
    bool padded = job->cipher == SG_CIPHER_AES_CBC_PKCS5;
    EVP_CIPHER_CTX *ctx = provider->cipher;
    signal_buffer *made;
    int first = 0;
    int last = 0;

    if (job->key.n != AES_KEY || job->iv.n != AES_BLOCK || job->in.n > INT_MAX - AES_BLOCK) {
        return SG_ERR_INVAL;
    }
    made = signal_buffer_alloc(job->in.n + AES_BLOCK);
    if (made == NULL) {
        return SG_ERR_NOMEM;
    }
    if (EVP_CipherInit_ex2(ctx, padded ? provider->cbc : provider->ctr, job->key.p, job->iv.p,
                           job->encrypt, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx, padded) != 1 ||
        EVP_CipherUpdate(ctx, signal_buffer_data(made), &first, job->in.p, (int)job->in.n) != 1 ||
        EVP_CipherFinal_ex(ctx, signal_buffer_data(made) + first, &last) != 1) {
        signal_buffer_bzero_free(made);
        return SG_ERR_UNKNOWN;
    }
    *out = signal_buffer_create(signal_buffer_const_data(made), (size_t)first + (size_t)last);
    signal_buffer_bzero_free(made);
    return *out == NULL ? SG_ERR_NOMEM : 0;
}

/* NOLINTBEGIN(readability-function-size): the shape is libsignal's */
static int aes_encrypt(signal_buffer **out, int cipher, const uint8_t *key, size_t key_len,
                       const uint8_t *iv, size_t iv_len, const uint8_t *plain, size_t plain_len,
                       void *ctx)
{
    struct aes_job job = {.encrypt = true,
                          .cipher = cipher,
                          .key = {key, key_len},
                          .iv = {iv, iv_len},
                          .in = {plain, plain_len}};

    return aes(ctx, &job, out);
}

static int aes_decrypt(signal_buffer **out, int cipher, const uint8_t *key, size_t key_len,
                       const uint8_t *iv, size_t iv_len, const uint8_t *sealed, size_t sealed_len,
                       void *ctx)
{
    struct aes_job job = {.encrypt = false,
                          .cipher = cipher,
                          .key = {key, key_len},
                          .iv = {iv, iv_len},
                          .in = {sealed, sealed_len}};

    return aes(ctx, &job, out);
}
/* NOLINTEND(readability-function-size) */

int sigstore_provider_new(struct sigstore_provider **out, struct err *err)
{
    struct sigstore_provider *provider = mem_new0(sizeof(*provider));
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    bool ok;

    provider->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    provider->cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    provider->ctr = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    provider->cipher = EVP_CIPHER_CTX_new();
    ok = provider->hmac != NULL && provider->cbc != NULL && provider->ctr != NULL &&
         provider->cipher != NULL;
    for (size_t i = 0; ok && i < HMACS; i++) {
        provider->hmacs[i] = EVP_MAC_CTX_new(provider->hmac);
        ok = provider->hmacs[i] != NULL && EVP_MAC_CTX_set_params(provider->hmacs[i], params) == 1;
    }
    if (!ok) {
        sigstore_provider_free(&provider);
        return err_set(err, ERR_EXTERNAL, "libcrypto lacks HMAC-SHA256 or AES-256");
    }
    *out = provider;
    return 0;
}

void sigstore_provider_free(struct sigstore_provider **provider)
{
    struct sigstore_provider *old = *provider;

    *provider = NULL;
    if (old == NULL) {
        return;
    }
    for (size_t i = 0; i < HMACS; i++) {
        EVP_MAC_CTX_free(old->hmacs[i]);
    }
    EVP_MAC_free(old->hmac);
    EVP_CIPHER_free(old->cbc);
    EVP_CIPHER_free(old->ctr);
    EVP_CIPHER_CTX_free(old->cipher);
    free(old);
}

int sigstore_provider_install(struct sigstore_provider *provider, struct signal_context *context,
                              struct err *err)
{
    const signal_crypto_provider table = {.random_func = random_bytes,
                                          .hmac_sha256_init_func = hmac_init,
                                          .hmac_sha256_update_func = hmac_update,
                                          .hmac_sha256_final_func = hmac_final,
                                          .hmac_sha256_cleanup_func = hmac_cleanup,
                                          .sha512_digest_init_func = sha512_init,
                                          .sha512_digest_update_func = sha512_update,
                                          .sha512_digest_final_func = sha512_final,
                                          .sha512_digest_cleanup_func = sha512_cleanup,
                                          .encrypt_func = aes_encrypt,
                                          .decrypt_func = aes_decrypt,
                                          .user_data = provider};

    if (signal_context_set_crypto_provider(context, &table) != 0) {
        return err_set(err, ERR_EXTERNAL, "libsignal refused the crypto provider");
    }
    return 0;
}
