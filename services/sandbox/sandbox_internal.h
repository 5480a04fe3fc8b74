/* sandbox_internal: what the files of the world share. Who calls whom:
 *
 *     conn -> pair, login, iq (keys, usync, appstate), message, receipt
 *     message, receipt -> route -> queue -> conn (companions) or phone (device 0)
 *     phone -> message, receipt: a phone is a client of the same server
 */
#ifndef SANDBOX_SANDBOX_INTERNAL_H
#define SANDBOX_SANDBOX_INTERNAL_H

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sandbox/sandbox_agenda.h"
#include "sandbox/sandbox_map.h"
#include "sandbox/sandbox_world.h"
#include "sigstore/sigstore.h"
#include "wa/wa_host.h"
#include "wa/wa_node.h"
#include "wa/wa_payload.h"
#include "wa/wa_prekeys.h"

enum { SANDBOX_LID_MAX = 16, SANDBOX_HASH = CRYPTO_SHA256, SANDBOX_COLLECTIONS = 5 };

struct sandbox_world {
    struct sandbox_options options;
    int64_t now_ms;
    struct sandbox_agenda agenda;
    struct sandbox_ledger ledger;
    struct sandbox_totals totals;
    struct arena arena; /* of the stanza being handled; reset when the world is left */
    unsigned depth;     /* of calls into the world, to know when it is left */
    uint64_t serial;    /* of connections */
    uint64_t stanza_serial;

    struct crypto_pair root;
    struct buf chain; /* certificates of the static key */
    struct wa_host_config server;
    struct sigstore *sigstore;

    struct sandbox_map by_number;
    struct sandbox_map by_lid;
    struct sandbox_account **accounts; /* in the order in which they were made */
    size_t n_accounts;
    size_t cap_accounts;
    uint64_t next_number;       /* the next free one to try */
    struct sandbox_conn *conns; /* open ones */
    struct sandbox_conn *gone;  /* to be freed when the world is left */
    struct sandbox_map by_ref;  /* connections by the refs of their QR codes */
    struct sandbox_held *held;  /* answers that wait, oldest first */
};

/* ---- accounts (sandbox_account.c) ---- */

/* A stanza that waits for its ack. */
struct sandbox_queued {
    struct sandbox_queued *next;
    struct buf packed; /* encoded */
    char *id;
    const char *class; /* its tag: a literal */
    struct wa_jid from;
    uint64_t conn;   /* serial of the connection it went out on last; 0: none yet */
    int64_t sent_ms; /* when */
    bool was_told;   /* its missing ack was counted */
};

struct sandbox_queue {
    struct sandbox_queued *first;
    struct sandbox_queued **last;
    size_t n;
    struct sandbox_due overdue; /* when the ack of the first sent one is missing */
};

/* Devices of one account as the last usync answer listed them: a bit each. */
struct sandbox_listed {
    uint8_t devices[32];
};

/* A message of a device, remembered to know it again. */
struct sandbox_remembered_id {
    uint8_t hash[SANDBOX_HASH]; /* of its ciphertexts */
    struct sandbox_remembered_id *next;
    char id[SANDBOX_ID_MAX];
};

/* One device: the phone (number 0) or a companion. */
struct sandbox_device {
    struct sandbox_account *account;
    uint16_t number;
    uint64_t violations;
    struct sandbox_queue queue;
    struct sandbox_map listed; /* number -> struct sandbox_listed: answers to its usyncs */
    struct sandbox_map sent;   /* message id -> struct sandbox_remembered_id */
    struct sandbox_map asked;  /* "id/number.device" that asked for it again -> anything */
    struct sandbox_remembered_id *sent_first; /* oldest first */
    struct sandbox_remembered_id **sent_last;

