/* verdict: what a decider says to a command. A refusal is a value, never an error, and makes no
 * event. */
#ifndef DOMAIN_VERDICT_H
#define DOMAIN_VERDICT_H

#include <stdbool.h>

/* name, code that travels in replies, text for people */
#define VERDICT_LIST(X)                                                              \
    X(OK, "OK", "")                                                                  \
    X(EXISTS, "EXISTS", "exists already")                                            \
    X(NOT_FOUND, "NOT_FOUND", "not found")                                           \
    X(INVALID_STATE, "INVALID_STATE", "not possible in this state")                  \
    X(NO_SESSION, "INVALID_STATE", "no session")                                     \
    X(NOT_CONNECTED, "INVALID_STATE", "not connected")                               \
    X(ALREADY_LOGGED_IN, "INVALID_STATE", "already logged in")                       \
    X(ALREADY_PAIRED, "INVALID_STATE", "already paired")                             \
    X(NOT_AVAILABLE, "INVALID_STATE", "not available")                               \
    X(NOT_LOGGED_IN, "NOT_LOGGED_IN", "session is not logged in")                    \
    X(SESSION_NOT_FOUND, "WHATSAPP_SESSION_NOT_FOUND", "WhatsApp session not found") \
    X(SESSION_NOT_CONNECTED, "WHATSAPP_SESSION_NOT_CONNECTED",                       \
      "WhatsApp session is not connected")                                           \
    X(INVALID_REQUEST, "INVALID_REQUEST", "invalid request")                         \
    X(EXPIRED, "EXPIRED", "came after its deadline")                                 \
    X(LIMIT, "LIMIT", "too much is waiting already")

enum verdict {
#define VERDICT_ENUM(name, code, text) VERDICT_##name,
    VERDICT_LIST(VERDICT_ENUM)
#undef VERDICT_ENUM
};

const char *verdict_code(enum verdict verdict); /* "INVALID_STATE" */
/* A repeat of the command gets it again. What came too late, or when too much was waiting, was not
 * decided: the same command may be, with another deadline or at another time. */
bool verdict_is_final(enum verdict verdict);
const char *verdict_text(enum verdict verdict); /* "not possible in this state" */

#endif
