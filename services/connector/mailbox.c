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
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/turn.h"
#include "domain/phone.h"
#include "pg/pg.h"

struct mailbox *mailbox_of(struct account *account)
{
    if (account->mailbox == NULL) {
        account->mailbox = mem_new0(sizeof(*account->mailbox));
        account->mailbox->peers = peers_new(account);
    }
    return account->mailbox;
}

static void row_free(struct mailbox *mailbox, struct row *row)
{
    map_drop(&mailbox->by_id, row->wa_message_id);
    DL_DELETE(mailbox->rows, row);
    buf_done(&row->stanza);
    buf_done(&row->staged_stanza);
    arena_done(&row->arena);
    free(row);
}

void mailbox_drop_inbox(struct mailbox *mailbox)
{
    while (mailbox->inbox_first != NULL) {
        struct incoming *incoming = mailbox->inbox_first;

        mailbox->inbox_first = incoming->next;
        buf_done(&incoming->packed);
        free(incoming);
    }
    mailbox->inbox_last = NULL;
    mailbox->n_inbox = 0;
    mailbox->is_waiting = mailbox->head_is_loaded = false;
}

static void free_queues(struct mailbox *mailbox)
{
    while (mailbox->resends != NULL) {
        struct resend *resend = mailbox->resends;

        mailbox->resends = resend->next;
        buf_done(&resend->stanza);
        free(resend);
    }
    mailbox_drop_inbox(mailbox);
    while (mailbox->out_first != NULL) {
        struct outgoing *outgoing = mailbox->out_first;

        mailbox->out_first = outgoing->next;
        buf_done(&outgoing->node);
        free(outgoing);
    }
}

void mailbox_free(struct mailbox **mailbox)
{
    struct mailbox *gone = *mailbox;

    if (gone == NULL) {
        return;
    }
    loop_timer_stop(&gone->watch);
    for (struct row *row = gone->rows, *next = NULL; row != NULL; row = next) {
        next = row->next;
        row_free(gone, row);
    }
    free_queues(gone);
    peers_free(&gone->peers);
    free(gone);
    *mailbox = NULL;
}

struct row *mailbox_find(const struct mailbox *mailbox, const char *wa_message_id)
{
    return mailbox == NULL ? NULL : map_get(&mailbox->by_id, wa_message_id);
}

const struct message *mailbox_state(const struct row *row)
{
    return row->in_turn ? &row->staged : &row->state;
}

/* ---- phases: the one writer of row->phase, and of what is counted by it ---- */

static void count_phase(struct mailbox *mailbox, enum row_phase phase, int by)
{
    size_t n = (size_t)by; /* two's complement: adding SIZE_MAX takes one away */

    if (phase == ROW_DONE) {
        mailbox->n_done += n;
    } else {
        mailbox->n_open += n;
    }
    if (phase == ROW_PREPARED || phase == ROW_WRITTEN) {
        mailbox->n_window += n;
    }
}

void mailbox_set_phase(struct mailbox *mailbox, struct row *row, enum row_phase phase)
{
    count_phase(mailbox, row->phase, -1);
    row->phase = phase;
    count_phase(mailbox, phase, 1);
}

static bool is_over(enum message_state state)
{
    return message_is_settled(state) || state == MESSAGE_EXPIRED;
}

static enum row_phase phase_of(const struct message *state, bool has_stanza)
{
    if (is_over(state->state)) {
        return ROW_DONE;
    }
    return has_stanza ? ROW_PREPARED : ROW_QUEUED;
}

/* Settled rows beyond what is kept leave memory, oldest first. */
static void trim_done(struct mailbox *mailbox)
{
    struct row *row;
    struct row *next;

    for (row = mailbox->rows; row != NULL && mailbox->n_done > MAILBOX_DONE_MAX; row = next) {
        next = row->next;
        if (row->phase == ROW_DONE && !row->in_turn) {
            count_phase(mailbox, ROW_DONE, -1);
            row_free(mailbox, row);
        }
    }
}

/* ---- making rows ---- */

