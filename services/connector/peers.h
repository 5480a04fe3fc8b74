/* peers: the devices of the recipients ahead, and the keys to begin sessions with them. Asked in
 * batches while earlier messages go out, so that a send does not wait for two round trips.
 *
 * For a row to be prepared its recipient must be known: which devices, which LID, and for each
 * device either a session or a bundle. What is known is kept for a while, bounded.
 *
 *     UNKNOWN --> devices (usync) --> LIDs (table) --> records (table) --> bundles --> READY
 *        ^           |                     ^                                  |
 *        |           v                     '-- LACKING <-- a record has left the cache
 *        '-- after a while -- REFUSED --> (too often) UNREACHABLE */
#ifndef CONNECTOR_PEERS_H
#define CONNECTOR_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sigstore/sigstore.h"
#include "wa/wa_jid.h"
#include "wa/wa_prekeys.h"

struct account;
struct peers;

enum {
    PEERS_AHEAD_MAX = 32,         /* recipients looked up at once */
    PEERS_KNOWN_MAX = 256,        /* users kept in memory */
    PEERS_DEVICES_MAX = 64,       /* devices of one user that are sent to */
    PEERS_FRESH_MS = 3600000,     /* a device list is asked again after that */
    PEERS_UNREACHABLE_MS = 60000, /* ... of somebody who had none */
    PEERS_RETRY_MS = 5000,        /* after a query that failed */
    PEERS_REFUSED_MS =
        5000,              /* after WhatsApp did not tell somebody's devices; then twice as long */
    PEERS_REFUSALS_MAX = 5 /* ... and so often in a row it is believed */
};

enum peer_state {
    PEER_UNKNOWN,    /* to be asked */
    PEER_LACKING,    /* devices are known, but not whether there are sessions with all of them */
    PEER_ASKED,      /* under way */
    PEER_READY,      /* devices known, each with a session or a bundle */
    PEER_REFUSED,    /* WhatsApp did not tell its devices: to be asked again at again_ms */
    PEER_UNREACHABLE /* not on WhatsApp, no device has keys, or (refusals) never told */
};

struct peer_device {
    struct wa_jid jid; /* in the form of the chat, for the wire */
    struct sigstore_addr addr;
    bool was_asked; /* in this round, for a bundle */
    bool has_bundle;
    struct wa_bundle bundle; /* begins a session when the message is prepared */
};

struct peer {
    struct wa_jid user; /* without device; phone number form */
    enum peer_state state;
    int64_t known_ms;  /* loop time of the device list */
    bool renews;       /* the identity may have changed: begin new sessions */
    unsigned refusals; /* in a row */
    int64_t again_ms;  /* REFUSED: loop time */
    bool goes_alone;   /* all that were asked for together were refused: it may be the cause */
    bool awaits_list;  /* ASKED: its device list is */
    bool is_stale;     /* the list is an older one, for a newer one was refused */
    size_t n_before;   /* devices of the list before that */
    size_t n;
    struct peer_device *devices; /* without our own device */
};

struct peers *peers_new(struct account *account);
void peers_free(struct peers **peers);

/* What is known of @user; NULL: nothing. Borrowed until the next call of any of these. */
const struct peer *peers_find(struct peers *peers, const struct wa_jid *user);

/* The sessions with @peer's devices begin in this turn; bundles are used up. */
void peers_used(struct peers *peers, const struct wa_jid *user);

/* A record was missing: look again which there are. */
void peers_lack(struct peers *peers, const struct wa_jid *user);

/* A device list has changed, or (@renews) an identity: ask again before the next message. */
void peers_forget(struct peers *peers, const struct wa_jid *user, bool renews);

/* Look up what the first rows in the queue are waiting for. After commits and answers. */
void peers_work(struct peers *peers);
void peers_offline(struct peers *peers); /* what was under way is asked again */

#endif
