/* wa_client: the companion's end of one connection: handshake, pairing by QR code, login,
 * keepalive, requests and their answers. Pure: bytes and a time in; bytes, events and a next
 * deadline out. One object per connection, one thread; an idle one takes a few KiB.
 *
 *     open --> HANDSHAKE --> PAIRING --pair-success--> PAIRED --515--> ended (connect again)
 *                      `---> LOGIN --success--> SETTLING --active--> READY
 *
 * Every state ends in ENDED, with one WA_EVENT_ENDED; then close the socket and free the object.
 * Times are milliseconds: @now_ms of any steady clock, @wall_ms since the epoch. */
#ifndef WA_WA_CLIENT_H
#define WA_WA_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "wa/wa_adv.h"
#include "wa/wa_creds.h"
#include "wa/wa_node.h"
#include "wa/wa_payload.h"

struct err;
struct wa_client;

enum {
    WA_CLIENT_REFS_MAX = 16,       /* pairing codes of one offer; more are ignored */
    WA_CLIENT_REQUESTS_MAX = 128,  /* unanswered requests of one connection */
    WA_CLIENT_PREKEYS_LOW = 5,     /* fewer than this at the server: more are wanted */
    WA_CLIENT_PREKEYS_FIRST = 812, /* how many to upload when the server has none, else ... */
    WA_CLIENT_PREKEYS_MORE = 50,
    WA_CLIENT_DETAIL_MAX = 200, /* bytes of what the server says of an end; the rest is cut */

    WA_CLIENT_HANDSHAKE_MS = 20000, /* for each answer of the handshake, and to success */
    WA_CLIENT_REQUEST_MS = 75000,   /* for the answer to a request */
    WA_CLIENT_SETTLE_MS = 60000,    /* for the caller's prekeys, then it goes on without */
    WA_CLIENT_QR_FIRST_MS = 60000,  /* the first pairing code is shown so long */
    WA_CLIENT_QR_NEXT_MS = 20000,   /* and each after it */
    WA_CLIENT_PING_MIN_MS = 20000,  /* between two pings, at random */
    WA_CLIENT_PING_MAX_MS = 30000,
    WA_CLIENT_PING_ANSWER_MS = 20000 /* nothing at all heard so long after a ping: dead */
};

/* ---- how it ends ---- */

enum wa_again { WA_RETRY_NOW, WA_RETRY_LATER, WA_RETRY_NEVER };

/* name, what to do, text */
#define WA_END_LIST(X)                                                \
    X(SOCKET, LATER, "the socket was closed")                         \
    X(HANDSHAKE, LATER, "the handshake failed")                       \
    X(PROTOCOL, LATER, "the server broke the protocol")               \
    X(TIMEOUT, LATER, "the server does not answer")                   \
    X(QR_USED_UP, NEVER, "every pairing code was shown")              \
    X(RESTART, NOW, "the server wants a new connection")              \
    X(REPLACED, LATER, "another connection of this device took over") \
    X(LOGGED_OUT, NEVER, "the device was unlinked")                   \
    X(BANNED, NEVER, "the account is banned")                         \
    X(BANNED_FOR_NOW, LATER, "the account is banned for some time")   \
    X(OUTDATED, NEVER, "the server refuses this version")             \
    X(REFUSED, NEVER, "the server refuses this login")                \
    X(UNAVAILABLE, LATER, "the server is not available")              \
    X(RATE_LIMITED, LATER, "too many connections or requests")        \
    X(STREAM, LATER, "the server ended the stream")

enum wa_end {
#define WA_END_ENUM(name, retry, text) WA_END_##name,
    WA_END_LIST(WA_END_ENUM)
#undef WA_END_ENUM
};

const char *wa_end_name(enum wa_end end); /* "LOGGED_OUT" */
const char *wa_end_text(enum wa_end end);
enum wa_again wa_end_retry(enum wa_end end);

/* ---- events ---- */

#define WA_EVENT_LIST(X)                                                                      \
    X(QR)                /* qr: show this code until it expires */                            \
    X(PAIR_CODE)         /* pair_code: type this into the phone until it expires */           \
    X(PAIR_CODE_REFUSED) /* pair_code: the server or the phone does not want it */            \
    X(PAIRED)            /* paired: keep these credentials, then wa_client_confirm_pairing */ \
    X(PAIR_REFUSED)      /* pair_refused: the phone's offer does not hold; codes go on */     \
    X(LOGGED_IN)         /* logged_in: success; it is settling now */                         \
    X(PREKEYS_WANTED)    /* prekeys: upload some, then wa_client_proceed */                   \
    X(READY)             /* stanzas flow */                                                   \
    X(OFFLINE_PREVIEW)   /* offline: how many stanzas are queued */                           \
    X(OFFLINE_DONE)      /* offline: they have all been delivered */                          \
    X(STANZA)            /* node: message, receipt, notification or call; ack it when kept */ \
    X(ACK)               /* node: the server's ack of something that was sent */              \
    X(OTHER)             /* node: presence, chatstate, ib and what else needs no answer */    \
    X(DROPPED)           /* dropped: a frame that is no node was skipped */                   \
    X(ROUTING)           /* routing: give this to the next connection */                      \
    X(ENDED)             /* ended: it is over */

enum wa_event_kind {
#define WA_EVENT_ENUM(name) WA_EVENT_##name,
    WA_EVENT_LIST(WA_EVENT_ENUM)
#undef WA_EVENT_ENUM
};