static bool address(const char *recipient, struct wa_jid *out)
{
    struct destination destination;

    return destination_parse(recipient, &destination) == 0 && wa_jid_parse(destination.jid, out);
}

static void add_row(struct mailbox *mailbox, struct row *row)
{
    map_put(&mailbox->by_id, row->wa_message_id, row);
    DL_APPEND(mailbox->rows, row);
    count_phase(mailbox, row->phase, 1);
}

/* The id on the wire; one that can never be sent has its own, so that ids stay unique. */
static void wire_id(const struct account *account, const char *message_id,
                    char out[CREDENTIALS_WIRE_ID_MAX])
{
    if (account->credentials != NULL) {
        credentials_wire_id(account->credentials, message_id, out);
        return;
    }
    (void)snprintf(out, CREDENTIALS_WIRE_ID_MAX, "-%.8s%.4s%.4s", message_id + 24, message_id + 32,
                   message_id + 9);
}

static struct row *row_of_command(struct account *account, const struct message_command *command)
{
    struct row *row = mem_new0(sizeof(*row));
    const struct send_message *send = &command->as.send;
    struct arena *arena = &row->arena;

    (void)snprintf(row->message_id, sizeof(row->message_id), "%s", command->aggregate_id);
    wire_id(account, row->message_id, row->wa_message_id);
    row->send = *send;
    row->send.recipient = arena_strdup(arena, send->recipient);
    row->send.kind = arena_strdup(arena, send->kind);
    row->send.text = arena_strdup(arena, send->text);
    row->send.contact_name = arena_strdup(arena, send->contact_name);
    row->send.blast_id = arena_strdup(arena, send->blast_id);
    row->send.campaign_id = arena_strdup(arena, send->campaign_id);
    row->user_id = command->user_id;
    row->correlation_id = arena_strdup(arena, command->correlation_id);
    row->state.in_blast = send->blast_id != NULL;
    if (!address(send->recipient, &row->to)) {
        row->to = (struct wa_jid){0};
    }
    return row;
}

/* ---- deciding ---- */

