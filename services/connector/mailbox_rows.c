#include "connector/mailbox_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/err.h"
#include "connector/account.h"
#include "connector/turn.h"
#include "domain/phone.h"
#include "pg/pg.h"

bool mailbox_is_over(enum message_state state)
{
    return message_is_settled(state) || state == MESSAGE_EXPIRED;
}

enum row_phase mailbox_phase_of(const struct message *state, bool has_stanza)
{
    if (mailbox_is_over(state->state)) {
        return ROW_DONE;
    }
    return has_stanza ? ROW_PREPARED : ROW_QUEUED;
}

void mailbox_row_done(struct row *row)
{
    buf_done(&row->stanza);
    buf_done(&row->staged_stanza);
    arena_done(&row->arena);
    free(row);
}

/* ---- out of a command ---- */

static struct wa_jid address(const char *recipient)
{
    struct destination destination;
    struct wa_jid jid;

    if (destination_parse(recipient, &destination) < 0 || !wa_jid_parse(destination.jid, &jid)) {
        return (struct wa_jid){0};
    }
    return jid;
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

struct row *mailbox_row_of(const struct account *account, const struct message_command *command)
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
    row->to = address(send->recipient);
    return row;
}

/* ---- out of the table ---- */

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
    }
    row->send.has_blast_index = !pg_is_null(rows, at, 9);
    row->send.blast_index = (int32_t)pg_get_int(rows, at, 9);
    row->send.campaign_id = text_at(row, rows, at, 10);
    row->correlation_id = text_at(row, rows, at, 11);
    row->send.has_not_after = not_after_us != INT64_MIN;
    row->send.not_after = row->send.has_not_after ? not_after_us / 1000 : 0;
    row->to = address(row->send.recipient);
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
    if (!message_state_parse(state, &loaded->state.state)) {
        int rc = err_set(err, ERR_INVALID, "message %s: state %.20s", loaded->message_id, state);

        mailbox_row_done(loaded);
        return rc;
    }
    loaded->phase = mailbox_phase_of(&loaded->state, loaded->stanza.n > 0);
    mailbox_row_add(mailbox, loaded);
    return 0;
}

void mailbox_load_retry(struct account *account, const struct pg_rows *rows, size_t row)
{
    struct mailbox *mailbox = mailbox_of(account);
    struct resend *resend = mem_new0(sizeof(*resend));
    struct uuid id = pg_get_uuid(rows, row, 1);
    struct bytes stanza = pg_get_bytes(rows, row, 5);

    memcpy(resend->message_id, id.text, UUID_TEXT_MAX);
    (void)snprintf(resend->device, sizeof(resend->device), "%s", pg_get_text(rows, row, 2));
    resend->count = (int)pg_get_int(rows, row, 3);
    (void)snprintf(resend->wa_message_id, sizeof(resend->wa_message_id), "%s",
                   pg_get_text(rows, row, 4));
    buf_add(&resend->stanza, stanza.p, stanza.n);
    LL_APPEND(mailbox->resends, resend);
}

/* ---- into the table ---- */

static void add_message_new(struct turn *turn, struct account *account, const struct row *row)
{
    struct ledger_rows *rows = turn_row(turn, TURN_MESSAGE_NEW, account->partition);
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
    pg_array_bool(c[17], mailbox_is_over(row->staged.state));
    if (row->has_staged_stanza) {
        pg_array_bytes(c[18], buf_bytes(&row->staged_stanza));
    } else {
        pg_array_null(c[18]);
    }
}

static void add_message(struct turn *turn, struct account *account, const struct row *row)
{
    struct ledger_rows *rows = turn_row(turn, TURN_MESSAGE, account->partition);
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
    pg_array_bool(c[6], mailbox_is_over(m->state));
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
