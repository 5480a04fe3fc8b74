/* wa_jid: addresses: a user, group or server, and one device of a user. A plain value: copy it. */
#ifndef WA_WA_JID_H
#define WA_WA_JID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum {
    WA_JID_USER_MAX = 55,    /* bytes of a user part; longer ones are not addresses */
    WA_JID_DEVICE_MAX = 255, /* of a person: one byte on the wire */
    WA_JID_TEXT_MAX = 96     /* bytes of a formatted address with its NUL */
};

/* name, text */
#define WA_SERVER_LIST(X)       \
    X(PN, "s.whatsapp.net")     \
    X(LID, "lid")               \
    X(GROUP, "g.us")            \
    X(BROADCAST, "broadcast")   \
    X(NEWSLETTER, "newsletter") \
    X(HOSTED, "hosted")         \
    X(HOSTED_LID, "hosted.lid") \
    X(MSGR, "msgr")             \
    X(INTEROP, "interop")       \
    X(BOT, "bot")               \
    X(CALL, "call")

enum wa_server {
    WA_SERVER_NONE = 0, /* an all-zero address: none at all */
#define WA_SERVER_ENUM(name, text) WA_SERVER_##name,
    WA_SERVER_LIST(WA_SERVER_ENUM)
#undef WA_SERVER_ENUM
};

struct wa_jid {
    enum wa_server server;
    uint16_t device;                /* 0 = the phone, or none */
    uint16_t integrator;            /* interop only */
    char user[WA_JID_USER_MAX + 1]; /* "" for a server's own address */
};

const char *wa_server_name(enum wa_server server); /* "" for WA_SERVER_NONE */
/* The server of that name; "c.us" is the old name of PN. WA_SERVER_NONE for an unknown one. */
enum wa_server wa_server_find(const char *name, size_t n);

/* An address from its parts. @user is asserted to fit. */
struct wa_jid wa_jid_make(enum wa_server server, const char *user, uint16_t device);
/* The address of a server itself, such as S, to which most iqs go. */
struct wa_jid wa_jid_of_server(enum wa_server server);

/* "user@server", "user:device@server", "user.0:device@server", "@server", or a bare known server
 * name. False, @out untouched, for anything else, also for a device that has no form on the wire:
 * over WA_JID_DEVICE_MAX, or of a group and the like. */
NODISCARD bool wa_jid_parse(const char *text, struct wa_jid *out);
/* "user:device@server"; no device when 0, no "@" for a server's own address. "" for none. */
const char *wa_jid_format(const struct wa_jid *jid, char out[WA_JID_TEXT_MAX]);
/* "user.0:device@server", device 0 spelled out: what device hashes are made of. */
const char *wa_jid_format_ad(const struct wa_jid *jid, char out[WA_JID_TEXT_MAX]);

struct wa_jid wa_jid_bare(const struct wa_jid *jid); /* the same without a device */
struct wa_jid wa_jid_with_device(const struct wa_jid *jid, uint16_t device);

int wa_jid_compare(const struct wa_jid *a, const struct wa_jid *b); /* a total order */
bool wa_jid_equal(const struct wa_jid *a, const struct wa_jid *b);
bool wa_jid_same_user(const struct wa_jid *a, const struct wa_jid *b); /* devices aside */
bool wa_jid_is_none(const struct wa_jid *jid);
bool wa_jid_is_user(const struct wa_jid *jid); /* a person: PN, LID or their hosted forms */
bool wa_jid_is_lid(const struct wa_jid *jid);  /* LID or hosted LID */
bool wa_jid_is_group(const struct wa_jid *jid);

#endif