/* What happened. All pointers are borrowed for the call. */
struct wa_event {
    enum wa_event_kind kind;
    struct {
        const char *text; /* what the phone scans; a secret */
        int ordinal;      /* from 1 */
        int left;         /* codes that come after it */
        int64_t lifetime_ms;
    } qr;
    struct {
        const char *text; /* "ABCD-EFGH"; a secret */
        int64_t lifetime_ms;
        int code; /* PAIR_CODE_REFUSED: the server's number, 0 when it gave none */
    } pair_code;
    struct {
        const struct wa_creds *creds; /* with addresses; secrets */
    } paired;
    enum wa_adv_verdict pair_refused;
    struct {
        struct wa_jid lid; /* none when the server said none */
        int64_t server_s;  /* the server's time, 0 when it said none */
    } logged_in;
    struct {
        int64_t at_server; /* one-time keys left there; -1 when it did not say */
    } prekeys;
    struct {
        int64_t count; /* -1 when it did not say */
    } offline;
    const struct wa_node *node;
    const char *dropped; /* why, for people */
    struct bytes routing;
    struct {
        enum wa_end end;
        int code;           /* the server's number, 0 when it gave none */
        int64_t expires_s;  /* BANNED_FOR_NOW: seconds, 0 unknown */
        const char *detail; /* for people */
    } ended;
};

struct wa_client_ops {
    /* Send @message as one binary websocket message. Must not call back into the client. */
    void (*on_send)(void *ctx, struct bytes message);
    /* May call anything here, also wa_client_free. */
    void (*on_event)(void *ctx, const struct wa_event *event);
};

/* Everything is borrowed until wa_client_free. */
struct wa_client_config {
    const struct wa_creds *creds;
    const struct wa_profile *profile;
    const uint8_t *root_key; /* CRYPTO_KEY bytes: who signs the server's certificates */
    struct bytes routing;    /* of the last WA_EVENT_ROUTING; empty for none */
    uint64_t seed;           /* of the times between pings and of ids */
    bool stay_passive;       /* settle without saying active: nothing queued is delivered */
};

/* ---- life ---- */

/* Gives a client (wa_client_free); nothing happens until wa_client_open. Copies @config and @ops,
 * whose pointers stay borrowed. */
struct wa_client *wa_client_new(const struct wa_client_config *config,
                                const struct wa_client_ops *ops, void *ctx);
/* Requests that wait are dropped without a call. From inside an event or a reply the memory goes
 * when the function that caused it returns. */
void wa_client_free(struct wa_client **client);

void wa_client_open(struct wa_client *client, int64_t now_ms, int64_t wall_ms); /* socket is open */
void wa_client_feed(struct wa_client *client, struct bytes in, int64_t now_ms);
void wa_client_tick(struct wa_client *client, int64_t now_ms); /* the deadline has come */
void wa_client_socket_closed(struct wa_client *client);        /* ends it with SOCKET */

int64_t wa_client_deadline(const struct wa_client *client); /* INT64_MAX: none */

enum wa_phase {
    WA_PHASE_NEW,
    WA_PHASE_HANDSHAKE,
    WA_PHASE_OPEN, /* encrypted; the server has not said yet what we are */
    WA_PHASE_PAIRING,
    WA_PHASE_PAIRED,
    WA_PHASE_SETTLING,
    WA_PHASE_READY,
    WA_PHASE_ENDED
};
enum wa_phase wa_client_phase(const struct wa_client *client);

/* ---- answers to events ---- */

/* After WA_EVENT_PAIRED: the credentials are kept; tell the server. -ERR_CLOSED: not waiting. */
NODISCARD int wa_client_confirm_pairing(struct wa_client *client, int64_t now_ms, struct err *err);
/* Instead: the phone is not welcome (in use by another session). The server hears an error. */
NODISCARD int wa_client_refuse_pairing(struct wa_client *client, struct err *err);
/* After WA_EVENT_PREKEYS_WANTED while settling: keys were uploaded, or will not be. Later or twice:
 * nothing happens. */
void wa_client_proceed(struct wa_client *client, int64_t now_ms);

/* While pairing (after the first WA_EVENT_QR): ask for a code to type into the phone with that
 * number, digits only; an earlier one is void. WA_EVENT_PAIR_CODE or _REFUSED follows. Takes some
 * 50 ms, and as much again when the code was typed in. -ERR_INVALID: not a number; -ERR_CLOSED: not
 * pairing; -ERR_LIMIT. */
NODISCARD int wa_client_request_code(struct wa_client *client, const char *phone, int64_t now_ms,
                                     struct err *err);

/* ---- sending: -ERR_CLOSED when not connected; -ERR_INVALID, -ERR_LIMIT: the node ---- */

NODISCARD int wa_client_send(struct wa_client *client, const struct wa_node *node, struct err *err);
/* The same for bytes that wa_node_encode made earlier. */
NODISCARD int wa_client_send_packed(struct wa_client *client, struct bytes packed, struct err *err);
/* Ack a stanza (its head is enough: wa_node_copy_head). @error: an enum wa_nack. */
NODISCARD int wa_client_ack(struct wa_client *client, const struct wa_node *stanza, int error,
                            struct err *err);

/* The answer to a request, once:
 *   0              @reply is the result
 *   -ERR_REFUSED   @reply is an error with @code (0: it gave none)
 *   -ERR_TIMEOUT, -ERR_CLOSED   nothing came; it may have happened or not; @reply is NULL */
typedef void wa_client_reply_cb(void *ctx, int rc, int code, const struct wa_node *reply);

/* Send an iq; its id is set here. @cb runs after this returned, unless it fails or the client is
 * freed. -ERR_LIMIT: WA_CLIENT_REQUESTS_MAX are waiting. */
NODISCARD int wa_client_request(struct wa_client *client, struct wa_node *iq, int64_t now_ms,
                                wa_client_reply_cb *cb, void *ctx, struct err *err);

#endif
