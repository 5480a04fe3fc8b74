/* token: JWTs of users: HS256, header {"alg":"HS256","typ":"JWT"}, claims sub, username, role, iat
 * and exp (wraps libjwt, which does not look at exp). */
#ifndef INGRESS_TOKEN_H
#define INGRESS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct buf;
struct err;

enum {
    TOKEN_MAX = 4096,        /* bytes of one */
    TOKEN_USERNAME_MAX = 101 /* bytes with the NUL */
};

struct token_claims {
    int64_t user_id;
    char username[TOKEN_USERNAME_MAX];
    bool is_admin;
    int64_t expires_s; /* since the epoch */
};

/* Does @text look like a JWT (three parts of base64url with dots) rather than an API key? */
bool token_is_one(const char *text);

/* Append the token of @claims, made at @now_s, to @out. -ERR_EXTERNAL: libjwt failed. */
NODISCARD int token_sign(const char *secret, const struct token_claims *claims, int64_t now_s,
                         struct buf *out, struct err *err);

/* Check signature, algorithm and time. -ERR_REFUSED: not ours, expired, or claims missing. */
NODISCARD int token_verify(const char *secret, const char *text, int64_t now_s,
                           struct token_claims *out, struct err *err);

#endif
