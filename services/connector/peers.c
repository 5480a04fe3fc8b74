#include "connector/peers.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/lids.h"
#include "connector/mailbox.h"
#include "connector/peers_internal.h"
#include "connector/sender.h"

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
    loop_timer_stop(&gone->again);
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
    int64_t now_ms = loop_now_ms(peers->account->connector->loop);
    int64_t for_ms = now_ms - peer->known_ms;
    int64_t fresh_ms = peer->is_stale ? PEERS_UNREACHABLE_MS : PEERS_FRESH_MS;

    if ((peer->state == PEER_READY && for_ms > fresh_ms) ||
        (peer->state == PEER_REFUSED && now_ms >= peer->again_ms)) {
        peer->state = PEER_UNKNOWN;
    } else if (peer->state == PEER_UNREACHABLE && for_ms > PEERS_UNREACHABLE_MS) {
        peer->state = PEER_UNKNOWN;
        peer->refusals = 0;
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

/* ---- a round of questions ---- */

void peers_batch_drop(struct peers *peers)
{
    free(peers->batch);
    peers->batch = NULL;
}

void peers_offline(struct peers *peers)
{
    struct peer_entry *entry;

    loop_timer_stop(&peers->retry);
    loop_timer_stop(&peers->again);
    peers_batch_drop(peers);
    DL_FOREACH (peers->entries, entry) {
        if (entry->peer.state == PEER_ASKED) {
            entry->peer.state = PEER_UNKNOWN;
        }
    }
}

static void on_retry(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    peers_work(ctx);
}

void peers_give_up(struct peers *peers, const char *what, int rc)
{
    log_warn("recipients not looked up", LOG_STR("session", peers->account->state.uuid),
             LOG_STR("what", what), LOG_STR("why", err_name(rc)));
    peers_offline(peers);
    loop_timer_start(peers->account->connector->loop, &peers->retry, PEERS_RETRY_MS, on_retry,
                     peers);
}

struct peers *peers_asking(struct account *account)
{
    struct peers *peers = account->mailbox != NULL ? account->mailbox->peers : NULL;

    return peers != NULL && peers->batch != NULL ? peers : NULL;
}

struct peers *peers_asking_tag(struct account *account, uint64_t tag)
{
    struct peers *peers = peers_asking(account);

    return peers != NULL && peers->batch->tag == tag ? peers : NULL;
}

struct peer *peers_asked(struct peers *peers, size_t i)
{
    struct peer_entry *entry = peers_entry(peers, &peers->batch->users[i]);

    return entry != NULL && entry->peer.state == PEER_ASKED ? &entry->peer : NULL;
}

bool peers_is_own(const struct peers *peers, const struct peer *peer)
{
    return wa_jid_same_user(&peer->user, &peers->account->credentials->device.pn);
}

/* ---- refusals ---- */

bool peers_is_final(int rc, int code)
{
    return rc == -ERR_REFUSED && !sender_may_repeat(code);
}

void peers_log_refused(const struct peers *peers, const char *what, int code)
{
    log_warn("recipients refused", LOG_STR("session", peers->account->state.uuid),
             LOG_STR("what", what), LOG_INT("code", code));
}

bool peers_refuse(const struct peers *peers, struct peer *peer)
{
    if (++peer->refusals >= PEERS_REFUSALS_MAX) {
        return true;
    }
    peer->state = PEER_REFUSED;
    peer->again_ms = loop_now_ms(peers->account->connector->loop) +
                     ((int64_t)PEERS_REFUSED_MS << (peer->refusals - 1));
    return false;
}
