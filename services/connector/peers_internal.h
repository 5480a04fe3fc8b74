/* peers_internal: what peers.c and peers_ask.c share. */
#ifndef CONNECTOR_PEERS_INTERNAL_H
#define CONNECTOR_PEERS_INTERNAL_H

#include "base/map.h"
#include "connector/peers.h"
#include "loop/loop.h"

enum { PEERS_LEARN_MAX = 128 }; /* pairs of number and LID that wait for a turn */

struct peer_entry {
    char key[WA_JID_TEXT_MAX];
    struct peer peer;
    bool is_wanted; /* a row waits for it */
};

struct peer_pair {
    struct wa_jid pn;
    struct wa_jid lid;
};

/* The users of one round of questions: device lists, then records, then bundles. */
struct peers_batch {
    size_t n;
    struct wa_jid users[PEERS_AHEAD_MAX + 1]; /* and our own */
};

struct peers {
    struct account *account;
    struct map known;          /* peer_entry by key, the one known longest first */
    struct peers_batch *batch; /* under way, or NULL */
    struct loop_timer retry;
    size_t n_learnt;
    struct peer_pair *learnt;
};

struct peer_entry *peers_entry(struct peers *peers, const struct wa_jid *user); /* or NULL */
void peers_batch_drop(struct peers *peers);

#endif
