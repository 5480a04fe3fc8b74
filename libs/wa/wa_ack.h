/* wa_ack: the transport's acknowledgement of a stanza, both directions. Pure. */
#ifndef WA_WA_ACK_H
#define WA_WA_ACK_H

#include "wa/wa_node.h"

/* Why a client gives a stanza back (Baileys: NACK_REASONS). The server stops delivering it all the
 * same. */
enum wa_nack {
    WA_NACK_NONE = 0,
    WA_NACK_PARSE = 487,
    WA_NACK_UNKNOWN_STANZA = 488,
    WA_NACK_UNKNOWN_CLASS = 489,
    WA_NACK_UNKNOWN_TYPE = 490,
    WA_NACK_PROTOBUF = 491,
    WA_NACK_NO_SECRET = 495,
    WA_NACK_OLD_COUNTER = 496,
    WA_NACK_UNHANDLED = 500,
    WA_NACK_DATABASE = 552
};

struct wa_ack {
    const char *class; /* tag of what is acknowledged: "message", "receipt", ... */
    const char *id;
    struct wa_jid from; /* to a client: whom it had written to */
    struct wa_jid to;   /* to a server: whom it came from */
    struct wa_jid participant;
    struct wa_jid recipient;
    const char *type;
    const char *phash;
    int error;    /* 0: fine */
    int64_t time; /* seconds; 0: none */
};

/* The client's ack of a `<message>`, `<receipt>`, `<notification>` or `<call>`: id, from,
 * participant, recipient and type go back as they came. @error: an enum wa_nack. */
struct wa_node *wa_ack_for(struct arena *arena, const struct wa_node *stanza, int error);

/* The server's ack of what a client sent. @time 0 leaves it out; @error 0: accepted. */
struct wa_node *wa_ack_sent(struct arena *arena, const struct wa_node *stanza, int64_t time,
                            int error);

/* False, @out untouched: no ack, or one without class or id. Borrows @node. */
NODISCARD bool wa_ack_parse(const struct wa_node *node, struct wa_ack *out);

#endif
