/* phone: numbers, JIDs and session keys as people and programs write them. */
#ifndef DOMAIN_PHONE_H
#define DOMAIN_PHONE_H

#include <stdbool.h>

#include "base/attr.h"

enum {
    PHONE_MAX = 16,       /* bytes of a phone's digits with the NUL */
    PHONE_JID_MAX = 64,   /* bytes of a JID with the NUL */
    SESSION_KEY_MAX = 65, /* bytes of a session key with the NUL */
};

enum destination_kind { DESTINATION_PHONE, DESTINATION_USER, DESTINATION_GROUP };

/* Where a message may go. */
struct destination {
    enum destination_kind kind;
    char phone[PHONE_MAX];   /* digits; "" for a group */
    char jid[PHONE_JID_MAX]; /* "628...@s.whatsapp.net" or the group's */
};

/* Digits of an international number: an optional plus, 8 to 15 digits, the first 1 to 9, beginning
 * with an assigned calling code. -ERR_INVALID leaves @out as it was. */
NODISCARD int phone_parse(const char *text, char out[PHONE_MAX]);

/* A phone, a user JID without device, or a group JID. -ERR_INVALID leaves @out as it was. */
NODISCARD int destination_parse(const char *text, struct destination *out);

/* May @text name a session? Not what could be taken for its uuid or its number. */
bool session_key_is_valid(const char *text);

#endif
