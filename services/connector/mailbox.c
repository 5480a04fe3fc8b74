#include "connector/mailbox.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/lids.h"
#include "connector/mailbox_rows.h"
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/turn.h"
#include "domain/phone.h"

struct mailbox *mailbox_of(struct account *account)
{
    if (account->mailbox == NULL) {
        account->mailbox = mem_new0(sizeof(*account->mailbox));
        account->mailbox->expiry_ms = INT64_MAX;
        account->mailbox->lids = lids_new(account);
        account->mailbox->peers = peers_new(account);
    }
    account->mailbox->used_ms = loop_now_ms(account->connector->loop);
    return account->mailbox;
}

static void drop_resends(struct mailbox *mailbox)
{
    while (mailbox->resends != NULL) {
        struct resend *resend = mailbox->resends;

        mailbox->resends = resend->next;
        buf_done(&resend->stanza);
        free(resend);
    }
}

void mailbox_drop_out(struct mailbox *mailbox)
{
    while (mailbox->out_first != NULL) {
        struct outgoing *outgoing = mailbox->out_first;

        mailbox->out_first = outgoing->next;
        buf_done(&outgoing->node);
        free(outgoing);
    }
    mailbox->out_last = NULL;
}

static void drop_rows(struct mailbox *mailbox, enum row_list list)
{
    while (mailbox->rows[list] != NULL) {
        mailbox_row_free(mailbox, mailbox->rows[list]);
    }
}

void mailbox_free(struct mailbox **mailbox)
{
    struct mailbox *gone = *mailbox;

    if (gone == NULL) {
        return;
    }
    loop_timer_stop(&gone->watch);
    for (int list = 0; list < ROWS_COUNT; list++) {
        drop_rows(gone, (enum row_list)list);
    }
    drop_resends(gone);
    mailbox_drop_inbox(gone);
    mailbox_drop_out(gone);
    peers_free(&gone->peers);
    lids_free(&gone->lids);
    free(gone);
    *mailbox = NULL;
}

void mailbox_forget(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;

    assert(mailbox->turn_rows == NULL);
    mailbox_drop_inbox(mailbox);
    mailbox_drop_out(mailbox);
    drop_resends(mailbox);
    peers_free(&mailbox->peers);
    lids_free(&mailbox->lids);
    mailbox->lids = lids_new(account);
    mailbox->peers = peers_new(account);
}

size_t mailbox_n_open(const struct mailbox *mailbox)
{
    return mailbox == NULL ? 0 : mailbox->n[ROWS_QUEUED] + mailbox->n[ROWS_WINDOW];
}

static bool has_work(const struct mailbox *mailbox, int64_t now_ms)
{
    return mailbox_n_open(mailbox) > 0 || mailbox->n_inbox > 0 || mailbox->fetching_for != 0 ||
           mailbox->resends != NULL || mailbox->out_first != NULL ||
           now_ms - mailbox->used_ms < MAILBOX_REST_MS;
}

bool mailbox_rest(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    bool gives = mailbox != NULL;

    if (account->in_turn ||
        (mailbox != NULL && has_work(mailbox, loop_now_ms(account->connector->loop)))) {
        return false;
    }
    if (account->signal != NULL && !sigstore_is_begun(account->signal)) {
        sigstore_trim(account->signal, 0);
    }
    mailbox_free(&account->mailbox);
    return gives;
}

struct row *mailbox_find(const struct mailbox *mailbox, const char *wa_message_id)
{
    return mailbox == NULL ? NULL : map_get(&mailbox->by_wire, wa_message_id);
}

const struct message *mailbox_state(const struct row *row)
{
    return row->in_turn ? &row->staged : &row->state;
}

bool mailbox_is_late(const struct row *row, int64_t wall_ms)
{
    return row->send.has_not_after && row->send.not_after < wall_ms;
}

/* ---- lists: the one writer of row->phase ---- */

static enum row_list list_of(enum row_phase phase)
{
    return phase == ROW_QUEUED ? ROWS_QUEUED : phase == ROW_DONE ? ROWS_DONE : ROWS_WINDOW;
}

static void link_row(struct mailbox *mailbox, struct row *row)
{
    enum row_list list = list_of(row->phase);

    DL_APPEND(mailbox->rows[list], row);
    mailbox->n[list]++;
    if (row->phase == ROW_QUEUED && row->send.has_not_after &&
        row->send.not_after < mailbox->expiry_ms) {
        mailbox->expiry_ms = row->send.not_after;
    }
}

