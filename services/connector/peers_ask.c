/* The questions of peers: which devices (usync), whose LIDs, which of their records we have (the
 * table), keys for those that we have no session with (prekeys). One round at a time. */
#include <stdlib.h>
#include <utlist.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers_internal.h"
#include "connector/records.h"
#include "connector/sender.h"
#include "wa/wa_usync.h"

void peers_batch_drop(struct peers *peers)
{
    free(peers->batch);
    peers->batch = NULL;
}

void peers_offline(struct peers *peers)
{
    struct peer_entry *entry;

    loop_timer_stop(&peers->retry);
    peers_batch_drop(peers);
    DL_FOREACH(peers->entries, entry)
    {
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

/* The round failed: its users are asked again after a while. */
static void give_up(struct peers *peers, const char *what, int rc)
{
    log_warn("recipients not looked up", LOG_STR("session", peers->account->state.uuid),
             LOG_STR("what", what), LOG_STR("why", err_name(rc)));
    peers_offline(peers);
    loop_timer_start(peers->account->connector->loop, &peers->retry, PEERS_RETRY_MS, on_retry,
                     peers);
}

/* The peers that have a round under way; NULL: it was given up meanwhile. */
static struct peers *asking(struct account *account)
{
    struct peers *peers = account->mailbox != NULL ? account->mailbox->peers : NULL;

    return peers != NULL && peers->batch != NULL ? peers : NULL;
}

static struct peers *asking_tag(struct account *account, uint64_t tag)
{
    struct peers *peers = asking(account);

    return peers != NULL && peers->batch->tag == tag ? peers : NULL;
}

static struct peer *batch_peer(struct peers *peers, size_t i)
{
    struct peer_entry *entry = peers_entry(peers, &peers->batch->users[i]);

    return entry != NULL && entry->peer.state == PEER_ASKED ? &entry->peer : NULL;
}

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

/* Is there a session to encrypt with? Looks without staging anything. */
static bool has_session(struct account *account, const struct peer_device *device)
{
    bool was_begun = sigstore_is_begun(account->signal);
    struct sigstore_peer peer = {0};

    if (!was_begun) {
        sigstore_begin(account->signal);
    }
    if (sigstore_peer_get(account->signal, &device->addr, &peer) != SIGSTORE_OK) {
        peer.has_session = false;
    }
    if (!was_begun) {
        sigstore_rollback(account->signal);
    }
    return peer.has_session;
}

/* Every device has a session or a bundle, or is left out because there are no keys for it. */
static void finish_peer(struct peers *peers, struct peer *peer)
{
    size_t kept = 0;

    for (size_t i = 0; i < peer->n; i++) {
        if (peer->devices[i].has_bundle || has_session(peers->account, &peer->devices[i])) {
            peer->devices[kept++] = peer->devices[i];
        }
    }
    peer->n = kept;
    peer->renews = false;
    if (peer->known_ms < 0) { /* it has changed since */
        peer->state = PEER_UNKNOWN;
    } else if (kept > 0 || wa_jid_same_user(&peer->user, &peers->account->credentials->device.pn)) {
        peer->state = PEER_READY;
    } else {
        peer->state = PEER_UNREACHABLE;
    }
}

static void finish(struct peers *peers)
{
    struct account *account = peers->account;

    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer *peer = batch_peer(peers, i);

        if (peer != NULL) {
            finish_peer(peers, peer);
        }
    }
    peers_batch_drop(peers);
    account_ready(account);
    peers_work(peers);
}

static void on_bundles(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct peers *peers = asking(ctx);
    struct arena arena = {0};
    struct wa_prekeys_found *found = NULL;
    size_t n = 0;

    (void)code;
    if (peers == NULL) {
        return;
    }
    if (rc == 0) {
        rc = wa_prekeys_answer_parse(reply, &arena, &found, &n, NULL);
    }
    if (rc < 0) {
        arena_done(&arena);
        give_up(peers, "bundles", rc);
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
    size_t n = 0;

    for (size_t i = 0; i < peers->batch->n; i++) {
        const struct peer *peer = batch_peer(peers, i);

        for (size_t d = 0; peer != NULL && d < peer->n && n < WA_PREKEYS_FETCH_MAX; d++) {
            if (peer->renews || !has_session(peers->account, &peer->devices[d])) {
                wanted[n++] = peer->devices[d].jid;
            }
        }
    }
    if (n == 0) {
        finish(peers);
    } else {
        link_request(peers->account, wa_prekeys_fetch(&arena, NULL, wanted, n), on_bundles,
                     peers->account);
    }
    arena_done(&arena);
}

/* ---- third: records ---- */

static void on_records(struct account *account, int rc, uint64_t tag)
{
    struct peers *peers = asking_tag(account, tag);

    if (peers != NULL) {
        if (rc < 0) {
            give_up(peers, "records", rc);
        } else {
            ask_bundles(peers);
        }
    }
}

static void ask_records(struct peers *peers)
{
    const struct lids *lids = peers->account->mailbox->lids;
    struct arena arena = {0};
    size_t most = (size_t)(PEERS_AHEAD_MAX + 1) * PEERS_DEVICES_MAX;
    struct sigstore_ref *refs = arena_array0(&arena, most, sizeof(*refs));
    size_t n = 0;

    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer *peer = batch_peer(peers, i);

        for (size_t d = 0; peer != NULL && d < peer->n; d++) {
            lids_addr(lids, &peer->devices[d].jid, &peer->devices[d].addr);
            sigstore_peer_ref(&peer->devices[d].addr, &refs[n++]);
        }
    }
    if (records_load(peers->account, refs, n, on_records, peers->batch->tag)) {
        ask_bundles(peers);
    }
    arena_done(&arena);
}

/* ---- second: LIDs ---- */

static void on_lids(struct account *account, int rc, uint64_t tag)
{
    struct peers *peers = asking_tag(account, tag);

    if (peers != NULL) {
        if (rc < 0) {
            give_up(peers, "LIDs", rc);
        } else {
            ask_records(peers);
        }
    }
}

static void ask_lids(struct peers *peers)
{
    if (lids_load(peers->account, peers->batch->users, peers->batch->n, on_lids,
                  peers->batch->tag)) {
        ask_records(peers);
    }
}

/* ---- first: device lists ---- */

static void take_found(struct peers *peers, const struct wa_usync_found *found)
{
    const struct wa_jid *own = &peers->account->credentials->device.pn;
    struct peer_entry *entry = peers_entry(peers, &found->jid);
    struct peer *peer;
    size_t n = 0;

    if (entry == NULL || entry->peer.state != PEER_ASKED) {
        return;
    }
    peer = &entry->peer;
    if (found->has_lid) {
        lids_tell(peers->account->mailbox->lids, &peer->user, &found->lid);
    }
    free(peer->devices);
    peer->devices = mem_array0(found->n_devices, sizeof(*peer->devices));
    for (size_t i = 0; i < found->n_devices && n < PEERS_DEVICES_MAX; i++) {
        struct peer_device *device = &peer->devices[n];

        device->jid = wa_usync_device_jid(&peer->user, &found->devices[i]);
        n += wa_jid_equal(&device->jid, own) ? 0 : 1; /* not to ourselves */
    }
    peer->n = n;
}

static void on_devices(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct peers *peers = asking(ctx);
    struct arena arena = {0};
    struct wa_usync_answer answer = {0};

    (void)code;
    if (peers == NULL) {
        return;
    }
    if (rc == 0) {
        rc = wa_usync_answer_parse(reply, &arena, &answer, NULL);
    }
    for (size_t i = 0; rc == 0 && i < answer.n; i++) {
        if (answer.users[i].has_devices) {
            take_found(peers, &answer.users[i]);
        } else {
            rc = -ERR_REFUSED; /* the server did not want to say */
        }
    }
    arena_done(&arena);
    if (rc < 0) {
        give_up(peers, "devices", rc);
    } else {
        ask_lids(peers);
    }
}

/* Ask for the device lists of those of whom there is none; those whose records left the cache have
 * theirs. */
static void ask_devices(struct peers *peers, const struct wa_jid *users, size_t n)
{
    struct arena arena = {0};
    struct wa_usync_asked *asked = arena_array0(&arena, n, sizeof(*asked));
    struct wa_usync_query query = {.protocols = WA_USYNC_DEVICES | WA_USYNC_LID,
                                   .sid = "1",
                                   .mode = "query",
                                   .context = "message",
                                   .users = asked,
                                   .n = n};

    for (size_t i = 0; i < n; i++) {
        asked[i].jid = users[i];
    }
    link_request(peers->account, wa_usync_query(&arena, NULL, &query), on_devices, peers->account);
    arena_done(&arena);
}

struct wanted {
    struct peers *peers;
    struct peers_batch *batch;
    struct wa_jid devices[PEERS_AHEAD_MAX + 1]; /* users whose device list is asked */
    size_t n;
};

/* Put @user into the round if it is to be asked for and is not in it. */
static void want(struct wanted *wanted, const struct wa_jid *user)
{
    struct peers *peers = wanted->peers;
    const struct peer *known = peers_find(peers, user);
    struct peer_entry *entry;

    if (known != NULL && known->state != PEER_UNKNOWN && known->state != PEER_LACKING) {
        return;
    }
    entry = peers_add(peers, user);
    if (entry->peer.state == PEER_UNKNOWN) {
        entry->peer.known_ms = loop_now_ms(peers->account->connector->loop);
        entry->peer.n = 0;
        wanted->devices[wanted->n++] = entry->peer.user;
    }
    entry->peer.state = PEER_ASKED;
    wanted->batch->users[wanted->batch->n++] = entry->peer.user;
}

void peers_work(struct peers *peers)
{
    struct account *account = peers->account;
    struct peers_batch batch = {0};
    struct wanted wanted = {.peers = peers, .batch = &batch};
    const struct row *row;
    size_t looked = 0;

    if (peers->batch != NULL || loop_timer_is_running(&peers->retry) || !link_is_ready(account)) {
        return;
    }
    DL_FOREACH(account->mailbox->rows[ROWS_QUEUED], row)
    {
        if (looked++ >= SENDER_LOOK_MAX || batch.n == PEERS_AHEAD_MAX) {
            break;
        }
        if (wa_jid_is_user(&row->to)) {
            want(&wanted, &row->to);
        }
    }
    if (looked == 0) {
        return;
    }
    want(&wanted, &account->credentials->device.pn);
    if (batch.n == 0) {
        return;
    }
    batch.tag = ++account->connector->tags;
    peers->batch = mem_dup(&batch, sizeof(batch));
    if (wanted.n > 0) {
        ask_devices(peers, wanted.devices, wanted.n);
    } else {
        ask_lids(peers);
    }
}
