#include "connector/sender.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox_rows.h"
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "wa/wa_ack.h"
#include "wa/wa_body.h"
#include "wa/wa_message.h"

/* ---- prepare ---- */

/* Why a row is not prepared now: it waits, or it never will be. */
enum fate { FATE_READY, FATE_WAITS, FATE_UNREACHABLE, FATE_TOO_LARGE };

struct envelope {
    struct turn *turn;
    struct account *account;
    struct row *row;
    struct arena arena;
    struct wa_message_target *targets;
    size_t n;
};

static bool seal_for(struct envelope *envelope, const struct peer_device *device,
                     struct bytes plain, enum sigstore_verdict *verdict)
{
    struct sigstore_account *signal = envelope->account->signal;
    struct wa_message_target *target = &envelope->targets[envelope->n];
    struct buf cipher = {0};
    enum wa_enc_type type = WA_ENC_MSG;

    *verdict = SIGSTORE_OK;
    if (device->has_bundle) {
        *verdict = sigstore_peer_start(signal, &device->addr, &device->bundle, NULL);
    }
    if (*verdict == SIGSTORE_OK) {
        *verdict = sigstore_encrypt(signal, &device->addr, plain, &type, &cipher);
    }
    if (*verdict == SIGSTORE_OK) {
        target->device = device->jid;
        target->has_enc = true;
        target->enc.type = type;
        target->enc.bytes = arena_bytes(&envelope->arena, buf_bytes(&cipher));
        envelope->n++;
    }
    buf_done(&cipher);
    return *verdict == SIGSTORE_OK;
}

/* @body for every device of @peer; false when a record was missing: ask for all of it again. */
static bool seal_for_all(struct envelope *envelope, const struct peer *peer, const struct buf *body)
{
    for (size_t i = 0; i < peer->n; i++) {
        enum sigstore_verdict verdict;
        struct buf plain = {0};

        buf_add(&plain, body->p, body->n);
        wa_body_pad(&plain);
        if (!seal_for(envelope, &peer->devices[i], buf_bytes(&plain), &verdict)) {
            log_debug("device left out", LOG_STR("session", envelope->account->state.uuid),
                      LOG_STR("why", sigstore_verdict_name(verdict)));
        }
        buf_wipe(&plain);
        if (verdict == SIGSTORE_NOT_LOADED) {
            return false;
        }
    }
    return true;
}

/* False: it is larger than a frame may be. */
static bool build_stanza(struct envelope *envelope, struct buf *out)
{
    const struct wa_creds *device = &envelope->account->credentials->device;
    struct wa_message_sent message = {
        .id = envelope->row->wa_message_id,
        .to = envelope->row->to,
        .type = "text",
        .targets = envelope->targets,
        .n_targets = envelope->n,
        .device_identity = {device->device_identity, device->device_identity_n},
    };

    return wa_node_encode(wa_message_sent_build(&envelope->arena, &message), out, NULL) == 0;
}

/* Encrypt for the recipient's devices and our own others. */
static enum fate fill(struct envelope *envelope, const struct peer *peer, const struct peer *own)
{
    char chat[WA_JID_TEXT_MAX];
    struct buf body = {0};
    struct buf copy = {0};
    bool loaded;
    size_t for_peer;

    envelope->targets =
        arena_array0(&envelope->arena, peer->n + own->n + 1, sizeof(*envelope->targets));
    wa_body_text(envelope->row->send.text, &body);
    loaded = seal_for_all(envelope, peer, &body);
    for_peer = envelope->n;
    if (loaded && for_peer > 0) {
        wa_body_device_sent(wa_jid_format(&envelope->row->to, chat), buf_bytes(&body), &copy);
        loaded = seal_for_all(envelope, own, &copy);
    }
    buf_wipe(&body);
    buf_wipe(&copy);
    if (!loaded) {
        return FATE_WAITS;
    }
    return for_peer > 0 ? FATE_READY : FATE_UNREACHABLE;
}