static void unlink_row(struct mailbox *mailbox, struct row *row)
{
    enum row_list list = list_of(row->phase);

    DL_DELETE(mailbox->rows[list], row);
    mailbox->n[list]--;
}

void mailbox_set_phase(struct mailbox *mailbox, struct row *row, enum row_phase phase)
{
    if (list_of(row->phase) == list_of(phase)) {
        row->phase = phase;
        return;
    }
    unlink_row(mailbox, row);
    row->phase = phase;
    link_row(mailbox, row);
}

void mailbox_row_add(struct mailbox *mailbox, struct row *row)
{
    map_put(&mailbox->by_wire, row->wa_message_id, row);
    map_put(&mailbox->by_id, row->message_id, row);
    link_row(mailbox, row);
}

void mailbox_row_free(struct mailbox *mailbox, struct row *row)
{
    map_drop(&mailbox->by_wire, row->wa_message_id);
    map_drop(&mailbox->by_id, row->message_id);
    unlink_row(mailbox, row);
    mailbox_row_done(row);
}

/* Settled rows beyond what is kept leave memory, oldest first; not while stanzas wait for which
 * they were read. */
static void trim_done(struct mailbox *mailbox)
{
    struct row *row = mailbox->rows[ROWS_DONE];
    struct row *next;

    if (mailbox->n_rows_asked > 0) {
        return;
    }
    for (; row != NULL && mailbox->n[ROWS_DONE] > MAILBOX_DONE_MAX; row = next) {
        next = row->next;
        if (!row->in_turn) {
            mailbox_row_free(mailbox, row);
        }
    }
}

/* ---- deciding ---- */

static void touch_row(struct turn *turn, struct account *account, struct row *row)
{
    struct mailbox *mailbox = account->mailbox;

    if (!row->in_turn) {
        row->in_turn = true;
        row->staged = row->state;
        *(mailbox->turn_last != NULL ? &mailbox->turn_last->turn_next : &mailbox->turn_rows) = row;
        mailbox->turn_last = row;
        turn_touch(turn, account);
    }
}

static void emit(struct turn *turn, struct account *account, const struct row *row,
                 struct message_event *event)
{
    struct err err = {0};

    event->aggregate_id = row->message_id;
    event->correlation_id = row->send.blast_id != NULL ? row->send.blast_id : row->correlation_id;
    event->actor_kind = "connector";
    event->actor_id = turn->connector->config.common.instance_id;
    event->session_uuid = account->state.uuid;
    event->session_key = turn_state(account)->session_key;
    event->user_id = row->user_id;
    event->blast_id = row->send.blast_id;
    event->has_blast_index = row->send.has_blast_index;
    event->blast_index = row->send.blast_index;
    event->campaign_id = row->send.campaign_id;
    if (ledger_emit(turn->tx, account->partition, TOPIC_MESSAGE_EVENTS, account->state.uuid, event,
                    &err) < 0) {
        log_error("event cannot be written", LOG_STR("message", row->message_id),
                  LOG_STR("why", err.text));
        abort(); /* room was looked at before, and the texts came through a codec */
    }
}

void mailbox_decide(struct turn *turn, struct account *account, struct row *row,
                    struct message_input *input)
{
    struct message_decision decision;

    input->now_ms = turn->now_us / 1000;
    input->max_attempts = (int32_t)turn->connector->config.max_attempts;
    input->send = &row->send;
    if (input->wa_message_id == NULL) {
        input->wa_message_id = row->wa_message_id;
    }
    message_decide(mailbox_state(row), input, &decision);
    if (!decision.has_event) {
        return;
    }
    touch_row(turn, account, row);
    emit(turn, account, row, &decision.event);
    message_evolve(&row->staged, &decision.event);
}

static bool can_ever_send(const struct account *account)
{
    enum session_phase phase = turn_state(account)->phase;

    return account->credentials != NULL && phase != SESSION_LOGGED_OUT && phase != SESSION_DELETED;
}

/* What can be said of a row at hand-over already. */
static void look_once(struct turn *turn, struct account *account, struct row *row)
{
    struct message_input input = {.kind = MESSAGE_IN_UNUSABLE};

    if (row->to.server == WA_SERVER_NONE) {
        input.reason = "not an address";
    } else if (!wa_jid_is_user(&row->to)) {
        input.reason = "groups cannot be sent to";
    } else if (strcmp(row->send.kind, "text") != 0) {
        input.reason = "only texts can be sent";
    } else if (!can_ever_send(account)) {
        input.kind = MESSAGE_IN_SESSION_GONE;
    } else {
        return;
    }
    mailbox_decide(turn, account, row, &input);
}

