/* sandbox_world: a WhatsApp server with virtual phones, without I/O: bytes and a time in; bytes,
 * closes and a next deadline out. One thread. main.c puts it on sockets; a test runs it against the
 * client engine in one process with a clock of its own.
 *
 *     sandbox_world_new            sandbox_conn_open  <- a client connected
 *     sandbox_world_phones         sandbox_conn_receive <- one websocket message
 *     sandbox_world_scan           sandbox_wire.send  -> one websocket message
 *     sandbox_world_advance  <- time passed; sandbox_world_deadline says when at the latest
 */
#ifndef SANDBOX_SANDBOX_WORLD_H
#define SANDBOX_SANDBOX_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "sandbox/sandbox_ledger.h"

struct err;
struct sandbox_account;
struct sandbox_conn;
struct sandbox_world;

enum {
    SANDBOX_PHONES_MAX = 200000,
    SANDBOX_DEVICES_MAX = 32,     /* companions of one account */
    SANDBOX_QUEUE_MAX = 50000,    /* stanzas waiting for one device; then the oldest goes */
    SANDBOX_PREKEYS_MAX = 5000,   /* one-time keys kept for one device */
    SANDBOX_OFFERED_MAX = 20000,  /* ... and remembered, to know their ids again */
    SANDBOX_PREKEYS_LOW = 5,      /* fewer left: the device is told */
    SANDBOX_SENT_MAX = 200000,    /* message ids of one device that are remembered */
    SANDBOX_PENDING_MAX = 10000,  /* things that one phone still has to do */
    SANDBOX_REMEMBERED_MAX = 512, /* messages that a phone can send again */
    SANDBOX_NAME_MAX = 64,        /* bytes of a push name with its NUL */
    SANDBOX_REPLY_MAX = 1024,
    SANDBOX_QR_MAX = 1024,
    SANDBOX_REFS = 6,
    SANDBOX_LAST_WORD_MS = 5000, /* for a client to close after 515, replaced or failure */
    SANDBOX_PARTING_MS = 1000, /* for one that removed itself; whatsmeow trips over a faster word */
    SANDBOX_HANDSHAKE_MS = 20000,
    SANDBOX_PAIRING_MS = 180000, /* an unpaired connection is closed after so long */
    SANDBOX_SILENCE_MS = 180000, /* so is one that says nothing, not even a ping */
    SANDBOX_ACK_GRACE_MS = 60000
};

struct sandbox_options {
    uint8_t
        seed[CRYPTO_KEY]; /* the keys of server and phones come from it; a secret in name only */
    int64_t now_ms;       /* unix time */
    int64_t ack_grace_ms; /* 0: SANDBOX_ACK_GRACE_MS */
};

/* Borrows @options for the call. Gives *@out (sandbox_world_free). -ERR_EXTERNAL, -ERR_CRYPTO: a
 * library does not work. */
NODISCARD int sandbox_world_new(const struct sandbox_options *options, struct sandbox_world **out,
                                struct err *err);
/* Connections that are still open are forgotten without a word. */
void sandbox_world_free(struct sandbox_world **world);

int64_t sandbox_world_deadline(const struct sandbox_world *world); /* unix ms; INT64_MAX: none */
/* The clock stands at @now_ms (never back), whatever is due then. */
void sandbox_world_set_clock(struct sandbox_world *world, int64_t now_ms);
/* The same, and what is due is done. */
void sandbox_world_advance(struct sandbox_world *world, int64_t now_ms);
int64_t sandbox_world_now(const struct sandbox_world *world);

/* The public key that clients must take for the root of the server's certificates. */
void sandbox_world_root_key(const struct sandbox_world *world, uint8_t out[CRYPTO_KEY]);
struct sandbox_ledger *sandbox_world_ledger(struct sandbox_world *world);

/* ---- connections ---- */

/* How the world reaches a client. Called from within the functions below and from advance; must not
 * call back into the world. */