static enum fate prepare(struct turn *turn, struct account *account, struct row *row,
                         const struct peer *peer, const struct peer *own)
{
    struct envelope envelope = {.turn = turn, .account = account, .row = row};
    enum fate fate;

    records_begin(turn, account);
    fate = fill(&envelope, peer, own);
    if (fate == FATE_READY && !build_stanza(&envelope, &row->staged_stanza)) {
        fate = FATE_TOO_LARGE; /* that the ratchets have moved costs the devices a skipped key */
    }
    if (fate == FATE_READY) {
        struct message_input input = {.kind = MESSAGE_IN_DISPATCH};

        crash_point("connector", "after.encrypt"); /* the ratchet has moved, in memory alone */
        row->has_staged_stanza = true;
        mailbox_decide(turn, account, row, &input);
        peers_used(account->mailbox->peers, &peer->user);
        peers_used(account->mailbox->peers, &own->user);
    } else if (fate == FATE_WAITS) {
        peers_lack(account->mailbox->peers, &peer->user);
        peers_lack(account->mailbox->peers, &own->user);
    }
    arena_done(&envelope.arena);
    return fate;
}

static void unusable(struct turn *turn, struct account *account, struct row *row,
                     const char *reason)
{
    struct message_input input = {.kind = MESSAGE_IN_UNUSABLE, .reason = reason};

    mailbox_decide(turn, account, row, &input);
}

/* A queued row: prepared, or why not. */
static void try_row(struct turn *turn, struct account *account, struct row *row)
{
    struct peers *peers = account->mailbox->peers;
    const struct peer *peer = peers_find(peers, &row->to);
    const struct peer *own;
    enum fate fate;

    if (peer != NULL && peer->state == PEER_UNREACHABLE) {
        unusable(turn, account, row,
                 peer->refusals > 0 ? "WhatsApp does not tell its devices" : "not on WhatsApp");
        return;
    }
    own = peers_find(peers, &account->credentials->device.pn);
    if (peer == NULL || peer->state != PEER_READY || own == NULL || own->state != PEER_READY) {
        return;
    }
    fate = prepare(turn, account, row, peer, own);
    if (fate == FATE_UNREACHABLE) {
        unusable(turn, account, row, "no device with keys");
    } else if (fate == FATE_TOO_LARGE) {
        unusable(turn, account, row, "too long for so many devices");
    }
}

/* ---- time ---- */

static void time_is_up(struct turn *turn, struct account *account, struct row *row)
{
    struct message_input input = {.kind = MESSAGE_IN_TIME_IS_UP};

    mailbox_decide(turn, account, row, &input);
}

/* A failed try may be done again: the same bytes go out once more. */
static void try_again(struct turn *turn, struct account *account, struct row *row)
{
    struct message_input input = {.kind = MESSAGE_IN_DISPATCH};

    mailbox_decide(turn, account, row, &input);
}

static bool is_online(const struct account *account)
{
    return turn_state(account)->phase == SESSION_CONNECTED && account->signal != NULL &&
           link_is_ready(account);
}

/* Only when all that has come was read and handled: a process that was stopped, or busy, finds the
 * ack in its socket or inbox. */
static bool ack_is_overdue(const struct account *account, const struct row *row)
{
    const struct connector *connector = account->connector;

    return row->phase == ROW_WRITTEN && mailbox_state(row)->state == MESSAGE_DISPATCHED &&
           loop_now_ms(connector->loop) - row->written_ms >= connector->config.ack_timeout_ms &&
           account->mailbox->inbox_first == NULL && !link_has_unread(account);
}

static void no_answer(struct turn *turn, struct account *account, struct row *row)
{
    struct message_input input = {.kind = MESSAGE_IN_NO_ANSWER, .reason = "no_ack"};

    mailbox_decide(turn, account, row, &input);
    account->mailbox->is_unheard = true;
}