    /* companions only */
    struct sandbox_conn *conn; /* logged in; NULL: none */
    bool is_active;            /* its connection is no longer passive */
    bool was_greeted;          /* the phone gave it key share, history and push name */
    bool has_uploaded;         /* prekeys */
    bool was_told_low;         /* about them */
    uint32_t key_index;
    uint8_t noise[CRYPTO_KEY];
    struct wa_bundle own;      /* identity, registration id, signed prekey */
    struct wa_prekey *prekeys; /* oldest first */
    size_t n_prekeys;
    struct wa_prekey *offered; /* all that it ever uploaded, in the order of ids */
    size_t n_offered;
    struct buf identity; /* ADVSignedDeviceIdentity with all four fields */
    bool is_available;   /* said <presence type="available"> */
};

/* A patch as a companion wrote it, or the phone. */
struct sandbox_collection {
    struct buf *patches; /* version 1 first */
    size_t n;
};

struct sandbox_phone;

struct sandbox_account {
    struct sandbox_world *world;
    char number[SANDBOX_NUMBER_MAX];
    char lid[SANDBOX_LID_MAX];
    char name[SANDBOX_NAME_MAX];
    uint32_t raw_id;
    struct sandbox_device phone_device; /* device 0 */
    struct sandbox_device *companions[SANDBOX_DEVICES_MAX];
    size_t n_companions;
    uint16_t last_device; /* numbers are not used again */
    uint32_t last_key_index;
    int64_t list_changed_s;
    struct sandbox_collection collections[SANDBOX_COLLECTIONS];

    struct sandbox_behaviour behaviour;
    bool is_offline;
    bool holds_acks;             /* of messages to it */
    size_t one_time;             /* prekeys that the phone handed out */
    struct sandbox_phone *phone; /* what it does and remembers; made when first needed */
};

struct sandbox_account *sandbox_account_make(struct sandbox_world *world, const char *number);
void sandbox_account_free(struct sandbox_account *account);

/* The account of a PN or LID; NULL: none. */
struct sandbox_account *sandbox_account_of(const struct sandbox_world *world,
                                           const struct wa_jid *jid);
/* The device of a PN or LID; NULL: none (any more). */
struct sandbox_device *sandbox_device_of(const struct sandbox_world *world,
                                         const struct wa_jid *jid);
struct sandbox_device *sandbox_account_find(struct sandbox_account *account, uint16_t device);

/* The address of a device (or, with device 0, an account) on @server: PN or LID. */
struct wa_jid sandbox_account_jid(const struct sandbox_account *account, enum wa_server server,
                                  uint16_t device);
struct wa_jid sandbox_device_jid(const struct sandbox_device *device, enum wa_server server);
enum wa_server sandbox_other_server(enum wa_server server); /* PN <-> LID */

/* The Signal state of the phone, made when first needed. */
struct sigstore_account *sandbox_account_signal(struct sandbox_account *account);
const struct sigstore_self *sandbox_account_self(struct sandbox_account *account);

/* Append the signed list of the companions that are valid (an ADVSignedKeyIndexList). */
void sandbox_account_index_list(struct sandbox_account *account, struct buf *out);
/* The hash over all devices that notifications carry ("2:..."), on @server. */
void sandbox_account_device_hash(struct sandbox_account *account, enum wa_server server,
                                 char out[16]);

/* What the keys of the phone come from. */
void sandbox_account_seed(const struct sandbox_account *account, uint8_t out[CRYPTO_KEY]);
/* A new companion, without keys yet. */
struct sandbox_device *sandbox_device_add(struct sandbox_account *account, uint16_t number);

/* Take what a sender needs to write to @device; a one-time key is used up. False: it has none. */
bool sandbox_device_bundle(struct sandbox_device *device, struct wa_bundle *out);
void sandbox_device_drop(struct sandbox_device *device); /* a companion is no more */

/* ---- routing and queues (sandbox_queue.c) ---- */

/* Give @stanza to @device: now, when it is there, and again on later connections until it acks.
 * Only message, receipt and notification are queued; others go out now or never. */