struct sandbox_wire {
    void (*send)(void *ctx, struct bytes message); /* one websocket message; borrowed */
    void (*close)(void *ctx); /* no more after this; sandbox_conn_gone is not needed then */
};

/* A client connected. Borrows @wire and @ctx until close was called or sandbox_conn_gone. */
struct sandbox_conn *sandbox_conn_open(struct sandbox_world *world, const struct sandbox_wire *wire,
                                       void *ctx);
void sandbox_conn_receive(struct sandbox_conn *conn, struct bytes message);
/* The client is gone. @what: NULL, or the websocket rule that it broke. */
void sandbox_conn_gone(struct sandbox_conn *conn, const char *what);

/* ---- phones ---- */

enum sandbox_reply {
    SANDBOX_REPLY_NONE,
    SANDBOX_REPLY_TEXT, /* `reply_text` to each message */
    SANDBOX_REPLY_ECHO  /* what was said */
};

enum sandbox_form {
    SANDBOX_FORM_AUTO, /* as the other wrote to it; else by LID */
    SANDBOX_FORM_PN,
    SANDBOX_FORM_LID
};

struct sandbox_behaviour {
    int64_t delay_ms;      /* from a message to its delivery receipt */
    int64_t read_delay_ms; /* from there to the read receipt; negative: never read */
    enum sandbox_reply reply;
    int64_t reply_delay_ms; /* from the delivery receipt to the reply */
    char reply_text[SANDBOX_REPLY_MAX];
    uint32_t fail;   /* the next so many messages do not decrypt and are asked for again */
    bool keyless;    /* ... always without keys of its own: whoever answers has to fetch them */
    uint32_t damage; /* the next so many ciphertexts for companions of others do not authenticate */
    enum sandbox_form form; /* how it and whom it writes to are addressed */
    bool is_hidden;         /* nobody is told which number and LID belong together */
    uint32_t unlisted;      /* the next so many times, the server does not tell its devices */
    bool unlisted_all;      /* ... nor those of anybody else in the same query */
    bool holds_bundles;     /* answers with a bundle of it wait until this is false */
    uint32_t refuse_keys;   /* the next so many uploads of its companions' prekeys are refused */
    uint32_t refuse_logins; /* with this code its companions' logins are; 0: they are not */
};

/* Make @n phones with free numbers after one another, or those of @numbers (digits, 7 to 15) where
 * it is not NULL; existing ones are kept. All get @behaviour (NULL: as they are, or silent). Gives
 * the accounts in @out (room for @n; may be NULL).
 *   -ERR_INVALID  not a number          -ERR_LIMIT  over SANDBOX_PHONES_MAX */
NODISCARD int sandbox_world_phones(struct sandbox_world *world, size_t n,
                                   const char *const *numbers,
                                   const struct sandbox_behaviour *behaviour,
                                   struct sandbox_account **out, struct err *err);

struct sandbox_account *sandbox_world_account(const struct sandbox_world *world,
                                              const char *number); /* NULL: none */
/* All in the order in which they were made: start with *@at 0; NULL after the last. */
struct sandbox_account *sandbox_world_next(const struct sandbox_world *world, size_t *at);

const char *sandbox_account_number(const struct sandbox_account *account);
const char *sandbox_account_lid(const struct sandbox_account *account);
const char *sandbox_account_name(const struct sandbox_account *account);
void sandbox_account_rename(struct sandbox_account *account, const char *name);
/* To change members of it that nothing waits for. */
struct sandbox_behaviour *sandbox_account_behaviour(struct sandbox_account *account);
/* From now on @behaviour; answers that waited go out when it says so. */
void sandbox_account_behave(struct sandbox_account *account,
                            const struct sandbox_behaviour *behaviour);
const struct sandbox_behaviour *sandbox_account_behaviour_of(const struct sandbox_account *account);

/* Offline: what comes is queued. Online again: the queue is worked off. */
void sandbox_account_set_online(struct sandbox_account *account, bool online);
bool sandbox_account_is_online(const struct sandbox_account *account);