/* A row whose bytes are there. What is late is not written any more (S5); what was written on this
 * connection may still be acked. */
static void run_prepared(struct turn *turn, struct account *account, struct row *row, bool online)
{
    const struct message *message = mailbox_state(row);
    int64_t wall_ms = turn->now_us / 1000;

    if (ack_is_overdue(account, row)) {
        no_answer(turn, account, row);
    } else if (row->phase == ROW_PREPARED && mailbox_is_late(row, wall_ms)) {
        time_is_up(turn, account, row);
    } else if (message->state == MESSAGE_FAILED_RETRY && online &&
               message->next_attempt_ms <= wall_ms) {
        try_again(turn, account, row);
    }
}

/* False: the turn is full. */
static bool run_window(struct turn *turn, struct account *account, bool online)
{
    struct row *row;

    DL_FOREACH (account->mailbox->rows[ROWS_WINDOW], row) {
        if (ledger_room(turn->tx) < TURN_ROOM_MIN) {
            return false;
        }
        run_prepared(turn, account, row, online);
    }
    return true;
}

/* Queued rows whose time is up, wherever they stand. False: the turn is full. */
static bool run_late(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    int64_t wall_ms = turn->now_us / 1000;
    int64_t expiry_ms = INT64_MAX;
    struct row *row;

    if (mailbox->expiry_ms >= wall_ms) {
        return true;
    }
    DL_FOREACH (mailbox->rows[ROWS_QUEUED], row) {
        if (ledger_room(turn->tx) < TURN_ROOM_MIN) {
            return false;
        }
        if (mailbox_is_late(row, wall_ms) && !row->in_turn) {
            time_is_up(turn, account, row);
        } else if (row->send.has_not_after && row->send.not_after < expiry_ms) {
            expiry_ms = row->send.not_after;
        }
    }
    mailbox->expiry_ms = expiry_ms;
    return true;
}

/* Prepare what can be, from the first on. False: the turn is full. */
static bool run_queue(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    size_t window = mailbox->n[ROWS_WINDOW];
    size_t looked = 0;
    struct row *row;

    DL_FOREACH (mailbox->rows[ROWS_QUEUED], row) {
        if (window >= (size_t)turn->connector->config.send_window || looked++ >= SENDER_LOOK_MAX) {
            break;
        }
        if (row->has_staged_stanza || mailbox_is_over(mailbox_state(row)->state)) {
            window += row->has_staged_stanza ? 1 : 0;
            continue; /* in this turn already */
        }
        if (ledger_room(turn->tx) < TURN_ROOM_MIN) {
            return false;
        }
        if (!mailbox_is_late(row, turn->now_us / 1000)) {
            try_row(turn, account, row);
            window += row->has_staged_stanza ? 1 : 0;
        }
    }
    return true;
}

void sender_run(struct turn *turn, struct account *account)
{
    bool online = is_online(account);
    bool done;

    if (mailbox_n_open(account->mailbox) == 0) {
        return;
    }
    done = run_window(turn, account, online) && run_late(turn, account);
    if (done && online) {
        lids_run(turn, account);
        done = run_queue(turn, account);
    }
    if (!done) {
        account_ready(account);
    }
}

static bool is_ready(struct account *account, const struct wa_jid *user)
{
    const struct peer *peer = peers_find(account->mailbox->peers, user);

    return peer != NULL && peer->state == PEER_READY;
}

/* Could a turn do something about a queued row? */
static bool can_go_on(struct account *account, const struct row *row, bool own_ready)
{
    const struct peer *peer = peers_find(account->mailbox->peers, &row->to);

    return peer != NULL &&
           ((peer->state == PEER_READY && own_ready) || peer->state == PEER_UNREACHABLE);
}

