/* The input is taken as a token, and as header and claims under a right signature. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "ingress/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "0123456789abcdef0123";

static void try_signed(const uint8_t *data, size_t size)
{
    const uint8_t *split = data != NULL && size > 0 ? memchr(data, '\n', size) : NULL;
    size_t head_n = split != NULL ? (size_t)(split - data) : 0;
    struct token_claims claims;
    uint8_t mac[CRYPTO_SHA256];
    struct buf text = {0};

    if (split != NULL) {
        text_base64(&text, (struct bytes){data, head_n}, TEXT_BASE64URL);
        buf_add_u8(&text, '.');
        text_base64(&text, (struct bytes){split + 1, size - head_n - 1}, TEXT_BASE64URL);
        crypto_hmac((struct bytes){(const uint8_t *)secret, sizeof(secret) - 1}, buf_bytes(&text),
                    mac);
        buf_add_u8(&text, '.');
        text_base64(&text, (struct bytes){mac, sizeof(mac)}, TEXT_BASE64URL);
        if (token_verify(secret, buf_text(&text), 1000, &claims, NULL) == 0) {
            assert(claims.user_id >= 1 && claims.expires_s > 1000);
        }
        buf_done(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup(data != NULL ? (const char *)data : "", size);
    struct token_claims claims;

    if (token_verify(secret, text, 1000, &claims, NULL) == 0) {
        assert(claims.user_id >= 1 && claims.expires_s > 1000);
    }
    try_signed(data, size);
    free(text);
    return 0;
}
