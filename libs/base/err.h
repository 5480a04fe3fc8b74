/* err: the one error vocabulary of the tree. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

/* name, what a caller should do, text */
#define ERR_LIST(X)                                                  \
    X(INVALID, GIVE_UP, "invalid input")                             \
    X(LIMIT, GIVE_UP, "over a named limit")                          \
    X(NOT_FOUND, GIVE_UP, "no such thing")                           \
    X(REFUSED, GIVE_UP, "refused")                                   \
    X(CRYPTO, GIVE_UP, "signature, key or ciphertext does not hold") \
    X(FENCED, GIVE_UP, "another process owns this now")              \
    X(CONFLICT, RETRY, "moved past the expected version")            \
    X(TIMEOUT, RETRY, "timed out before anything was sent")          \
    X(CLOSED, RETRY, "the other side closed")                        \
    X(EXTERNAL, RETRY, "a library or peer failed")                   \
    X(SYSTEM, RETRY, "the machine refused")                          \
    X(UNCERTAIN, CHECK, "may or may not have happened")

/* CHECK is for writes that may have happened: look before repeating. */
enum err_action { ERR_ACTION_GIVE_UP, ERR_ACTION_RETRY, ERR_ACTION_CHECK };

enum err_code {
    ERR_OK = 0,
#define ERR_ENUM(name, action, text) ERR_##name,
    ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

struct err {
    int code;       /* negative ERR_*, or 0 */
    char text[240]; /* for people; never parsed, never holds secrets */
};

/* Fill @err (may be NULL) and return -@code, so that `return err_set(...)` works. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Put "what: " before the text of @err (may be NULL) and return @rc unchanged. */
int err_wrap(struct err *err, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

enum err_action err_action(int rc);
const char *err_name(int rc); /* "INVALID" for -ERR_INVALID; "OK" for 0 or more */

#endif
