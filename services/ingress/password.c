#include "ingress/password.h"

#include <string.h>

#include <argon2.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "crypto/crypto.h"

enum { PASSES = 2, MEMORY_KIB = 19456, LANES = 1, SALT = 16, TAG = 32 }; /* OWASP's choice */

int password_hash(const char *password, char out[PASSWORD_HASH_MAX], struct err *err)
{
    uint8_t salt[SALT];
    size_t n = strlen(password);
    int rc;

    if (n == 0 || n > PASSWORD_MAX) {
        return err_set(err, ERR_INVALID, "a password has 1 to %d bytes", PASSWORD_MAX);
    }
    crypto_random(salt, sizeof(salt));
    rc = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password, n, salt, sizeof(salt), TAG, out,
                               PASSWORD_HASH_MAX);
    if (rc != ARGON2_OK) {
        return err_set(err, ERR_EXTERNAL, "argon2: %s", argon2_error_message(rc));
    }
    return 0;
}

bool password_is(const char *password, const char *hash)
{
    /* of a password that nobody has: 32 bytes of which only this hash was kept */
    static const char nobody[] = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    size_t n = strlen(password);
    bool is_right = argon2id_verify(hash != NULL ? hash : nobody, password,
                                    n > PASSWORD_MAX ? PASSWORD_MAX : n) == ARGON2_OK;

    return is_right && hash != NULL && n > 0 && n <= PASSWORD_MAX;
}

void api_key_hash(const char *key, char out[API_KEY_HASH_MAX])
{
    uint8_t digest[CRYPTO_SHA256];
    struct buf hex = {0};

    crypto_sha256((struct bytes){(const uint8_t *)key, strlen(key)}, digest);
    text_hex(&hex, (struct bytes){digest, sizeof(digest)});
    memcpy(out, buf_text(&hex), API_KEY_HASH_MAX);
    buf_done(&hex);
}