static void touch_row(struct turn *turn, struct account *account, struct row *row)
{
    if (!row->in_turn) {
        row->in_turn = true;
        row->staged = row->state;
        row->turn_next = account->mailbox->turn_rows;
        account->mailbox->turn_rows = row;
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
        abort();
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

/* A blast sends what expired once more: the row is there and begins again. */
static void reopen(struct turn *turn, struct account *account, struct row *row,
                   const struct send_message *send)
{
    touch_row(turn, account, row);
    row->send.has_not_after = send->has_not_after;
    row->send.not_after = send->not_after;
    row->staged.state = MESSAGE_PENDING;
}

enum verdict mailbox_accept(struct turn *turn, struct account *account,
                            const struct message_command *command, int64_t *sequence)
{
    struct mailbox *mailbox = mailbox_of(account);
    char id[CREDENTIALS_WIRE_ID_MAX];
    struct row *row;
    struct message_input input = {.kind = MESSAGE_IN_ACCEPT};
    enum verdict verdict = VERDICT_OK;

    wire_id(account, command->aggregate_id, id);
    row = mailbox_find(mailbox, id);
    if (row != NULL) {
        if (mailbox_state(row)->state == MESSAGE_EXPIRED) {
            reopen(turn, account, row, &command->as.send);
        }
        *sequence = mailbox_state(row)->sequence;
        return VERDICT_OK;
    }
    if (command->as.send.blast_id == NULL &&
        session_ask(turn_state(account)->phase, SESSION_ASKS_SEND, &verdict) ==
            SESSION_ANSWER_REFUSE) {
        return verdict;
    }
    row = row_of_command(account, command);
    row->is_new = true;
    metric_add(metrics.accepted, 1);
    add_row(mailbox, row);
    touch_row(turn, account, row);
    input.in_blast = row->state.in_blast;
    mailbox_decide(turn, account, row, &input);
    if (row->to.server == WA_SERVER_NONE) {
        input = (struct message_input){.kind = MESSAGE_IN_UNUSABLE, .reason = "not an address"};
        mailbox_decide(turn, account, row, &input);
    } else if (!can_ever_send(account)) {
        input = (struct message_input){.kind = MESSAGE_IN_SESSION_GONE};
        mailbox_decide(turn, account, row, &input);
    }
    *sequence = mailbox_state(row)->sequence;
    return VERDICT_OK;
}

void mailbox_fail(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct row *row;

    if (mailbox == NULL) {
        return;
    }
    mailbox->failing = false;
    DL_FOREACH(mailbox->rows, row)
    {
        struct message_input input = {.kind = MESSAGE_IN_SESSION_GONE};

        if (is_over(mailbox_state(row)->state)) {
            continue;
        }
        if (ledger_room(turn->tx) < TURN_ROOM_MIN) {
            mailbox->failing = true;
            account_ready(account);
            return;
        }
        mailbox_decide(turn, account, row, &input);
    }
}

/* ---- loading ---- */

static const char *text_at(struct row *row, const struct pg_rows *rows, size_t at, int column)
{
    return arena_strdup(&row->arena, pg_get_text(rows, at, column));
}

static void read_columns(struct row *row, const struct pg_rows *rows, size_t at)
{
    struct uuid id = pg_get_uuid(rows, at, 1);
    int64_t not_after_us = pg_get_time_us(rows, at, 12);
    int64_t next_us = pg_get_time_us(rows, at, 16);
    struct bytes stanza = pg_get_bytes(rows, at, 17);

    memcpy(row->message_id, id.text, UUID_TEXT_MAX);
    row->user_id = pg_get_int(rows, at, 2);
    (void)snprintf(row->wa_message_id, sizeof(row->wa_message_id), "%s", pg_get_text(rows, at, 3));
    row->send.recipient = text_at(row, rows, at, 4);
    row->send.kind = text_at(row, rows, at, 5);
    row->send.text = text_at(row, rows, at, 6);
    row->send.contact_name = text_at(row, rows, at, 7);
    if (!pg_is_null(rows, at, 8)) {
        row->send.blast_id = arena_strdup(&row->arena, pg_get_uuid(rows, at, 8).text);
        row->send.has_blast_index = true;
        row->send.blast_index = (int32_t)pg_get_int(rows, at, 9);
    }
    row->send.campaign_id = text_at(row, rows, at, 10);
    row->correlation_id = text_at(row, rows, at, 11);
    row->send.has_not_after = not_after_us != INT64_MIN;
    row->send.not_after = row->send.has_not_after ? not_after_us / 1000 : 0;
    row->state.in_blast = row->send.blast_id != NULL;
    row->state.sequence = pg_get_int(rows, at, 14);
    row->state.attempts = (int32_t)pg_get_int(rows, at, 15);
    row->state.next_attempt_ms = next_us == INT64_MIN ? 0 : next_us / 1000;
    buf_add(&row->stanza, stanza.p, stanza.n);
}

int mailbox_load_message(struct account *account, const struct pg_rows *rows, size_t row,
                         struct err *err)
{
    struct mailbox *mailbox = mailbox_of(account);
    const char *state = pg_get_text(rows, row, 13);
    struct row *loaded;

    if (mailbox_find(mailbox, pg_get_text(rows, row, 3)) != NULL) {
        return 0; /* came into memory meanwhile, and is newer there */
    }
    loaded = mem_new0(sizeof(*loaded));
    read_columns(loaded, rows, row);
    if (!message_state_parse(state, &loaded->state.state) ||
        !address(loaded->send.recipient, &loaded->to)) {
        int rc = err_set(err, ERR_INVALID, "message %s: state or recipient", loaded->message_id);

        buf_done(&loaded->stanza);
        arena_done(&loaded->arena);
        free(loaded);
        return rc;
    }
    loaded->phase = phase_of(&loaded->state, loaded->stanza.n > 0);
    add_row(mailbox, loaded);
    return 0;
}

void mailbox_load_retry(struct account *account, const struct pg_rows *rows, size_t row)
{
    struct mailbox *mailbox = mailbox_of(account);
    struct resend *resend = mem_new0(sizeof(*resend));
    struct uuid id = pg_get_uuid(rows, row, 1);
    struct bytes stanza = pg_get_bytes(rows, row, 4);

    memcpy(resend->message_id, id.text, UUID_TEXT_MAX);
    (void)snprintf(resend->device, sizeof(resend->device), "%s", pg_get_text(rows, row, 2));
    resend->count = (int)pg_get_int(rows, row, 3);
    buf_add(&resend->stanza, stanza.p, stanza.n);
    LL_APPEND(mailbox->resends, resend);
}

/* ---- the turn's end ---- */

static void add_message_new(struct turn *turn, struct account *account, const struct row *row)
{
    struct turn_rows *rows = turn_row(turn, TURN_MESSAGE_NEW, account->partition);
    struct pg_array **c = rows->column;

    pg_array_uuid(c[0], row->message_id);
    pg_array_uuid(c[1], account->state.uuid);
    pg_array_int(c[2], account->partition);
    pg_array_int(c[3], row->user_id);
    pg_array_text(c[4], row->wa_message_id);
    pg_array_text(c[5], row->send.recipient);
    pg_array_text(c[6], row->send.kind);
    pg_array_text(c[7], row->send.text);
    pg_array_text(c[8], row->send.contact_name);
    pg_array_uuid(c[9], row->send.blast_id);
    if (row->send.has_blast_index) {
        pg_array_int(c[10], row->send.blast_index);
    } else {
        pg_array_null(c[10]);
    }
    pg_array_text(c[11], row->send.campaign_id);
    pg_array_text(c[12], row->correlation_id);
    pg_array_time_us(c[13], row->send.has_not_after ? row->send.not_after * 1000 : INT64_MIN);
    pg_array_text(c[14], message_state_name(row->staged.state));
    pg_array_int(c[15], row->staged.sequence);
    pg_array_int(c[16], row->staged.attempts);
    pg_array_bool(c[17], is_over(row->staged.state));
}

static void add_message(struct turn *turn, struct account *account, const struct row *row)
{
    struct turn_rows *rows = turn_row(turn, TURN_MESSAGE, account->partition);
    struct pg_array **c = rows->column;
    const struct message *m = &row->staged;

    pg_array_uuid(c[0], row->message_id);
    pg_array_text(c[1], message_state_name(m->state));
    pg_array_int(c[2], m->sequence);
    pg_array_int(c[3], m->attempts);
    pg_array_time_us(c[4], m->next_attempt_ms == 0 ? INT64_MIN : m->next_attempt_ms * 1000);
    if (row->has_staged_stanza) {
        pg_array_bytes(c[5], buf_bytes(&row->staged_stanza));
    } else {
        pg_array_null(c[5]);
    }
    pg_array_bool(c[6], is_over(m->state));
    pg_array_int(c[7], row->state.sequence);
    pg_array_time_us(c[8], row->send.has_not_after ? row->send.not_after * 1000 : INT64_MIN);
}

void mailbox_stage(struct turn *turn, struct account *account)
{
    if (account->mailbox == NULL) {
        return;
    }
    for (const struct row *row = account->mailbox->turn_rows; row != NULL; row = row->turn_next) {
        if (row->is_new) {
            add_message_new(turn, account, row);
        } else {
            add_message(turn, account, row);
        }
    }
}

/* Make the staged row the row. */
static void settle_row(struct mailbox *mailbox, struct row *row)
{
    bool was_written = row->phase == ROW_WRITTEN;

    row->state = row->staged;
    row->in_turn = row->is_new = false;
    if (row->has_staged_stanza) {
        buf_done(&row->stanza);
        row->stanza = row->staged_stanza;
        row->staged_stanza = (struct buf){0};
        row->has_staged_stanza = false;
    }
    if (is_over(row->state.state)) {
        buf_done(&row->stanza); /* the row keeps it; nobody writes it any more */
    }
    if (was_written && row->state.state == MESSAGE_DISPATCHED) {
        return;
    }
    mailbox_set_phase(mailbox, row, phase_of(&row->state, row->stanza.n > 0));
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
    trim_done(mailbox);
}
