#include "connector/sender.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "wa/wa_ack.h"
#include "wa/wa_body.h"
#include "wa/wa_message.h"

/* ---- prepare ---- */

/* Why a row is not prepared now: it waits, or it never will be. */
enum fate { FATE_READY, FATE_WAITS, FATE_UNREACHABLE };

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

static void build_stanza(struct envelope *envelope, struct buf *out)
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

    if (wa_node_encode(wa_message_sent_build(&envelope->arena, &message), out, NULL) < 0) {
        abort(); /* texts and devices were bounded when they came in */
    }
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
    if (fate == FATE_READY) {
        struct message_input input = {.kind = MESSAGE_IN_DISPATCH};

        build_stanza(&envelope, &row->staged_stanza);
        row->has_staged_stanza = true;
        mailbox_decide(turn, account, row, &input);
        peers_used(account->mailbox->peers, &peer->user);
        peers_used(account->mailbox->peers, &own->user);
    } else if (fate == FATE_WAITS) {
        peers_forget(account->mailbox->peers, &peer->user);
        peers_forget(account->mailbox->peers, &own->user);
    }
    arena_done(&envelope.arena);
    return fate;
}

static void unusable(struct turn *turn, struct account *account, struct row *row,
                     const char *reason)
{
    struct message_input input = {.kind = MESSAGE_IN_UNUSABLE, .reason = reason};

    mailbox_decide(turn, account, row, &input);
    peers_used(account->mailbox->peers, &row->to);
}

/* A queued row: prepared, or why not. */
static void try_row(struct turn *turn, struct account *account, struct row *row)
{
    struct peers *peers = account->mailbox->peers;
    const struct wa_jid *own_jid = &account->credentials->device.pn;
    const struct peer *peer;
    const struct peer *own;

    if (!wa_jid_is_user(&row->to)) {
        unusable(turn, account, row, "only people can be sent to");
        return;
    }
    (void)peers_find(peers, own_jid); /* first: finding may move others out */
    peer = peers_find(peers, &row->to);
    if (peer->state == PEER_UNREACHABLE) {
        unusable(turn, account, row, "not on WhatsApp");
        return;
    }
    own = peers_find(peers, own_jid);
    if (peer->state == PEER_READY && own->state == PEER_READY &&
        prepare(turn, account, row, peer, own) == FATE_UNREACHABLE) {
        unusable(turn, account, row, "no device with keys");
    }
}

/* ---- time ---- */

static bool is_late(const struct turn *turn, const struct row *row)
{
    return row->send.has_not_after && row->send.not_after < turn->now_us / 1000;
}

static void expire(struct turn *turn, struct account *account, struct row *row)
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

static bool ack_is_overdue(const struct account *account, const struct row *row)
{
    struct connector *connector = account->connector;

    return row->phase == ROW_WRITTEN && mailbox_state(row)->state == MESSAGE_DISPATCHED &&
           loop_now_ms(connector->loop) - row->written_ms >= connector->config.ack_timeout_ms;
}

/* What the state of one row asks for now. False: the turn is full. */
static bool run_row(struct turn *turn, struct account *account, struct row *row, size_t *window)
{
    const struct message *message = mailbox_state(row);
    bool online = is_online(account);

    if (row->is_new || row->phase == ROW_DONE) {
        return true; /* a new row is prepared once it is committed */
    }
    if (ledger_room(turn->tx) < TURN_ROOM_MIN) {
        return false;
    }
    if (row->phase == ROW_QUEUED) {
        if (is_late(turn, row)) {
            expire(turn, account, row);
        } else if (online && *window < (size_t)turn->connector->config.send_window) {
            try_row(turn, account, row);
            *window += row->has_staged_stanza ? 1 : 0;
        }
    } else if (ack_is_overdue(account, row)) {
        struct message_input input = {.kind = MESSAGE_IN_NO_ANSWER, .reason = "no_ack"};

        mailbox_decide(turn, account, row, &input);
        account->mailbox->is_unheard = true;
    } else if (message->state == MESSAGE_FAILED_RETRY && online &&
               message->next_attempt_ms <= turn->now_us / 1000) {
        if (is_late(turn, row)) {
            expire(turn, account, row);
        } else {
            try_again(turn, account, row);
        }
    }
    return true;
}

void sender_run(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    size_t window = mailbox->n_window;
    struct row *row;

    if (mailbox->n_open == 0) {
        return;
    }
    DL_FOREACH(mailbox->rows, row)
    {
        if (!run_row(turn, account, row, &window)) {
            account_ready(account);
            break;
        }
    }
}

/* Could a turn do something about a queued row? */
static bool can_go_on(struct account *account, const struct row *row)
{
    enum peer_state state;

    if (row->phase != ROW_QUEUED) {
        return false;
    }
    if (!wa_jid_is_user(&row->to)) {
        return true;
    }
    state = peers_find(account->mailbox->peers, &row->to)->state;
    return state == PEER_READY || state == PEER_UNREACHABLE;
}

void sender_wake(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    size_t looked = 0;
    struct row *row;

    if (!link_is_ready(account) ||
        mailbox->n_window >= (size_t)account->connector->config.send_window) {
        return;
    }
    DL_FOREACH(mailbox->rows, row)
    {
        if (can_go_on(account, row)) {
            account_ready(account);
            return;
        }
        looked += row->phase == ROW_QUEUED ? 1 : 0;
        if (looked > PEERS_AHEAD_MAX) {
            return;
        }
    }
}

/* ---- acks ---- */

void sender_ack(struct turn *turn, struct account *account, const struct wa_node *node)
{
    struct message_input input = {.kind = MESSAGE_IN_SEND_ACCEPTED};
    struct wa_ack ack;
    struct row *row;
    char reason[32];

    if (!wa_ack_parse(node, &ack) || strcmp(ack.class, "message") != 0) {
        return;
    }
    row = mailbox_find(account->mailbox, ack.id);
    if (row == NULL) {
        return;
    }
    mailbox_resend_acked(turn, account, row);
    if (ack.error != 0) {
        (void)snprintf(reason, sizeof(reason), "whatsapp_%d", ack.error);
        input.kind = MESSAGE_IN_SEND_REJECTED;
        input.reason = reason;
        input.permanent = ack.error != 408 && ack.error != 429 && ack.error < 500;
        metric_add(metrics.refused, 1);
    } else {
        input.at_ms = ack.time * 1000;
        metric_add(metrics.acked, 1);
    }
    if (row->phase == ROW_WRITTEN) {
        metric_observe_us(metrics.ack_seconds,
                          (loop_now_ms(account->connector->loop) - row->written_ms) * 1000);
    }
    mailbox_decide(turn, account, row, &input);
}

/* ---- writing ---- */

void sender_write(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct row *row;
    struct resend *resend;

    if (mailbox == NULL || !link_is_ready(account)) {
        return;
    }
    LL_FOREACH(mailbox->resends, resend)
    {
        if (!resend->is_written && !resend->is_new) {
            resend->is_written = true;
            link_send_packed(account, buf_bytes(&resend->stanza));
        }
    }
    if (mailbox->n_window == 0) {
        return;
    }
    DL_FOREACH(mailbox->rows, row)
    {
        if (row->phase == ROW_PREPARED && row->state.state == MESSAGE_DISPATCHED) {
            mailbox_set_phase(mailbox, row, ROW_WRITTEN);
            row->written_ms = loop_now_ms(account->connector->loop);
            link_send_packed(account, buf_bytes(&row->stanza));
            metric_add(metrics.written, 1);
            crash_point("connector", "after.write");
        }
    }
}
