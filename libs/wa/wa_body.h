/* wa_body: what is inside an encrypted message: the protobuf and its padding. Both sides. Pure.
 *
 *     plaintext of an enc = Message || n bytes of value n (1 to 16) */
#ifndef WA_WA_BODY_H
#define WA_WA_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"

struct err;

enum {
    WA_BODY_WRAPPERS_MAX = 8,        /* messages around the content */
    WA_BODY_INFLATED_MAX = 16 << 20, /* bytes of an inline history */
    WA_BODY_PADDING_MAX = 16,
};

/* name, as the "kind" of an event */
#define WA_BODY_LIST(X)                                                    \
    X(NOTHING, "nothing") /* key material only: not for people */          \
    X(TEXT, "text")                                                        \
    X(IMAGE, "image") /* of media the text is the caption */               \
    X(VIDEO, "video")                                                      \
    X(AUDIO, "audio")                                                      \
    X(DOCUMENT, "document")                                                \
    X(STICKER, "sticker")                                                  \
    X(CONTACT, "contact")   /* the text is the name */                     \
    X(LOCATION, "location") /* the text is a name, address or comment */   \
    X(INVITE, "invite")                                                    \
    X(POLL, "poll")           /* the text is the question */               \
    X(REACTION, "reaction")   /* the text is the sign, "" takes it back */ \
    X(EDIT, "edit")           /* the text is the new one of the target */  \
    X(REVOKE, "revoke")       /* of the target */                          \
    X(VOTE, "vote")           /* encrypted a second time: not read here */ \
    X(TIMER, "timer")         /* the chat's messages disappear, or not */  \
    X(KEY_SHARE, "key_share") /* the rest is between own devices */        \
    X(KEY_REQUEST, "key_request")                                          \
    X(HISTORY, "history")                                                  \
    X(LID_MAPPING, "lid_mapping")                                          \
    X(PROTOCOL, "protocol") /* another protocol message */                 \
    X(UNKNOWN, "unknown")   /* content of a kind not known here */

enum wa_body_kind {
#define WA_BODY_ENUM(name, text) WA_BODY_##name,
    WA_BODY_LIST(WA_BODY_ENUM)
#undef WA_BODY_ENUM
};

const char *wa_body_kind_name(enum wa_body_kind kind);
bool wa_body_is_for_people(enum wa_body_kind kind); /* to be shown or told */
bool wa_body_is_for_self(enum wa_body_kind kind);   /* believe it only from an own device */

/* A number and the hidden id behind it, digits both. */
struct wa_body_lid {
    uint64_t pn;
    uint64_t lid;
};

struct wa_body_key {
    struct bytes id;   /* of an app state key */
    struct bytes data; /* a secret of 32 bytes; empty: the sender has it not */
    int64_t time_ms;
};

struct wa_body_history {
    int sync_type; /* 0 first, 1 status, 2 full, 3 recent, 4 push names, 5 other */
    uint32_t chunk_order;
    uint32_t progress;           /* percent */
    struct bytes inline_payload; /* compressed (wa_body_history_open); empty: to be downloaded */
};

struct wa_body {
    enum wa_body_kind kind;
    const char *text;      /* "" where there is none */
    const char *mimetype;  /* of media; NULL */
    const char *file_name; /* of a document; NULL */
    const char *target_id; /* of a reaction, edit, revoke, vote: the message meant; NULL */
    bool target_from_me;   /* as the writer sees it */
    const char *quoted_id; /* the message answered to; NULL */
    bool is_forwarded;
    bool is_view_once;
    uint32_t expiration; /* seconds; of TIMER the chat's new one */

    bool is_device_sent;     /* what an own device sent elsewhere: only from own devices */
    const char *destination; /* the chat of it as that device says; NULL */

    struct bytes sender_key;      /* SKDM bytes, to be learnt before the next enc; empty */
    const char *sender_key_group; /* NULL */
    struct bytes message_secret;  /* empty */

    const struct wa_body_key *keys; /* KEY_SHARE, KEY_REQUEST */
    size_t n_keys;
    struct wa_body_history history;
    const struct wa_body_lid *lids; /* LID_MAPPING */
    size_t n_lids;
};

/* ---- reading ---- */

/* Take the padding off the end of @plain. False: there is none, or it is not what it should be. */
NODISCARD bool wa_body_unpad(struct bytes *plain);

/* Read @message (without padding). All of @out is copied into @arena; texts are clean UTF-8.
 *   -ERR_INVALID  not a message
 *   -ERR_LIMIT    too deep or too many parts */
NODISCARD int wa_body_parse(struct bytes message, struct arena *arena, struct wa_body *out,
                            struct err *err);

/* ---- writing: each appends a message without padding ---- */

void wa_body_pad(struct buf *plain); /* 1 to 16 bytes, random */

void wa_body_text(const char *text, struct buf *out);

/* What own other devices get of @message to @chat ("491@s.whatsapp.net"); @message was made by one
 * of these functions. */
void wa_body_device_sent(const char *chat, struct bytes message, struct buf *out);

/* ---- a phone's messages to its companions ---- */

void wa_body_key_share(const struct wa_body_key *keys, size_t n, struct buf *out);
void wa_body_lid_mapping(const struct wa_body_lid *lids, size_t n, struct buf *out);

struct wa_body_name {
    const char *jid; /* "491@s.whatsapp.net" */
    const char *name;
};

/* A part of a history, as far as it is used here. */
struct wa_body_sync {
    int sync_type;
    uint32_t chunk_order;
    uint32_t progress;
    const struct wa_body_name *names; /* push names */
    size_t n_names;
    const struct wa_body_name *lids; /* jid: the number's, name: the LID's */
    size_t n_lids;
};

/* A history notification with @sync compressed inside. */
void wa_body_history_inline(const struct wa_body_sync *sync, struct buf *out);

/* Inflate and read an inline payload into @arena. -ERR_INVALID, -ERR_LIMIT. */
NODISCARD int wa_body_history_open(struct bytes payload, struct arena *arena,
                                   struct wa_body_sync *out, struct err *err);

#endif