void sender_wake(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    size_t looked = 0;
    bool own_ready;
    struct row *row;

    if (!link_is_ready(account) ||
        mailbox->n[ROWS_WINDOW] >= (size_t)account->connector->config.send_window) {
        return;
    }
    own_ready = is_ready(account, &account->credentials->device.pn);
    DL_FOREACH (mailbox->rows[ROWS_QUEUED], row) {
        if (looked++ >= SENDER_LOOK_MAX) {
            return;
        }
        if (can_go_on(account, row, own_ready)) {
            account_ready(account);
            return;
        }
    }
}

/* ---- acks ---- */

bool sender_may_repeat(int error)
{
    return error == 408 || error == 429 || error >= 500;
}

void sender_ack(struct turn *turn, struct account *account, const struct wa_node *node)
{
    struct message_input input = {.kind = MESSAGE_IN_SEND_ACCEPTED};
    struct wa_ack ack;
    struct row *row;
    char reason[32];

    if (!wa_ack_parse(node, &ack) || strcmp(ack.class, "message") != 0) {
        return;
    }
    if (mailbox_resend_acked(turn, account, &ack)) {
        return;
    }
    row = mailbox_find(account->mailbox, ack.id);
    if (row == NULL) {
        return;
    }
    row->ack_due = false;
    if (ack.error != 0) {
        (void)snprintf(reason, sizeof(reason), "whatsapp_%d", ack.error);
        input.kind = MESSAGE_IN_SEND_REJECTED;
        input.reason = reason;
        input.permanent = !sender_may_repeat(ack.error);
        metric_add(metrics.refused, 1);
    } else {
        input.at_ms = ack.time * 1000;
        metric_add(metrics.acked, 1);
    }
    if (row->phase == ROW_WRITTEN) {
        metric_observe_us(metrics.ack_seconds,
                          (loop_now_ms(account->connector->loop) - row->written_ms) * 1000);
    }
    crash_point("connector", "before.settle"); /* the server has it, and we have not noted it */
    mailbox_decide(turn, account, row, &input);
}

/* ---- writing ---- */

static void on_written(void *ctx)
{
    (void)ctx;
    crash_point("connector", "after.write"); /* the sockets were flushed before this */
}

static void on_resent(void *ctx)
{
    (void)ctx;
    crash_point("connector", "after.resend");
}

/* not_after does not count here (S5 is about repeats of our own accord): the device has the message
 * since it was sent in time, asks for it now, and shows a gap until it is answered. */
static size_t write_resends(struct account *account)
{
    struct resend *resend;
    size_t n = 0;

    LL_FOREACH (account->mailbox->resends, resend) {
        if (!resend->is_written && !resend->is_new && !resend->is_settled) {
            resend->is_written = true;
            crash_point("connector", "before.resend");
            link_send_packed(account, buf_bytes(&resend->stanza));
            n++;
        }
    }
    if (n > 0) {
        loop_defer(account->connector->loop, on_resent, NULL);
    }
    return n;
}

static size_t write_rows(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    int64_t wall_ms = clock_wall_ms();
    struct row *row;
    size_t n = 0;

    DL_FOREACH (mailbox->rows[ROWS_WINDOW], row) {
        if (row->phase != ROW_PREPARED || row->state.state != MESSAGE_DISPATCHED) {
            continue;
        }
        if (mailbox_is_late(row, wall_ms)) {
            account_ready(account); /* a turn ends it */
            continue;
        }
        mailbox_set_phase(mailbox, row, ROW_WRITTEN);
        row->written_ms = loop_now_ms(account->connector->loop);
        row->ack_due = true;
        crash_point("connector", "before.write");
        link_send_packed(account, buf_bytes(&row->stanza));
        metric_add(metrics.written, 1);
        n++;
    }
    if (n > 0) {
        loop_defer(account->connector->loop, on_written, NULL);
    }
    return n;
}

bool sender_write(struct account *account)
{
    return account->mailbox != NULL && link_is_ready(account) &&
           write_resends(account) + write_rows(account) > 0;
}
