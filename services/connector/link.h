/* link: the connection of one account: its socket and the WhatsApp client on it. What it sees goes
 * to the account as observations and to the mailbox as stanzas; it decides nothing. */
#ifndef CONNECTOR_LINK_H
#define CONNECTOR_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "connector/credentials.h"
#include "loop/loop.h"
#include "wa/wa_client.h"
#include "ws/ws.h"

struct account;
struct turn;
struct wa_node;

enum link_pairing { LINK_PAIRING_NONE, LINK_PAIRING_ASKED, LINK_PAIRING_YES, LINK_PAIRING_NO };

struct link {
    struct account *account;
    struct ws *ws;
    struct wa_client *client;
    struct loop_timer timer;         /* of the client's deadline, and of closing */
    struct credentials *fresh;       /* of an account that is not linked */
    struct wa_creds paired;          /* as the phone completed them */
    enum link_pairing pairing;       /* what to tell the server after the commit */
    bool is_muted;                   /* the partition may be gone: nothing in or out */
    bool drops_credentials;          /* they go when the connection has */
    bool is_unlinking;               /* closes when the server has answered, or soon */
    size_t prekeys_wanted;           /* keys to make, then to upload */
    struct sigstore_prekey *prekeys; /* made, and not yet uploaded */
    size_t n_prekeys;
    bool prekeys_kept; /* they are committed: upload */
};

void link_open(struct account *account);   /* a new connection; nothing when there is one */
void link_close(struct account *account);  /* at once; nothing is observed */
void link_unlink(struct account *account); /* removes the device at WhatsApp, then closes */
/* The connection is no good any more: it ends, and the account sees that. */
void link_lose(struct account *account, const char *why);
void link_mute(struct account *account);
void link_unmute(struct account *account);

bool link_is_ready(const struct account *account); /* logged in, not muted */

/* Send a node, or bytes that wa_node_encode made. Errors end the connection by themselves. */
void link_send(struct account *account, const struct wa_node *node);
void link_send_packed(struct account *account, struct bytes packed);

/* Send an iq and hear of its answer; @fn also runs when it cannot be sent. It does not run when the
 * connection is closed by us. */
void link_request(struct account *account, struct wa_node *iq, wa_client_reply_cb *fn, void *ctx);

/* In a turn: stage prekeys that were made. After its commit: upload them, answer a pairing. */
void link_run(struct turn *turn, struct account *account);
void link_committed(struct account *account);

#endif
