/* Who is to be asked for, and the first questions: which devices (usync), whose LIDs. One round at
 * a time; peers_keys.c has the rest of it. */
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
#include "connector/sender.h"
#include "wa/wa_usync.h"

/* ---- second: LIDs ---- */

static void on_lids(struct account *account, int rc, uint64_t tag)
{
    struct peers *peers = peers_asking_tag(account, tag);

    if (peers != NULL) {
        if (rc < 0) {
            peers_give_up(peers, "LIDs", rc);
        } else {
            peers_ask_records(peers);
        }
    }
}

static void ask_lids(struct peers *peers)
{
    if (lids_load(peers->account, peers->batch->users, peers->batch->n, on_lids,
                  peers->batch->tag)) {
        peers_ask_records(peers);
    }
}

/* ---- first: device lists ---- */

/* The server did not want to say which devices @peer has. When it stays with that, an older list
 * will do, and our own other devices can do without. */
static void refuse_list(struct peers *peers, struct peer *peer, bool goes_alone)
{
    peer->awaits_list = false;
    peer->goes_alone = goes_alone;
    if (!peers_refuse(peers, peer)) {
        return;
    }
    log_warn("devices are not told", LOG_STR("session", peers->account->state.uuid),
             LOG_INT("known", (int64_t)peer->n_before));
    if (peer->n_before == 0 && !peers_is_own(peers, peer)) {
        peer->state = PEER_UNREACHABLE;
        return;
    }
    peer->n = peer->n_before;
    peer->is_stale = true;
    peer->refusals--; /* the next one is believed, too */
}

static void take_found(struct peers *peers, const struct wa_usync_found *found)
{
    const struct wa_jid *own = &peers->account->credentials->device.pn;
    struct peer_entry *entry = peers_entry(peers, &found->jid);
    struct peer *peer;

    if (entry == NULL || entry->peer.state != PEER_ASKED || !entry->peer.awaits_list) {
        return;
    }
    peer = &entry->peer;
    if (found->has_lid) {
        lids_tell(peers->account->mailbox->lids, &peer->user, &found->lid);
    }
    if (!found->has_devices) {
        refuse_list(peers, peer, false);
        return;
    }
    free(peer->devices);
    peer->devices = mem_array0(found->n_devices, sizeof(*peer->devices));
    peer->awaits_list = peer->is_stale = false;
    peer->n = 0;
    for (size_t i = 0; i < found->n_devices && peer->n < PEERS_DEVICES_MAX; i++) {
        struct peer_device *device = &peer->devices[peer->n];

        device->jid = wa_usync_device_jid(&peer->user, &found->devices[i]);
        peer->n += wa_jid_equal(&device->jid, own) ? 0 : 1; /* not to ourselves */
    }
}

/* All of the query was refused: each is asked for alone, later, so that only the cause of it is
 * refused again. */
static void refuse_lists(struct peers *peers)
{
    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer *peer = peers_asked(peers, i);

        if (peer != NULL && peer->awaits_list) {
            refuse_list(peers, peer, true);
        }
    }
}

/* Who is not in the answer is not on WhatsApp. */
static void miss_others(struct peers *peers)
{
    for (size_t i = 0; i < peers->batch->n; i++) {
        struct peer *peer = peers_asked(peers, i);

        if (peer != NULL && peer->awaits_list) {
            peer->awaits_list = peer->is_stale = false;
            peer->n_before = peer->refusals = 0;
        }
    }
}

static void on_devices(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct peers *peers = peers_asking(ctx);
    struct arena arena = {0};
    struct wa_usync_answer answer = {0};

    if (peers == NULL) {
        return;
    }
    if (peers_is_final(rc, code)) {
        peers_log_refused(peers, "devices", code);
        refuse_lists(peers);
        rc = 0;
    } else if (rc == 0) {
        rc = wa_usync_answer_parse(reply, &arena, &answer, NULL);
    }
    for (size_t i = 0; rc == 0 && i < answer.n; i++) {
        take_found(peers, &answer.users[i]);
    }
    arena_done(&arena);
    if (rc < 0) {
        peers_give_up(peers, "devices", rc);
    } else {
        miss_others(peers);
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
    int64_t again_ms; /* when the first of those that were refused is due */
    bool alone;
};

/* Put @user into the round if it is to be asked for and is not in it. */
static void want(struct wanted *wanted, const struct wa_jid *user)
{
    struct peers *peers = wanted->peers;
    const struct peer *known = peers_find(peers, user);
    struct peer *peer;

    if (known != NULL && known->state == PEER_REFUSED && known->again_ms < wanted->again_ms) {
        wanted->again_ms = known->again_ms;
    }
    if (known != NULL && known->state != PEER_UNKNOWN && known->state != PEER_LACKING) {
        return;
    }
    if (wanted->alone != (known != NULL && known->goes_alone) ||
        (wanted->alone && wanted->batch->n > 0)) {
        return;
    }
    peer = &peers_add(peers, user)->peer;
    if (peer->state == PEER_UNKNOWN) {
        peer->known_ms = loop_now_ms(peers->account->connector->loop);
        peer->n_before = peer->n > 0 ? peer->n : peer->n_before;
        peer->n = 0;
        peer->awaits_list = true;
        wanted->devices[wanted->n++] = peer->user;
    }
    peer->state = PEER_ASKED;
    wanted->batch->users[wanted->batch->n++] = peer->user;
}

/* The recipients of the first rows, and ourselves: those that go together, or the first of those
 * that go @alone. */
static void want_all(struct wanted *wanted, bool alone)
{
    struct account *account = wanted->peers->account;
    const struct row *row;
    size_t looked = 0;

    wanted->alone = alone;
    DL_FOREACH (account->mailbox->rows[ROWS_QUEUED], row) {
        if (looked++ >= SENDER_LOOK_MAX || wanted->batch->n == PEERS_AHEAD_MAX) {
            break;
        }
        if (wa_jid_is_user(&row->to)) {
            want(wanted, &row->to);
        }
    }
    if (looked > 0) {
        want(wanted, &account->credentials->device.pn);
    }
}

static void on_again(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    peers_work(ctx);
}

/* Come back when the next of those that were refused may be asked for. */
static void wait_for_refused(struct peers *peers, int64_t again_ms)
{
    struct loop *loop = peers->account->connector->loop;
    int64_t wait_ms = again_ms - loop_now_ms(loop);

    if (again_ms != INT64_MAX) {
        loop_timer_start(loop, &peers->again, wait_ms > 0 ? wait_ms : 0, on_again, peers);
    }
}

void peers_work(struct peers *peers)
{
    struct account *account = peers->account;
    struct peers_batch batch = {0};
    struct wanted wanted = {.peers = peers, .batch = &batch, .again_ms = INT64_MAX};

    if (peers->batch != NULL || loop_timer_is_running(&peers->retry) || !link_is_ready(account)) {
        return;
    }
    want_all(&wanted, !peers->was_alone); /* by turns */
    if (batch.n == 0) {
        want_all(&wanted, peers->was_alone);
    }
    wait_for_refused(peers, wanted.again_ms);
    if (batch.n == 0) {
        return;
    }
    peers->was_alone = wanted.alone;
    batch.tag = ++account->connector->tags;
    peers->batch = mem_dup(&batch, sizeof(batch));
    if (wanted.n > 0) {
        ask_devices(peers, wanted.devices, wanted.n);
    } else {
        ask_lids(peers);
    }
}