/* The phone writes @text to @to (a number). Gives the message id in @id.
 *   -ERR_NOT_FOUND  there is no such account      -ERR_INVALID  empty or not UTF-8 */
NODISCARD int sandbox_account_send(struct sandbox_account *account, const char *to,
                                   const char *text, char id[SANDBOX_ID_MAX], struct err *err);

/* The phone asks for message @id again, as its retry receipt number @count, whatever it made of it.
 *   -ERR_NOT_FOUND  nobody here has seen such a message of a companion */
NODISCARD int sandbox_account_ask(struct sandbox_account *account, const char *id, int count,
                                  struct err *err);

/* Bundles of its own that the phone has given out, and answers that it keeps back. */
size_t sandbox_account_bundles(const struct sandbox_account *account);
size_t sandbox_account_held(const struct sandbox_account *account);

/* The server has lost the one-time keys of companion @device, and says so. -ERR_NOT_FOUND. */
NODISCARD int sandbox_account_lose_keys(struct sandbox_account *account, unsigned device,
                                        struct err *err);

/* What became of a message that the phone wrote. False: it wrote none with @id, or long ago. */
struct sandbox_written_view {
    const char *to;
    uint32_t delivered; /* devices that said so */
    uint32_t read;
};
bool sandbox_account_written(const struct sandbox_account *account, const char *id,
                             struct sandbox_written_view *out);

/* The phone of @account (NULL: a new one) scans the QR code whose text is @qr. Gives the account.
 *   -ERR_INVALID    not a QR code of ours
 *   -ERR_NOT_FOUND  nobody shows it (any more)
 *   -ERR_REFUSED    the keys in it are not those of the client that shows it
 *   -ERR_LIMIT      over SANDBOX_DEVICES_MAX companions */
NODISCARD int sandbox_world_scan(struct sandbox_world *world, const char *qr,
                                 struct sandbox_account *account, struct sandbox_account **out,
                                 struct err *err);

/* The phone removes its companion @device, as from its list of linked devices. -ERR_NOT_FOUND. */
NODISCARD int sandbox_account_unlink(struct sandbox_account *account, unsigned device,
                                     struct err *err);

/* ---- faults (sandbox_fault.c) ---- */

/* Keep back the acks of messages to @account from now on, or let go of those that wait: each goes
 * out on the connection that its message came on, if that is still there. */
void sandbox_account_hold_acks(struct sandbox_account *account, bool hold);

/* The connection of companion @device is told that another one took its place. -ERR_NOT_FOUND: it
 * has none. */
NODISCARD int sandbox_account_replace(struct sandbox_account *account, unsigned device,
                                      struct err *err);

/* ---- a look inside, for the admin API and tests ---- */

struct sandbox_device_view {
    const char *number;
    unsigned device;
    bool is_connected;
    bool is_active; /* logged in and no longer passive */
    uint64_t conn;  /* serial of its connection */
    size_t queued;  /* stanzas without an ack */
    size_t prekeys;
    uint64_t violations;
};

/* The companions of @account, in order: start with *@at 0. False after the last. */
bool sandbox_account_device(const struct sandbox_account *account, size_t *at,
                            struct sandbox_device_view *out);

struct sandbox_totals {
    size_t phones;
    size_t companions;
    size_t connections;
    size_t queued;
    uint64_t messages; /* accepted from clients and phones, without repeats */
    uint64_t repeats;
    uint64_t receipts;
    uint64_t retries; /* retry receipts of phones and clients */
    uint64_t usyncs;  /* queries of clients for devices */
    uint64_t bundles; /* queries of clients for prekey bundles, however many in one */
    uint64_t dropped; /* by SANDBOX_QUEUE_MAX and SANDBOX_PENDING_MAX */
};

void sandbox_world_totals(const struct sandbox_world *world, struct sandbox_totals *out);

#endif
