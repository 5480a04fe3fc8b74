/* The keys of the devices of those who are asked for: which of their records we have (the table),
 * and bundles for those with whom there is no session (prekeys). */
#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers_internal.h"
#include "connector/records.h"

/* ---- fourth: bundles ---- */

static struct peer_device *find_device(struct peers *peers, const struct wa_jid *jid)
{
    struct peer_entry *entry = peers_entry(peers, jid);

    for (size_t i = 0; entry != NULL && i < entry->peer.n; i++) {
        if (wa_jid_equal(&entry->peer.devices[i].jid, jid)) {
            return &entry->peer.devices[i];
        }
    }
    return NULL;
}

enum session_known { SESSION_NO, SESSION_YES, SESSION_NOT_LOADED };

/* Is there a session to encrypt with? Between look_begin and look_end. */
static enum session_known session_with(const struct peers *peers, const struct peer_device *device)
{
    struct sigstore_peer peer = {0};
    enum sigstore_verdict verdict = sigstore_peer_get(peers->account->signal, &device->addr, &peer);

    if (verdict == SIGSTORE_NOT_LOADED) {
        return SESSION_NOT_LOADED;
    }
    return verdict == SIGSTORE_OK && peer.has_session ? SESSION_YES : SESSION_NO;
}

/* To look at records without staging anything. The cache is trimmed at the end alone. True: a turn
 * does so already. */
static bool look_begin(const struct peers *peers)
{
    bool was_begun = sigstore_is_begun(peers->account->signal);

    if (!was_begun) {
        sigstore_begin(peers->account->signal);
    }
    return was_begun;
}

static void look_end(const struct peers *peers, bool was_begun)
{
    if (!was_begun) {
        sigstore_rollback(peers->account->signal);
    }
}

/* Is @device to be sent to? Sets *@lacks when its record has left the cache meanwhile, or nobody
 * has asked whether there are keys for it. */
static bool is_kept(const struct peers *peers, const struct peer_device *device, bool *lacks)
{
    enum session_known session = session_with(peers, device);

    if (device->has_bundle || session == SESSION_YES) {
        return true;
    }
    if (session == SESSION_NOT_LOADED || !device->was_asked) {
        *lacks = true;
        return true;
    }
    return false;
}

/* Every device has a session or a bundle, or is left out because there are no keys for it. */
static void finish_peer(struct peers *peers, struct peer *peer)
{
    bool lacks = false;
    size_t kept = 0;

    for (size_t i = 0; i < peer->n; i++) {
        if (is_kept(peers, &peer->devices[i], &lacks)) {
            peer->devices[kept++] = peer->devices[i];
        }
    }
    peer->n = kept;
    peer->renews = false;
    if (peer->known_ms < 0) { /* it has changed since */
        peer->state = PEER_UNKNOWN;
    } else if (lacks) {
        peer->state = PEER_LACKING;
    } else if (kept > 0 || peers_is_own(peers, peer)) {
        peer->state = PEER_READY;
        peer->refusals = peer->is_stale ? peer->refusals : 0;
        peer->goes_alone = false;
    } else {
        peer->state = PEER_UNREACHABLE;
    }
}

static void finish(struct peers *peers)
{
    struct account *account = peers->account;
    bool was_begun = look_begin(peers);

    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer *peer = peers_asked(peers, i);

        if (peer != NULL) {
            finish_peer(peers, peer);
        }
    }
    look_end(peers, was_begun);
    peers_batch_drop(peers);
    account_ready(account);
    peers_work(peers);
}

/* Nobody gets a bundle: who cannot do without one is asked for later, alone. */
static void refuse_bundles(struct peers *peers)
{
    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer *peer = peers_asked(peers, i);
        bool was_asked = false;

        for (size_t d = 0; peer != NULL && d < peer->n; d++) {
            was_asked = was_asked || (peer->devices[d].was_asked && !peer->devices[d].has_bundle);
        }
        if (was_asked) {
            peer->goes_alone = true;
            (void)peers_refuse(peers, peer); /* believed: the others of its devices will do */
        }
    }
}

static void on_bundles(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct peers *peers = peers_asking(ctx);
    struct arena arena = {0};
    struct wa_prekeys_found *found = NULL;
    size_t n = 0;

    if (peers == NULL) {
        return;
    }
    if (peers_is_final(rc, code)) {
        peers_log_refused(peers, "bundles", code);
        refuse_bundles(peers);
    } else if (rc == 0) {
        rc = wa_prekeys_answer_parse(reply, &arena, &found, &n, NULL);
    }
    if (rc < 0 && !peers_is_final(rc, code)) {
        arena_done(&arena);
        peers_give_up(peers, "bundles", rc);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct peer_device *device = find_device(peers, &found[i].device);

        if (device != NULL && found[i].ok) {
            device->bundle = found[i].bundle;
            device->has_bundle = true;
        }
    }
    arena_done(&arena);
    finish(peers);
}

static void ask_bundles(struct peers *peers)
{
    struct arena arena = {0};
    struct wa_jid *wanted = arena_array0(&arena, WA_PREKEYS_FETCH_MAX, sizeof(*wanted));
    bool was_begun = look_begin(peers);
    size_t n = 0;

    for (size_t i = 0; i < peers->batch->n; i++) {
        const struct peer *peer = peers_asked(peers, i);

        for (size_t d = 0; peer != NULL && d < peer->n && n < WA_PREKEYS_FETCH_MAX; d++) {
            struct peer_device *device = &peer->devices[d];

            if (peer->renews ||
                (!device->has_bundle && session_with(peers, device) == SESSION_NO)) {
                device->was_asked = true;
                wanted[n++] = device->jid;
            }
        }
    }
    if (n == 0) {
        finish(peers); /* while nothing of it can leave the cache */
    }
    look_end(peers, was_begun);
    if (n > 0) {
        link_request(peers->account, wa_prekeys_fetch(&arena, NULL, wanted, n), on_bundles,
                     peers->account);
    }
    arena_done(&arena);
}

/* ---- third: records ---- */

static void on_records(struct account *account, int rc, uint64_t tag)
{
    struct peers *peers = peers_asking_tag(account, tag);

    if (peers != NULL) {
        if (rc < 0) {
            peers_give_up(peers, "records", rc);
        } else {
            ask_bundles(peers);
        }
    }
}

void peers_ask_records(struct peers *peers)
{
    const struct lids *lids = peers->account->mailbox->lids;
    struct arena arena = {0};
    size_t most = (size_t)(PEERS_AHEAD_MAX + 1) * PEERS_DEVICES_MAX;
    struct sigstore_ref *refs = arena_array0(&arena, most, sizeof(*refs));
    size_t n = 0;

    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer *peer = peers_asked(peers, i);

        for (size_t d = 0; peer != NULL && d < peer->n; d++) {
            lids_addr(lids, &peer->devices[d].jid, &peer->devices[d].addr);
            peer->devices[d].was_asked = false;
            sigstore_peer_ref(&peer->devices[d].addr, &refs[n++]);
        }
    }
    if (records_load(peers->account, refs, n, on_records, peers->batch->tag)) {
        ask_bundles(peers);
    }
    arena_done(&arena);
}
