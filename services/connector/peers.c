#include "connector/peers.h"

#include <stdlib.h>
#include <utlist.h>

#include "connector/account.h"
#include "connector/connector.h"
#include "connector/lids.h"
#include "connector/mailbox.h"
#include "connector/peers_internal.h"

static const char *key_of(const struct wa_jid *user, char out[WA_JID_TEXT_MAX])
{
    struct wa_jid bare = wa_jid_bare(user);

    return wa_jid_format(&bare, out);
}

static void entry_free(struct peers *peers, struct peer_entry *entry)
{
    map_drop(&peers->known, entry->key);
    DL_DELETE(peers->entries, entry);
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
    while (gone->entries != NULL) {
        entry_free(gone, gone->entries);
    }
    loop_timer_stop(&gone->retry);
    peers_batch_drop(gone);
    free(gone);
    *peers = NULL;
}

struct peer_entry *peers_entry(struct peers *peers, const struct wa_jid *user)
{
    char key[WA_JID_TEXT_MAX];

    return map_get(&peers->known, key_of(user, key));
}

/* Beyond PEERS_KNOWN_MAX the one used longest ago goes. */
static void make_room(struct peers *peers)
{
    struct peer_entry *entry;
    struct peer_entry *next;

    for (entry = peers->entries; entry != NULL && map_count(&peers->known) >= PEERS_KNOWN_MAX;
         entry = next) {
        next = entry->next;
        if (entry->peer.state != PEER_ASKED) {
            entry_free(peers, entry);
        }
    }
}

struct peer_entry *peers_add(struct peers *peers, const struct wa_jid *user)
{
    struct peer_entry *entry = peers_entry(peers, user);

    if (entry == NULL) {
        make_room(peers);
        entry = mem_new0(sizeof(*entry));
        entry->peer.user = wa_jid_bare(user);
        (void)key_of(user, entry->key);
        map_put(&peers->known, entry->key, entry);
        DL_APPEND(peers->entries, entry);
    }
    return entry;
}

/* What is known for too long is not known any more. */
static void age(const struct peers *peers, struct peer *peer)
{
    int64_t for_ms = loop_now_ms(peers->account->connector->loop) - peer->known_ms;

    if ((peer->state == PEER_READY && for_ms > PEERS_FRESH_MS) ||
        (peer->state == PEER_UNREACHABLE && for_ms > PEERS_UNREACHABLE_MS)) {
        peer->state = PEER_UNKNOWN;
    }
}

static void used_last(struct peers *peers, struct peer_entry *entry)
{
    DL_DELETE(peers->entries, entry);
    DL_APPEND(peers->entries, entry);
}

const struct peer *peers_find(struct peers *peers, const struct wa_jid *user)
{
    struct peer_entry *entry = peers_entry(peers, user);

    if (entry == NULL) {
        return NULL;
    }
    age(peers, &entry->peer);
    used_last(peers, entry);
    return &entry->peer;
}

void peers_used(struct peers *peers, const struct wa_jid *user)
{
    struct peer_entry *entry = peers_entry(peers, user);

    for (size_t i = 0; entry != NULL && i < entry->peer.n; i++) {
        entry->peer.devices[i].has_bundle = false;
    }
}

void peers_lack(struct peers *peers, const struct wa_jid *user)
{
    struct peer_entry *entry = peers_entry(peers, user);

    if (entry != NULL && entry->peer.state == PEER_READY) {
        entry->peer.state = PEER_LACKING;
    }
}

static void forget(struct peer_entry *entry, bool renews)
{
    if (entry != NULL) {
        entry->peer.renews |= renews;
        if (entry->peer.state == PEER_ASKED) {
            entry->peer.known_ms = INT64_MIN / 2; /* what is being answered is old already */
        } else {
            entry->peer.state = PEER_UNKNOWN;
        }
    }
}

void peers_forget(struct peers *peers, const struct wa_jid *user, bool renews)
{
    struct wa_jid other = lids_other(peers->account->mailbox->lids, user);

    forget(peers_entry(peers, user), renews);
    if (!wa_jid_is_none(&other)) {
        forget(peers_entry(peers, &other), renews);
    }
}