void sandbox_route(struct sandbox_device *device, const struct wa_node *stanza);
void sandbox_queue_drop(struct sandbox_device *device); /* it is no more: nothing waits for it */

/* An `<ack>`, or a `<receipt>` for a message, of @device: what it is for waits no longer. */
void sandbox_queue_ack(struct sandbox_device *device, const struct wa_node *ack);
void sandbox_queue_receipt(struct sandbox_device *device, const struct wa_node *receipt);
/* All of it, oldest first: to a companion marked as offline and framed by `ib`s. */
void sandbox_queue_drain(struct sandbox_device *device);

/* ---- connections (sandbox_conn.c) ---- */

enum sandbox_phase {
    SANDBOX_HANDSHAKE,
    SANDBOX_PAIRING, /* a registration; QR codes are shown */
    SANDBOX_SIGNING, /* pair-success went out */
    SANDBOX_LOGGED_IN,
    SANDBOX_PARTING,   /* it removed itself; nothing it says counts */
    SANDBOX_LAST_WORD, /* the client is to close; nothing it says counts */
    SANDBOX_CLOSED
};

/* What a phone offered to a client that shows a QR code. */
struct sandbox_offer {
    struct sandbox_account *account;
    uint16_t device;
    uint32_t key_index;
    int64_t timestamp_s;
    char id[24]; /* of the iq that is to be answered */
};

struct sandbox_conn {
    struct sandbox_world *world;
    struct sandbox_conn *next;
    struct sandbox_conn *prev;
    const struct sandbox_wire *wire;
    void *wire_ctx;
    uint64_t serial;
    enum sandbox_phase phase;
    uint64_t violations;
    struct sandbox_due timeout;
    struct wa_host *server;
    uint8_t noise[CRYPTO_KEY];     /* the client's static key */
    struct sandbox_device *device; /* logged in as */

    /* pairing */
    struct wa_registration registration;
    char *refs[SANDBOX_REFS];
    struct sandbox_offer offer; /* account is NULL until a phone scanned */
};

