/* The questions of peers: which devices (usync), which of their records we have (the table), keys
 * for those that we have no session with (prekeys). One round at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
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
    loop_timer_stop(&peers->retry);
    peers_batch_drop(peers);
    for (struct map_entry *at = map_first(&peers->known); at != NULL; at = map_next(at)) {
        struct peer_entry *entry = map_value(at);

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

/* ---- third: bundles ---- */

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
static void finish_entry(struct peers *peers, struct peer_entry *entry)
{
    struct peer *peer = &entry->peer;
    size_t kept = 0;

    for (size_t i = 0; i < peer->n; i++) {
        if (peer->devices[i].has_bundle || has_session(peers->account, &peer->devices[i])) {
            peer->devices[kept++] = peer->devices[i];
        }
    }
    peer->n = kept;
    peer->state = kept > 0 || wa_jid_same_user(&peer->user, &peers->account->credentials->device.pn)
                      ? PEER_READY
                      : PEER_UNREACHABLE;
    peer->known_ms = loop_now_ms(peers->account->connector->loop);
}

static void finish(struct peers *peers)
{
    struct account *account = peers->account;

    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer_entry *entry = peers_entry(peers, &peers->batch->users[i]);

        if (entry != NULL && entry->peer.state == PEER_ASKED) {
            finish_entry(peers, entry);
        }
    }
    peers_batch_drop(peers);
    account_ready(account);
    peers_work(peers);
}

static void on_bundles(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct peers *peers = ctx;
    struct arena arena = {0};
    struct wa_prekeys_found *found = NULL;
    size_t n = 0;

    (void)code;
    if (peers->batch == NULL) {
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

/* ---- second: records ---- */

static void ask_bundles(struct peers *peers)
{
    struct arena arena = {0};
    struct wa_jid *wanted = arena_array0(&arena, WA_PREKEYS_FETCH_MAX, sizeof(*wanted));
    size_t n = 0;

    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer_entry *entry = peers_entry(peers, &peers->batch->users[i]);

        for (size_t d = 0; entry != NULL && d < entry->peer.n; d++) {
            if (n < WA_PREKEYS_FETCH_MAX && !has_session(peers->account, &entry->peer.devices[d])) {
                wanted[n++] = entry->peer.devices[d].jid;
            }
        }
    }
    if (n == 0) {
        finish(peers);
    } else {
        link_request(peers->account, wa_prekeys_fetch(&arena, NULL, wanted, n), on_bundles, peers);
    }
    arena_done(&arena);
}

static void on_records(struct account *account, int rc, void *ctx)
{
    struct peers *peers = ctx;

    if (account == NULL || account->mailbox == NULL || account->mailbox->peers != peers ||
        peers->batch == NULL) {
        return; /* gone, or asked anew since */
    }
    if (rc < 0) {
        give_up(peers, "records", rc);
        return;
    }
    ask_bundles(peers);
}

static void ask_records(struct peers *peers)
{
    struct arena arena = {0};
    size_t most = (size_t)(PEERS_AHEAD_MAX + 1) * PEERS_DEVICES_MAX;
    struct sigstore_ref *refs = arena_array0(&arena, most, sizeof(*refs));
    size_t n = 0;

    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer_entry *entry = peers_entry(peers, &peers->batch->users[i]);

        for (size_t d = 0; entry != NULL && d < entry->peer.n; d++) {
            sigstore_peer_ref(&entry->peer.devices[d].addr, &refs[n++]);
        }
    }
    records_load(peers->account, refs, n, on_records, peers);
    arena_done(&arena);
}

/* ---- first: device lists ---- */

static void take_found(struct peers *peers, const struct wa_usync_found *found)
{
    const struct wa_jid *own = &peers->account->credentials->device.pn;
    struct peer_entry *entry = peers_entry(peers, &found->jid);
    size_t n = 0;

    if (entry == NULL || entry->peer.state != PEER_ASKED) {
        return;
    }
    if (found->has_lid) {
        entry->peer.lid = wa_jid_bare(&found->lid);
        peers_learn(peers, &entry->peer.user, &entry->peer.lid);
    }
    free(entry->peer.devices);
    entry->peer.devices = mem_array0(found->n_devices, sizeof(*entry->peer.devices));
    for (size_t i = 0; i < found->n_devices && n < PEERS_DEVICES_MAX; i++) {
        struct peer_device *device = &entry->peer.devices[n];

        device->jid = wa_usync_device_jid(&entry->peer.user, &found->devices[i]);
        peers_addr(&entry->peer.lid, &device->jid, &device->addr);
        if (!wa_jid_equal(&device->jid, own)) { /* not to ourselves */
            n++;
        }
    }
    entry->peer.n = n;
}

static void on_devices(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct peers *peers = ctx;
    struct arena arena = {0};
    struct wa_usync_answer answer = {0};

    (void)code;
    if (peers->batch == NULL) {
        return;
    }
    if (rc == 0) {
        rc = wa_usync_answer_parse(reply, &arena, &answer, NULL);
    }
    if (rc < 0) {
        arena_done(&arena);
        give_up(peers, "devices", rc);
        return;
    }
    for (size_t i = 0; i < answer.n; i++) {
        take_found(peers, &answer.users[i]);
    }
    arena_done(&arena);
    ask_records(peers);
}

/* Put @user into the round unless it is known or is in it. */
static void want(struct peers *peers, struct peers_batch *batch, const struct wa_jid *user)
{
    struct peer_entry *entry;

    if (peers_find(peers, user)->state != PEER_UNKNOWN) {
        return;
    }
    entry = peers_entry(peers, user);
    entry->peer.state = PEER_ASKED;
    entry->peer.n = 0;
    batch->users[batch->n++] = entry->peer.user;
}

void peers_work(struct peers *peers)
{
    struct account *account = peers->account;
    struct peers_batch batch = {0};
    struct arena arena = {0};
    struct wa_usync_asked *asked;
    struct wa_usync_query query = {.protocols = WA_USYNC_DEVICES | WA_USYNC_LID,
                                   .sid = "1",
                                   .mode = "query",
                                   .context = "message"};
    const struct row *row;

    if (peers->batch != NULL || loop_timer_is_running(&peers->retry) || !link_is_ready(account)) {
        return;
    }
    DL_FOREACH(account->mailbox->rows, row)
    {
        if (row->phase == ROW_QUEUED && batch.n < PEERS_AHEAD_MAX && wa_jid_is_user(&row->to)) {
            want(peers, &batch, &row->to);
        }
    }
    if (batch.n == 0) {
        return;
    }
    want(peers, &batch, &account->credentials->device.pn);
    peers->batch = mem_dup(&batch, sizeof(batch));
    asked = arena_array0(&arena, batch.n, sizeof(*asked));
    for (size_t i = 0; i < batch.n; i++) {
        asked[i].jid = batch.users[i];
    }
    query.users = asked;
    query.n = batch.n;
    link_request(account, wa_usync_query(&arena, NULL, &query), on_devices, peers);
    arena_done(&arena);
}
