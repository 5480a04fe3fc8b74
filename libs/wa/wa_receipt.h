/* wa_receipt: what became of a message: delivered, read, or please send it again. Both sides.
 * Parsed values borrow from the node; arrays are in the given arena. Pure. */
#ifndef WA_WA_RECEIPT_H
#define WA_WA_RECEIPT_H

#include "wa/wa_message.h"
#include "wa/wa_prekeys.h"

struct err;

enum {
    WA_RECEIPT_IDS_MAX = 1000,   /* messages of one receipt */
    WA_RECEIPT_USERS_MAX = 5000, /* readers in one receipt of a group */
    WA_RETRY_COUNT_MAX = 100,
    WA_RETRY_LIMIT = 5, /* times that one device is answered, or asks, for one message */
};

/* name, type attribute */
#define WA_RECEIPT_LIST(X)                                              \
    X(DELIVERED, "")        /* by an active device */                   \
    X(INACTIVE, "inactive") /* the same, its user is not about */       \
    X(SENDER, "sender")     /* of a message of an own device */         \
    X(PEER, "peer_msg")     /* of data from the own phone */            \
    X(HISTORY, "hist_sync") /* a history notification was read */       \
    X(READ, "read")                                                     \
    X(READ_SELF, "read-self") /* read, and only own devices know */     \
    X(PLAYED, "played")                                                 \
    X(PLAYED_SELF, "played-self")                                       \
    X(RETRY, "retry")               /* could not be decrypted */        \
    X(SERVER_ERROR, "server-error") /* media is to be uploaded again */ \
    X(OTHER, "other")               /* a type not known here */

enum wa_receipt_type {
#define WA_RECEIPT_ENUM(name, text) WA_RECEIPT_##name,
    WA_RECEIPT_LIST(WA_RECEIPT_ENUM)
#undef WA_RECEIPT_ENUM
};

struct wa_receipt_user {
    struct wa_jid user;
    int64_t time; /* seconds; 0: not said */
};

struct wa_receipt {
    const char *id;
    enum wa_receipt_type type;
    struct wa_jid peer; /* `to` from a client, `from` to it; none: some clients leave it out */
    struct wa_jid participant; /* in groups; none */
    struct wa_jid recipient;   /* the chat, where an own device speaks; none */
    struct wa_jid sender_lid;  /* none */
    const char *category;      /* NULL */
    int64_t time;              /* seconds; 0: none */
    int offline;               /* as of a message; -1: live. Only to clients */
    const char *const *more;   /* further message ids, without those that are too long for one */
    size_t n_more;
    const struct wa_receipt_user *users; /* of a group: who, each at which time */
    size_t n_users;
};

struct wa_node *wa_receipt_to_server(struct arena *arena, const struct wa_receipt *receipt);
struct wa_node *wa_receipt_to_client(struct arena *arena, const struct wa_receipt *receipt);

/* Either direction. -ERR_INVALID: no id; to a client also no sender or time. -ERR_LIMIT: over one
 * of the limits above. */
NODISCARD int wa_receipt_from_client(const struct wa_node *node, struct arena *arena,
                                     struct wa_receipt *out, struct err *err);
NODISCARD int wa_receipt_from_server(const struct wa_node *node, struct arena *arena,
                                     struct wa_receipt *out, struct err *err);

/* The receipt that a client owes for a message it has decrypted and kept: delivered or inactive,
 * sender for an own device's, peer_msg for the phone's data. */
void wa_receipt_for(const struct wa_message_received *message, const struct wa_message_view *view,
                    bool is_active, struct wa_receipt *out);

/* ---- retry ---- */

struct wa_retry {
    int count;       /* which request this is, from 1 */
    const char *id;  /* the message */
    int64_t time;    /* of the message, seconds */
    unsigned reason; /* Baileys: RetryReason; 0 unknown */
    uint32_t registration_id;
    bool has_keys; /* begin a new session with them */
    struct wa_bundle keys;
    struct bytes device_identity; /* of the asking companion; empty */
};

/* What a client sends for @message that it could not decrypt. */
struct wa_node *wa_retry_to_server(struct arena *arena, const struct wa_message_received *message,
                                   const struct wa_retry *retry);

/* The retry inside a receipt of type RETRY, either direction. Keys that are malformed or whose
 * signature does not hold count as none (the bundle is fetched then). -ERR_INVALID: no `<retry>`,
 * count or registration. */
NODISCARD int wa_retry_parse(const struct wa_node *receipt, struct wa_retry *out, struct err *err);

#endif
