/* password: slow hashes of passwords (argon2id) and their check; API keys and their fast hash. */
#ifndef INGRESS_PASSWORD_H
#define INGRESS_PASSWORD_H

#include <stdbool.h>

#include "base/attr.h"

struct err;

enum {
    PASSWORD_MAX = 256,      /* bytes of a password */
    PASSWORD_HASH_MAX = 160, /* bytes of its encoded hash with the NUL */
    API_KEY_MAX = 256,       /* bytes of a key */
    API_KEY_HASH_MAX = 65    /* its SHA-256 in hex with the NUL */
};

/* The encoded argon2id hash of @password with a fresh salt; takes about 40 ms and 19 MiB.
 * -ERR_INVALID: empty or over PASSWORD_MAX. */
NODISCARD int password_hash(const char *password, char out[PASSWORD_HASH_MAX], struct err *err);

/* Does @password belong to @hash? Takes as long as hashing; a NULL @hash (no such user) takes as
 * long too and is false. */
bool password_is(const char *password, const char *hash);

void api_key_hash(const char *key, char out[API_KEY_HASH_MAX]);

#endif
