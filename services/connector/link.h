/* link: the connection of one account: its socket and the WhatsApp client on it. What it sees goes
 * to the account as observations and to the mailbox as stanzas; it decides nothing.
 *
 *     link_open -> connecting -> pairing or login -> ready -> (unlinking) -> gone
 *                                        |- muted while the partition may be another's: nothing
 *                                        |  is read, and what was sealed waits
 *                                        `- full while more has come than is handled: nothing is
 *                                           read
 */
#ifndef CONNECTOR_LINK_H
#define CONNECTOR_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "connector/credentials.h"
#include "loop/loop.h"
#include "loop/loop_backoff.h"
#include "wa/wa_client.h"
#include "ws/ws.h"

struct account;
struct arena;
struct connector;
struct sigstore_prekey;
struct turn;
struct wa_node;

enum {
    LINK_HELD_MAX = 64,             /* sealed frames that wait while muted; more end it */
    LINK_UNLINK_MS = 3000,          /* for WhatsApp's answer to unlinking the device */
    LINK_UNLINK_CONNECT_MS = 20000, /* for that, when it has to connect first */
};

enum link_pairing { LINK_PAIRING_NONE, LINK_PAIRING_ASKED, LINK_PAIRING_YES, LINK_PAIRING_NO };

enum link_unlinking {
    LINK_STAYS,
    LINK_UNLINKS_SOON, /* when it is ready */
    LINK_UNLINKS       /* WhatsApp was asked to remove the device */
};

/* A frame that was sealed while muted: its number in the stream is used, so it must go out. */
struct link_held {
    struct link_held *next;
    struct buf frame;
};

enum link_prekeys_state {
    LINK_PREKEYS_NONE,
    LINK_PREKEYS_MAKING, /* on a thread */
    LINK_PREKEYS_MADE,   /* to be kept in the next turn */
    LINK_PREKEYS_STAGED, /* in the open turn */
    LINK_PREKEYS_KEPT,   /* committed: to be uploaded until the server has them */
};

/* One-time keys on their way to the server; one lot at a time. */
struct link_prekeys {
    enum link_prekeys_state state;
    size_t n;
    struct sigstore_prekey *keys; /* from MADE on */
    struct loop_timer again;      /* KEPT: the upload failed, and is looked at once more */
    struct loop_backoff backoff;
};

struct link {
    struct account *account;
    struct ws *ws;
    struct wa_client *client;
    struct loop_timer timer;   /* of the client's deadline */
    struct credentials *fresh; /* of an account that is not linked */
    struct wa_creds *paired;   /* as the phone completed them; NULL before */
    enum link_pairing pairing; /* what to tell the server after the commit */
    bool is_muted;             /* the partition may be gone: nothing in or out */
    bool is_full;              /* nothing in, until what has come is handled */
    struct link_held *held;
    size_t n_held;
    struct loop_timer overflow; /* runs: more was sealed than is held, so it is about to end */
    bool is_only_unlinking;     /* it was opened for that: nothing is observed */
    enum link_unlinking unlinking;
    struct loop_timer unlink_timer;
    struct link_prekeys prekeys;
};

/* ---- life ---- */

/* A new connection. Nothing when there is one; later when the partition is not ours at the moment,
 * or when the present connection is only there to unlink the device. */
void link_open(struct account *account);
void link_close(struct account *account); /* at once; nothing is observed */
/* The connection is no good any more: it ends, and the account sees that. */
void link_lose(struct account *account, const char *why);
void link_mute(struct account *account);
void link_unmute(struct account *account);
/* Is there room for what comes in? Without it nothing is read. Nothing without a connection. */
void link_listen(struct account *account, bool has_room);

/* Remove the device at WhatsApp, connecting first if need be. How it ended is observed. */
void link_unlink(struct account *account);

/* Begin a websocket to WhatsApp; as ws_connect. */
NODISCARD int link_dial(struct connector *connector, const struct ws_handlers *handlers, void *ctx,
                        struct ws **out, struct err *err);
/* How a client of @device logs in; borrows both. */
void link_client_config(struct connector *connector, const struct wa_creds *device,
                        struct wa_client_config *out);
/* What asks WhatsApp to remove @device. */
struct wa_node *link_unlink_iq(struct arena *arena, const struct wa_creds *device);

/* ---- use ---- */

bool link_is_ready(const struct account *account); /* logged in, not muted, not unlinking */

/* Has something come that was not read yet? Then it is too early to miss an answer. */
bool link_has_unread(const struct account *account);

/* Send bytes that wa_node_encode made. Errors end the connection by themselves. */
void link_send_packed(struct account *account, struct bytes packed);

/* Send an iq and hear of its answer; @fn also runs when it cannot be sent, then before this
 * returns: a caller is to have noted that it has asked. It does not run when the connection is
 * closed by us.
 */
void link_request(struct account *account, struct wa_node *iq, wa_client_reply_cb *fn, void *ctx);

/* In a turn: stage prekeys that were made. After its commit: upload them, answer a pairing. */
void link_run(struct turn *turn, struct account *account);
void link_committed(struct account *account);

/* ---- link_events.c, link_unlink.c ---- */

extern const struct wa_client_ops link_client_ops;

/* It is over: the account goes offline and hears why. @code 0: none. Borrows @detail. */
void link_ended(struct link *link, enum wa_end end, int code, const char *detail);
void link_arm(struct link *link);          /* the timer of the client's deadline */
void link_unlink_start(struct link *link); /* now, or as soon as it is ready */
void link_unlink_ready(struct link *link); /* it is */
/* It ended while unlinking; true when that was all it was for. */
bool link_unlink_ended(struct link *link, enum wa_end end);
void link_set_ws(struct account *account, const char *ws);

#endif
