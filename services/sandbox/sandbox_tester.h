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

enum { TESTER_SEEN_MAX = 4096, TESTER_START_MS = 1000 };

/* A stanza that it got: kept whole, and what it said. */
struct tester_seen {
    struct wa_node *node;
    char *text; /* of a message that decrypted; NULL */
};

/* What to do wrong in the next message. */
struct tester_wrong {
    bool left_out;    /* leave the first companion out */
    bool bad_padding; /* the padding's bytes differ */
    bool no_identity; /* no device-identity beside a pkmsg */
    bool not_wrapped; /* own devices get the message itself */
    bool same_bytes;  /* the ciphertexts of the message before, under a new id */
    const char *id;   /* this message id; NULL: a new one */
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
    bool was_closed; /* by the world */
    bool will_cut;   /* the socket goes when bytes_left are used up, both ways together */
    size_t bytes_left;

    char qr[SANDBOX_QR_MAX];
    enum wa_end ended; /* meaningful when has_ended */
    bool has_ended;
    bool is_ready;
    bool never_acks;
    bool never_uploads;
    struct tester_seen seen[TESTER_SEEN_MAX];
    size_t n_seen;
    size_t n_acks;
    int last_ack_error;
    struct wa_node *reply; /* to the last request; NULL: an error */
    struct tester_wrong wrong;
    struct wa_node *last_sent; /* the last message */
    unsigned n_ids;
};

void tester_init(struct tester *tester, struct sandbox_world *world);
void tester_done(struct tester *tester);

void tester_connect(struct tester *tester); /* and run until it is quiet */
void tester_cut(struct tester *tester);     /* the socket is gone */
void tester_pump(struct tester *tester);    /* carry what is on its way, until nothing is */
void tester_pass(struct tester *tester, int64_t ms); /* time goes by for world and client */

/* Connect, be scanned by the phone of @account (NULL: a new one), log in. Gives the account. */
struct sandbox_account *tester_pair(struct tester *tester, struct sandbox_account *account);

/* Ask; tester->reply is the answer. */
void tester_request(struct tester *tester, struct wa_node *iq);
/* Write @text to @number as a client does: usync, bundles, ciphertexts. Gives the id. */
const char *tester_send(struct tester *tester, const char *number, const char *text);
/* The same without sending it: what a client keeps, to send and to send again. In the arena. */
struct wa_node *tester_make(struct tester *tester, const char *number, const char *text);
/* The same for the devices of @asker alone, as answer to its retry receipt @node. */
void tester_send_again(struct tester *tester, const struct wa_node *retry, const char *text);
void tester_send_node(struct tester *tester, const struct wa_node *node); /* anything */

/* How many of what it got have @tag, and @type where that is not NULL ("": no type). */
size_t tester_count(const struct tester *tester, const char *tag, const char *type);
/* The last one of those; NULL: none. */
const struct tester_seen *tester_last(const struct tester *tester, const char *tag,
                                      const char *type);

#endif