void sandbox_conn_send(struct sandbox_conn *conn, const struct wa_node *node);
/* Let the client close by itself, and close when it does not. */
void sandbox_conn_last_word(struct sandbox_conn *conn);
void sandbox_conn_shut(struct sandbox_conn *conn); /* now */
/* Count what @conn, or the phone of @device, did. The connection goes on. */
void sandbox_violate(struct sandbox_conn *conn, enum sandbox_violation what, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void sandbox_violate_device(struct sandbox_device *device, enum sandbox_violation what,
                            const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- what clients ask (each in the file of its name) ---- */

/* A client that is nobody yet: QR codes, what it answers to them, the end of that. */
void sandbox_pair_start(struct sandbox_conn *conn, const struct wa_registration *registration);
void sandbox_pair_handle(struct sandbox_conn *conn, const struct wa_node *iq);
void sandbox_pair_stop(struct sandbox_conn *conn);

void sandbox_login(struct sandbox_conn *conn, const struct wa_payload *payload);
void sandbox_login_active(struct sandbox_conn *conn); /* what was queued may go out */
/* `<stream:error>` with @code (0: none) and `<conflict type=@conflict/>` (NULL: none), then it is
 * the client's to close. */
void sandbox_login_end(struct sandbox_conn *conn, int code, const char *conflict);
void sandbox_login_left(struct sandbox_conn *conn); /* the connection is over */
/* A companion removed itself and got its answer: it is to go, and is told so when it does not. */
void sandbox_login_part(struct sandbox_conn *conn);
void sandbox_usync_handle(struct sandbox_conn *conn, const struct wa_node *iq);
/* Presence and chat states: what others may see of them, now or never. */
void sandbox_presence_handle(struct sandbox_device *device, const struct wa_node *node);

void sandbox_appstate_handle(struct sandbox_conn *conn, const struct wa_node *iq);

/* The phone writes its push name into critical_block, readable with the key that it shares. */
void sandbox_appstate_push_name(struct sandbox_account *account);
void sandbox_appstate_done(struct sandbox_account *account);
enum { SANDBOX_APPSTATE_KEY_ID = 6 };
/* The key that the phone shares with its companions. */
void sandbox_appstate_key(const struct sandbox_account *account,
                          uint8_t id[SANDBOX_APPSTATE_KEY_ID], uint8_t key[CRYPTO_KEY]);

/* The devices of @account have changed: tell its other companions, and those who asked for them. */
struct sandbox_change {
    uint16_t device;
    uint32_t key_index;
    bool is_added; /* else removed */
};
void sandbox_notify_devices(struct sandbox_account *account, const struct sandbox_change *change);
void sandbox_notify_prekeys(struct sandbox_device *device); /* when few are left */
void sandbox_notify_appstate(struct sandbox_account *account, const char *collection,
                             uint64_t version, const struct sandbox_device *except);
/* @from trusts @to: whose companions get @token to show it. */
void sandbox_notify_token(struct sandbox_account *from, struct sandbox_account *to,
                          struct bytes token);

/* @sender's message or receipt goes to whom it is for; returns the ack for a client (in the world's
 * arena). */
struct wa_node *sandbox_message_handle(struct sandbox_device *sender, const struct wa_node *node);
struct wa_node *sandbox_receipt_handle(struct sandbox_device *sender, const struct wa_node *node);

/* @asker cannot decrypt message @id of @sender: the next copy for it alone is no repeat. */
void sandbox_message_asked(struct sandbox_device *sender, const char *id,
                           const struct sandbox_device *asker);

/* ---- phones (sandbox_phone*.c) ---- */

void sandbox_phone_take(struct sandbox_account *account, const struct wa_node *stanza); /* reads */
void sandbox_phone_greet(struct sandbox_device *companion); /* after its first login */
void sandbox_phone_free(struct sandbox_account *account);

/* ---- requests (sandbox_iq.c, sandbox_keys.c) ---- */

void sandbox_iq_handle(struct sandbox_conn *conn, const struct wa_node *iq);
void sandbox_iq_fail(struct sandbox_conn *conn, const struct wa_node *iq, int code,
                     const char *text);
void sandbox_keys_handle(struct sandbox_conn *conn, const struct wa_node *iq);

/* ---- faults that tests ask for (sandbox_fault.c) ---- */

/* Is @ack of the message @node, which came on @conn, to be kept back? Then it is. */
bool sandbox_fault_holds(struct sandbox_conn *conn, const struct wa_node *node,
                         const struct wa_node *ack);

/* Is this upload of prekeys by a companion of @account one of those that are to be refused? */
bool sandbox_fault_refuses_keys(struct sandbox_account *account);

/* ---- answers that are kept back (sandbox_held.c) ---- */

enum sandbox_held_kind { SANDBOX_HELD_BUNDLES, SANDBOX_HELD_ACK };

/* @answer for @conn waits until @account lets its kind go. */
void sandbox_held_put(struct sandbox_conn *conn, const struct sandbox_account *account,
                      enum sandbox_held_kind kind, const struct wa_node *answer);
void sandbox_held_release(struct sandbox_world *world, const struct sandbox_account *account,
                          enum sandbox_held_kind kind);
void sandbox_held_drop(struct sandbox_world *world, const struct sandbox_account *account);

/* ---- all files ---- */

/* Every entry into the world stands between these: the outermost leave resets the arena. */
void sandbox_enter(struct sandbox_world *world);
void sandbox_leave(struct sandbox_world *world);

int64_t sandbox_now_s(const struct sandbox_world *world);
/* A stanza id of the server: hex, never like those of clients. In the world's arena. */
const char *sandbox_stanza_id(struct sandbox_world *world);

#endif
