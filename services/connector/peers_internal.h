/* peers_internal: what peers.c, peers_ask.c and peers_keys.c share. */
#ifndef CONNECTOR_PEERS_INTERNAL_H
#define CONNECTOR_PEERS_INTERNAL_H

#include "base/map.h"
#include "connector/peers.h"
#include "loop/loop.h"

struct peer_entry {
    struct peer_entry *prev; /* the one used longest ago first (utlist) */
    struct peer_entry *next;
    char key[WA_JID_TEXT_MAX];
    struct peer peer;
};

/* The users of one round of questions. */
struct peers_batch {
    uint64_t tag; /* answers to an earlier round have another one */
    size_t n;
    struct wa_jid users[PEERS_AHEAD_MAX + 1]; /* and our own */
};

struct peers {
    struct account *account;
    struct map known; /* peer_entry by key */
    struct peer_entry *entries;
    struct peers_batch *batch; /* under way, or NULL */
    struct loop_timer retry;   /* after a round that failed */
    bool was_alone;            /* the last round was for one that is to go alone */
    struct loop_timer again;   /* until the next of those that were refused may be asked for */
};

struct peer_entry *peers_entry(struct peers *peers, const struct wa_jid *user); /* or NULL */
struct peer_entry *peers_add(struct peers *peers, const struct wa_jid *user);   /* or the old one */

/* ---- a round of questions ---- */

struct peers *peers_asking(struct account *account); /* one is under way; else NULL */
struct peers *peers_asking_tag(struct account *account, uint64_t tag); /* ... that one */
/* User @i of the round; NULL: nothing more is asked about it. */
struct peer *peers_asked(struct peers *peers, size_t i);
bool peers_is_own(const struct peers *peers, const struct peer *peer);
void peers_batch_drop(struct peers *peers);

/* The round failed: its users are asked for again after a while. */
void peers_give_up(struct peers *peers, const char *what, int rc);

/* Devices and LIDs are known: the rest of the round. */
void peers_ask_records(struct peers *peers);

/* ---- refusals ---- */

/* Is it of no use to ask once more in the same way? @rc, @code: of a request's answer. */
bool peers_is_final(int rc, int code);
void peers_log_refused(const struct peers *peers, const char *what, int code);

/* WhatsApp refused to say what @peer is being asked for. True: so often that it is to be believed;
 * else it is asked for again later. */
bool peers_refuse(const struct peers *peers, struct peer *peer);

#endif
