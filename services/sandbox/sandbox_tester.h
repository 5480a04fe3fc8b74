/* sandbox_tester: a small companion for tests: the client engine and a Signal store, on a wire that
 * is memory and a clock that is told. It does the least that a client must, and can be told to do
 * wrong what a server must notice. */
#ifndef SANDBOX_SANDBOX_TESTER_H
#define SANDBOX_SANDBOX_TESTER_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "sandbox/sandbox_world.h"
#include "sigstore/sigstore.h"
#include "wa/wa_client.h"
#include "wa/wa_creds.h"
#include "wa/wa_node.h"

enum { TESTER_SEEN_MAX = 4096, TESTER_START_MS = 1000, TESTER_PREKEYS = 20 };

/* A stanza that it got: kept whole, and what it said. */
struct tester_seen {
    struct wa_node *node;
    char *text; /* of a message that decrypted; NULL */
};

/* What to do wrong in the next message; ciphertexts only where they are for the recipient. */
struct tester_wrong {
    bool left_out;          /* leave the first companion out */
    bool unknown_device;    /* one for a device that never was, too */
    bool repeated_device;   /* two for the first device */
    bool no_identity;       /* no device-identity beside a pkmsg */
    bool not_wrapped;       /* own devices get the message itself */
    bool wrapped;           /* the recipient gets it as an own copy */
    bool bad_padding;       /* the padding's bytes differ */
    bool no_message;        /* what is in the padding is no message */
    bool unknown_prekey;    /* begin the session with a key that nobody offered */
    bool not_authentic;     /* the last byte is changed */
    const char *session_of; /* sealed in the session with this number's phone */
    bool same_bytes;        /* the ciphertexts of the message before, under a new id */
    const char *id;         /* this message id; NULL: a new one */
};

struct tester {
    struct sandbox_world *world;
    struct sigstore *store;
    struct sigstore_account *signal;
    struct wa_creds creds;
    struct wa_client *client;
    struct sandbox_conn *conn;
    int64_t now_ms;
    uint8_t root[CRYPTO_KEY];
    struct arena arena; /* of all that was seen; ends with the tester */

    struct buf *to_world; /* messages on their way */
    size_t n_to_world;
    struct buf *to_client;
    size_t n_to_client;
    uint64_t n_bytes; /* carried so far */
    bool splits;      /* messages arrive in two parts */
    bool was_closed;  /* by the world */
    bool will_cut;    /* the socket goes behind bytes_left more bytes, both ways together */
    size_t bytes_left;

    char qr[SANDBOX_QR_MAX];
    enum wa_end ended; /* meaningful when has_ended */
    bool has_ended;
    bool is_ready;
    bool leaves_unreadable; /* a message that cannot be read fails no test */
    bool never_acks;
    bool never_uploads;
    bool sends_receipts; /* of delivery, for what it decrypts */
    unsigned n_prekeys;  /* that it uploads at once; 0: TESTER_PREKEYS */
    unsigned fail;       /* the next so many messages do not decrypt and are asked for again */
    unsigned n_asked;    /* how many it asked for again */
    unsigned n_top_ups;  /* how often it was told that few prekeys are left */
    struct tester_seen seen[TESTER_SEEN_MAX];
    size_t n_seen;
    size_t n_reread; /* messages that decrypted though their id had been read */
    size_t n_acks;
    int last_ack_error;
    struct wa_node *reply; /* to the last request; NULL: an error, or none */
    size_t n_replies;      /* to all requests */
    int reply_code;        /* of the last one; 0: a result */
    struct tester_wrong wrong;
    struct wa_node *last_sent; /* the last message */
    unsigned n_ids;

    /* who wants to know more; NULL for none */
    void (*on_ack)(void *ctx, const struct wa_node *ack);
    void (*on_cut)(void *ctx, enum wa_phase phase, bool to_world); /* by will_cut */
    void *ctx;
};

void tester_init(struct tester *tester, struct sandbox_world *world);
void tester_done(struct tester *tester);

void tester_connect(struct tester *tester); /* and run until it is quiet */
/* A socket on which nothing was said yet; the client engine knows nothing of it. */
void tester_open_raw(struct tester *tester);
bool tester_is_up(const struct tester *tester); /* logged in, and stanzas flow */
void tester_cut(struct tester *tester);         /* the socket is gone */
void tester_pump(struct tester *tester);        /* carry what is on its way, until nothing is */
void tester_pass(struct tester *tester, int64_t ms); /* time goes by for world and client */

/* Connect, be scanned by the phone of @account (NULL: a new one), log in. Gives the account. */
struct sandbox_account *tester_pair(struct tester *tester, struct sandbox_account *account);

/* Ask; tester->reply is the answer. */
void tester_request(struct tester *tester, struct wa_node *iq);
/* Write @text to @number as a client does: usync, bundles, ciphertexts. Gives the id. */
const char *tester_send(struct tester *tester, const char *number, const char *text);
/* The same without sending it: what a client keeps, to send and to send again. In the arena. NULL:
 * the connection went while it asked for devices and keys. */
struct wa_node *tester_make(struct tester *tester, const char *number, const char *text);
/* The same for one device alone, as answer to its retry receipt @retry. */
struct wa_node *tester_make_again(struct tester *tester, const struct wa_node *retry,
                                  const char *text);
void tester_send_again(struct tester *tester, const struct wa_node *retry, const char *text);
void tester_send_node(struct tester *tester, const struct wa_node *node); /* anything */
void tester_send_raw(struct tester *tester, struct bytes bytes); /* as they are, on the socket */

/* The name under which the session with @jid is kept. */
struct sigstore_addr tester_addr(const struct tester *tester, const struct wa_jid *jid);

/* How many of what it got have @tag, and @type where that is not NULL ("": no type). */
size_t tester_count(const struct tester *tester, const char *tag, const char *type);
/* The last one of those; NULL: none. */
const struct tester_seen *tester_last(const struct tester *tester, const char *tag,
                                      const char *type);

#endif
