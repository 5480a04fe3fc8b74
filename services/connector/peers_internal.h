/* peers_internal: what peers.c and peers_ask.c share. */
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
    struct loop_timer retry;
};

struct peer_entry *peers_entry(struct peers *peers, const struct wa_jid *user); /* or NULL */
struct peer_entry *peers_add(struct peers *peers, const struct wa_jid *user);   /* or the old one */
void peers_batch_drop(struct peers *peers);

#endif