/* A blast sends what expired once more: the row is there and begins again. */
static void reopen(struct turn *turn, struct account *account, struct row *row,
                   const struct send_message *send)
{
    touch_row(turn, account, row);
    row->send.has_not_after = send->has_not_after;
    row->send.not_after = send->not_after;
    row->staged.state = MESSAGE_PENDING;
    look_once(turn, account, row);
}

static struct row *insert(struct turn *turn, struct account *account,
                          const struct message_command *command)
{
    struct row *row = mailbox_row_of(account, command);

    row->is_new = true;
    mailbox_row_add(account->mailbox, row);
    touch_row(turn, account, row);
    return row;
}

static struct row *add_new(struct turn *turn, struct account *account,
                           const struct message_command *command)
{
    struct row *row = insert(turn, account, command);
    struct message_input input = {.kind = MESSAGE_IN_ACCEPT, .in_blast = row->state.in_blast};

    metric_add(metrics.accepted, 1);
    mailbox_decide(turn, account, row, &input);
    look_once(turn, account, row);
    return row;
}

enum verdict mailbox_accept(struct turn *turn, struct account *account,
                            const struct message_command *command, int64_t *sequence)
{
    struct mailbox *mailbox = mailbox_of(account);
    struct row *row = map_get(&mailbox->by_id, command->aggregate_id);
    enum verdict verdict = VERDICT_OK;

    if (row == NULL && command->as.send.blast_id == NULL &&
        session_ask(turn_state(account)->phase, SESSION_ASKS_SEND, &verdict) ==
            SESSION_ANSWER_REFUSE) {
        return verdict;
    }
    if (row == NULL) {
        row = add_new(turn, account, command);
    } else if (mailbox_state(row)->state == MESSAGE_EXPIRED) {
        reopen(turn, account, row, &command->as.send);
    }
    *sequence = mailbox_state(row)->sequence;
    return VERDICT_OK;
}

void mailbox_refuse(struct turn *turn, struct account *account,
                    const struct message_command *command, const char *id, const char *why)
{
    struct message_command as = *command;
    struct message_input input = {.kind = MESSAGE_IN_REFUSED, .reason = why};

    as.aggregate_id = id;
    if (map_get(&mailbox_of(account)->by_id, id) == NULL) { /* else of this turn */
        mailbox_decide(turn, account, insert(turn, account, &as), &input);
    }
}

void mailbox_fail(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct row *row;

    if (mailbox == NULL) {
        return;
    }
    mailbox->failing = false;
    for (int list = ROWS_QUEUED; list <= ROWS_WINDOW; list++) {
        DL_FOREACH (mailbox->rows[list], row) {
            struct message_input input = {.kind = MESSAGE_IN_SESSION_GONE};

            if (ledger_room(turn->tx) < TURN_ROOM_MIN) {
                mailbox->failing = true;
                account_ready(account);
                return;
            }
            mailbox_decide(turn, account, row, &input);
        }
    }
}

/* ---- the turn's end ---- */

/* Make the staged row the row. */
static void settle_row(struct mailbox *mailbox, struct row *row)
{
    enum row_phase phase;

    row->state = row->staged;
    row->in_turn = row->is_new = false;
    if (row->has_staged_stanza) {
        buf_done(&row->stanza);
        row->stanza = row->staged_stanza;
        row->staged_stanza = (struct buf){0};
        row->has_staged_stanza = false;
    }
    phase = mailbox_phase_of(&row->state, row->stanza.n > 0);
    if (phase == ROW_DONE) {
        buf_done(&row->stanza); /* nobody writes it any more */
    }
    if (phase != ROW_PREPARED || row->phase != ROW_WRITTEN ||
        row->state.state != MESSAGE_DISPATCHED) {
        mailbox_set_phase(mailbox, row, phase);
    }
}

void mailbox_settle(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;

    while (mailbox->turn_rows != NULL) {
        struct row *row = mailbox->turn_rows;

        mailbox->turn_rows = row->turn_next;
        row->turn_next = NULL;
        settle_row(mailbox, row);
    }
    mailbox->turn_last = NULL;
    trim_done(mailbox);
}
