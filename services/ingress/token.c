#include "ingress/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jwt.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

bool token_is_one(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (int part = 0; part < 3; part++) {
        size_t n = strspn(text, letters);

        if (n == 0 || text[n] != (part < 2 ? '.' : 0)) {
            return false;
        }
        text += n + (part < 2 ? 1 : 0);
    }
    return true;
}

static int fill(jwt_t *jwt, const char *secret, const struct token_claims *claims, int64_t now_s)
{
    char sub[24];

    (void)snprintf(sub, sizeof(sub), "%" PRId64, claims->user_id);
    return jwt_add_grant(jwt, "sub", sub) != 0 ||
                   jwt_add_grant(jwt, "username", claims->username) != 0 ||
                   jwt_add_grant(jwt, "role", claims->is_admin ? "admin" : "user") != 0 ||
                   jwt_add_grant_int(jwt, "iat", now_s) != 0 ||
                   jwt_add_grant_int(jwt, "exp", claims->expires_s) != 0 ||
                   jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret,
                               (int)strlen(secret)) != 0
               ? -1
               : 0;
}

int token_sign(const char *secret, const struct token_claims *claims, int64_t now_s,
               struct buf *out, struct err *err)
{
    jwt_t *jwt = NULL;
    char *text = NULL;
    int rc = -1;

    if (jwt_new(&jwt) == 0 && fill(jwt, secret, claims, now_s) == 0) {
        text = jwt_encode_str(jwt);
        rc = text != NULL ? 0 : -1;
    }
    if (rc == 0) {
        buf_add_str(out, text);
    } else {
        rc = err_set(err, ERR_EXTERNAL, "libjwt made no token");
    }
    free(text);
    jwt_free(jwt);
    return rc;
}

/* The claims of a token whose signature holds; false when one is missing or not as we write it. */
static bool read_claims(jwt_t *jwt, int64_t now_s, struct token_claims *out)
{
    const char *sub = jwt_get_grant(jwt, "sub");
    const char *username = jwt_get_grant(jwt, "username");
    const char *role = jwt_get_grant(jwt, "role");
    int64_t expires_s = jwt_get_grant_int(jwt, "exp");

    if (jwt_get_alg(jwt) != JWT_ALG_HS256 || sub == NULL || username == NULL || role == NULL ||
        strlen(username) >= sizeof(out->username) || expires_s <= now_s ||
        !text_to_int(sub, 1, INT64_MAX, &out->user_id)) {
        return false;
    }
    (void)snprintf(out->username, sizeof(out->username), "%s", username);
    out->is_admin = strcmp(role, "admin") == 0;
    out->expires_s = expires_s;
    return true;
}

int token_verify(const char *secret, const char *text, int64_t now_s, struct token_claims *out,
                 struct err *err)
{
    struct token_claims claims = {0};
    jwt_t *jwt = NULL;
    bool is_good;

    if (strlen(text) > TOKEN_MAX || !token_is_one(text) ||
        jwt_decode(&jwt, text, (const unsigned char *)secret, (int)strlen(secret)) != 0) {
        return err_set(err, ERR_REFUSED, "the token is not one of ours");
    }
    is_good = read_claims(jwt, now_s, &claims);
    jwt_free(jwt);
    if (!is_good) {
        return err_set(err, ERR_REFUSED, "the token has expired, or lacks a claim");
    }
    *out = claims;
    return 0;
}
