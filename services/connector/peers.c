#include "connector/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers_internal.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "wa/wa_usync.h"

static const char *key_of(const struct wa_jid *user, char out[WA_JID_TEXT_MAX])
{
    struct wa_jid bare = wa_jid_bare(user);

    return wa_jid_format(&bare, out);
}

static void entry_free(struct peers *peers, struct peer_entry *entry)
{
    map_drop(&peers->known, entry->key);
    free(entry->peer.devices);
    free(entry);
}

struct peers *peers_new(struct account *account)
{
    struct peers *peers = mem_new0(sizeof(*peers));

    peers->account = account;
    return peers;
}

void peers_free(struct peers **peers)
{
    struct peers *gone = *peers;
    if (gone == NULL) {
        return;
    }
    for (struct map_entry *at = map_first(&gone->known), *next = NULL; at != NULL; at = next) {
        next = map_next(at);
        entry_free(gone, map_value(at));
    }
    loop_timer_stop(&gone->retry);
    peers_batch_drop(gone);
    free(gone->learnt);
    free(gone);
    *peers = NULL;
}

struct peer_entry *peers_entry(struct peers *peers, const struct wa_jid *user)
{
    char key[WA_JID_TEXT_MAX];

    return map_get(&peers->known, key_of(user, key));
}

/* Beyond PEERS_KNOWN_MAX the one known longest goes. */
static void make_room(struct peers *peers)
{
    if (map_count(&peers->known) < PEERS_KNOWN_MAX) {
        return;
    }
    for (struct map_entry *at = map_first(&peers->known); at != NULL; at = map_next(at)) {
        struct peer_entry *entry = map_value(at);

        if (entry->peer.state != PEER_ASKED && !entry->is_wanted) {
            entry_free(peers, entry);
            return;
        }
    }
}

static int64_t now_ms(const struct peers *peers)
{
    return loop_now_ms(peers->account->connector->loop);
}

const struct peer *peers_find(struct peers *peers, const struct wa_jid *user)
{
    struct peer_entry *entry = peers_entry(peers, user);

    if (entry != NULL && entry->peer.state == PEER_READY &&
        now_ms(peers) - entry->peer.known_ms > PEERS_FRESH_MS) {
        entry->peer.state = PEER_UNKNOWN;
    }
    if (entry == NULL) {
        make_room(peers);
        entry = mem_new0(sizeof(*entry));
        entry->peer.user = wa_jid_bare(user);
        (void)key_of(user, entry->key);
        map_put(&peers->known, entry->key, entry);
    }
    entry->is_wanted = true;
    return &entry->peer;
}

void peers_used(struct peers *peers, const struct wa_jid *user)
{
    struct peer_entry *entry = peers_entry(peers, user);

    if (entry != NULL) {
        entry->is_wanted = false;
        for (size_t i = 0; i < entry->peer.n; i++) {
            entry->peer.devices[i].has_bundle = false;
        }
    }
}

void peers_forget(struct peers *peers, const struct wa_jid *user)
{
    struct peer_entry *entry = peers_entry(peers, user);

    if (entry != NULL && entry->peer.state != PEER_ASKED) {
        entry->peer.state = PEER_UNKNOWN;
    }
}

void peers_addr(const struct wa_jid *lid, const struct wa_jid *device, struct sigstore_addr *out)
{
    bool has_lid = !wa_jid_is_none(lid);
    const struct wa_jid *name = has_lid ? lid : device;

    (void)snprintf(out->name, sizeof(out->name), "%s%s", name->user,
                   wa_jid_is_lid(name) ? "_1" : "");
    out->device = device->device;
}

/* ---- LIDs ---- */

void peers_learn(struct peers *peers, const struct wa_jid *pn, const struct wa_jid *lid)
{
    if (pn->server != WA_SERVER_PN || lid->server != WA_SERVER_LID ||
        peers->n_learnt >= PEERS_LEARN_MAX) {
        return; /* told again with the next stanza of that person */
    }
    if (peers->learnt == NULL) {
        peers->learnt = mem_array0(PEERS_LEARN_MAX, sizeof(*peers->learnt));
    }
    for (size_t i = 0; i < peers->n_learnt; i++) {
        if (strcmp(peers->learnt[i].pn.user, pn->user) == 0) {
            peers->learnt[i].lid = *lid;
            return;
        }
    }
    peers->learnt[peers->n_learnt++] = (struct peer_pair){wa_jid_bare(pn), wa_jid_bare(lid)};
}

void peers_stage(struct turn *turn, struct account *account)
{
    struct peers *peers = account->mailbox != NULL ? account->mailbox->peers : NULL;

    if (peers == NULL) {
        return;
    }
    for (size_t i = 0; i < peers->n_learnt; i++) {
        struct turn_rows *rows = turn_row(turn, TURN_LID, account->partition);

        pg_array_uuid(rows->column[0], account->state.uuid);
        pg_array_text(rows->column[1], peers->learnt[i].pn.user);
        pg_array_text(rows->column[2], peers->learnt[i].lid.user);
    }
    peers->n_learnt = 0;
}
