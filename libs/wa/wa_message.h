/* wa_message: the `<message>` stanza: as a client sends it to the server, and as the server gives
 * it to one device. Both directions build and parse, for the two sides of the wire. Parsed values
 * borrow from the node; arrays are in the given arena. Pure. */
#ifndef WA_WA_MESSAGE_H
#define WA_WA_MESSAGE_H

#include "wa/wa_enc.h"
#include "wa/wa_node.h"

struct err;

enum {
    WA_MESSAGE_ID_MAX = 128,       /* bytes of an id */
    WA_MESSAGE_TARGETS_MAX = 5000, /* devices of one message */
    WA_MESSAGE_ENCS_MAX = 8,       /* ciphertexts for one device */
};

/* ---- client to server ---- */

struct wa_message_target {
    struct wa_jid device;
    bool has_enc; /* false: a device that holds the sender key already */
    struct wa_enc enc;
};

struct wa_message_sent {
    const char *id;
    struct wa_jid to;                /* the chat; of a retry in a DM the device that asked */
    const char *type;                /* "text", "media", "reaction", ... */
    const char *edit;                /* NULL: a new message */
    const char *category;            /* "peer": for the own phone; NULL */
    const char *phash;               /* NULL: none */
    const char *addressing_mode;     /* groups: "pn", "lid"; NULL */
    struct wa_jid participant;       /* retry in a group: the device that asked; else none */
    struct wa_jid recipient;         /* retry to an own device: the chat; else none */
    struct wa_jid peer_recipient_pn; /* the number behind a LID in @to; none */
    const struct wa_message_target *targets;
    size_t n_targets;
    bool has_enc; /* one for @to itself: retry, peer message, sender key message of a group */
    struct wa_enc enc;
    bool single_device;           /* device_fanout="false": only the one that asked */
    struct bytes device_identity; /* ADVSignedDeviceIdentity; goes along iff some enc is a pkmsg */
    int64_t time;                 /* seconds, on retries; 0: none */
};

/* Asserts that there is an id, and a target or an enc. */
struct wa_node *wa_message_sent_build(struct arena *arena, const struct wa_message_sent *message);

/* The server's side.
 *   -ERR_INVALID  no id, address or type, nothing encrypted, a malformed enc, an id over its limit
 *   -ERR_LIMIT    over WA_MESSAGE_TARGETS_MAX */
NODISCARD int wa_message_sent_parse(const struct wa_node *node, struct arena *arena,
                                    struct wa_message_sent *out, struct err *err);

/* True when some enc of @message begins a session. */
bool wa_message_sent_has_pkmsg(const struct wa_message_sent *message);

/* ---- server to client ---- */

struct wa_message_received {
    const char *id;
    struct wa_jid from;        /* the sending device; of a group or broadcast that one */
    struct wa_jid participant; /* the sending device in a group or broadcast; none */
    int64_t time;              /* seconds, the server's; 0: what it says is no time */
    const char *type;
    const char *notify;          /* the sender's push name; NULL */
    const char *addressing_mode; /* NULL */
    const char *category;        /* "peer"; NULL */
    const char *edit;            /* NULL */
    struct wa_jid recipient;     /* the chat, when an own other device sent it; none */
    /* the other form of who is named above; none where not told */
    struct wa_jid sender_pn, sender_lid;
    struct wa_jid participant_pn, participant_lid;
    struct wa_jid peer_recipient_pn, peer_recipient_lid;
    int offline; /* number in the queue of an earlier time, -1: came live */
    const struct wa_enc *encs;
    size_t n_encs;
    size_t n_unknown; /* encs that could not be read and are left out */
    struct bytes device_identity;
    bool is_unavailable; /* <unavailable/>: the phone alone has it */
};

struct wa_node *wa_message_received_build(struct arena *arena,
                                          const struct wa_message_received *message);

/* The client's side.
 *   -ERR_INVALID  no id, sender or time, a group message without participant: ack with 487
 *   -ERR_LIMIT    over WA_MESSAGE_ENCS_MAX */
NODISCARD int wa_message_received_parse(const struct wa_node *node, struct arena *arena,
                                        struct wa_message_received *out, struct err *err);

/* ---- who and where ---- */

/* A received message from the reader's point of view. */
struct wa_message_view {
    struct wa_jid chat;       /* without device */
    struct wa_jid chat_alt;   /* a person's other form (number or LID), without device; or none */
    struct wa_jid sender;     /* with device */
    struct wa_jid sender_alt; /* the same device in the other form; none */
    bool from_me;
    bool is_group; /* group, broadcast or status */
    bool is_peer;  /* data from the own phone */
};

/* @own_pn, @own_lid: the reader's own addresses (devices do not matter); @own_lid may be none.
 * False, @out untouched: not sent by a person's device, or says to be sent by an own one and is
 * not: drop it. */
NODISCARD bool wa_message_view(const struct wa_message_received *message,
                               const struct wa_jid *own_pn, const struct wa_jid *own_lid,
                               struct wa_message_view *out);

#endif
