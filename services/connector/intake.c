#include "connector/intake.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/bus_key.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/mailbox.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "domain/answer.h"
#include "domain/ids.h"
#include "pg/pg.h"
#include "record/record_sane.h"

/* At most this many events come of one message at its hand-over: queued, and dispatched or ended.
 */
enum { EVENTS_OF_MESSAGE = 2 };

/* The account that a command is about; one that never existed is made for the time of the turn. */
static struct account *addressee(struct turn *turn, const char *uuid, int partition)
{
    struct account *account = account_find(turn->connector, uuid);

    if (account == NULL) {
        account = account_new(turn->connector, uuid, partition);
        account->epoch = ledger_epoch(turn->connector->ledger, partition);
    }
    turn_touch(turn, account);
    return account;
}

static void answer(struct turn *turn, int partition, const struct answer *answer,
                   const char *reply_to)
{
    struct buf json = {0};

    answer_to_json(answer, &json);
    ledger_verdict(turn->tx, partition, answer->command_id, reply_to, buf_text(&json),
                   verdict_is_final(answer->verdict));
    buf_done(&json);
}

/* ---- sessions ---- */

static void take_session(struct turn *turn, const struct ledger_record *record)
{
    const struct session_command *command = record->data;
    struct account *account = addressee(turn, command->session_uuid, record->partition);
    struct session_context context = turn_context(turn, account);
    struct turn_cause cause = {command->correlation_id, command->command_id, command->actor_kind,
                               command->actor_id};
    struct answer said = {.command_id = command->command_id,
                          .aggregate_type = "session",
                          .aggregate_id = command->session_uuid};

    if (turn->now_us / 1000 > command->deadline) {
        said.verdict = VERDICT_EXPIRED;
    } else {
        struct session_decision decision;

        session_decide(turn_state(account), command, &context, &decision);
        said.verdict = decision.verdict;
        turn_decision(turn, account, &decision, &cause);
    }
    said.sequence = turn_state(account)->sequence;
    log_info("command decided", LOG_STR("session", command->session_uuid),
             LOG_STR("kind", command->command_type),
             LOG_STR("verdict", verdict_code(said.verdict)));
    answer(turn, record->partition, &said, command->reply_to);
}

/* ---- messages ---- */

/* The id that the blast of @command gives to its recipient; "": it names none. */
static struct uuid blasts_id(const struct message_command *command)
{
    const struct send_message *send = &command->as.send;

    if (command->kind != MESSAGE_COMMAND_SEND || send->blast_id == NULL ||
        !uuid_is_valid(send->blast_id) || !send->has_blast_index) {
        return (struct uuid){0};
    }
    return blast_message_uuid(send->blast_id, send->blast_index);
}

static struct turn_handed *hand_over(struct turn *turn, const struct ledger_record *record)
{
    const struct message_command *command = record->data;
    struct turn_handed *handed = arena_new0(ledger_tx_arena(turn->tx), sizeof(*handed));

    handed->account = addressee(turn, command->session_uuid, record->partition);
    handed->record = record;
    handed->blasts = blasts_id(command);
    *(turn->handed_last != NULL ? &turn->handed_last->next : &turn->handed) = handed;
    turn->handed_last = handed;
    ledger_promise(turn->tx, EVENTS_OF_MESSAGE, EVENTS_OF_MESSAGE * record->wire.n);
    return handed;
}

static bool is_long(const char *text)
{
    return text != NULL && strlen(text) > INTAKE_ID_MAX;
}

/* What is kept of a command that is refused, perhaps for its length: nobody sends it. */
static struct message_command without_texts(const struct message_command *command)
{
    struct message_command as = *command;
    struct send_message *send = &as.as.send;

    send->text = "";
    send->contact_name = NULL;
    send->recipient = is_long(send->recipient) ? "" : send->recipient;
    send->kind = is_long(send->kind) ? "" : send->kind;
    send->campaign_id = is_long(send->campaign_id) ? NULL : send->campaign_id;
    as.correlation_id = is_long(as.correlation_id) ? NULL : as.correlation_id;
    return as;
}

/* Nothing will come of it: a blast that waits for it hears so (S4). */
static void refuse(struct turn *turn, const struct turn_handed *handed, const char *why)
{
    struct message_command as;

    if (handed->blasts.text[0] != '\0' && !handed->is_told) {
        as = without_texts(handed->record->data);
        mailbox_refuse(turn, handed->account, &as, handed->blasts.text, why);
    }
}

static void accept_one(struct turn *turn, const struct turn_handed *handed)
{
    const struct message_command *command = handed->record->data;
    struct answer said = {.command_id = command->command_id,
                          .aggregate_type = "message",
                          .aggregate_id = command->aggregate_id};

    ledger_redeem(turn->tx, EVENTS_OF_MESSAGE, EVENTS_OF_MESSAGE * handed->record->wire.n);
    if (handed->nonsense != NULL) {
        refuse(turn, handed, handed->nonsense);
        return; /* a dead letter, without an answer */
    }
    if (handed->is_foreign) {
        refuse(turn, handed, "the id is another session's");
        said.verdict = VERDICT_INVALID_REQUEST;
    } else if (command->kind == MESSAGE_COMMAND_SEND && !handed->is_unreadable) {
        said.verdict = mailbox_accept(turn, handed->account, command, &said.sequence);
    } else {
        said.verdict = VERDICT_INVALID_REQUEST; /* or of a later version */
    }
    answer(turn, handed->record->partition, &said, command->reply_to);
}

/* A row that the table has: a message that comes again is not accepted twice. */
static void load_known(struct turn *turn, const struct pg_rows *rows, size_t row)
{
    struct uuid session = pg_get_uuid(rows, row, 0);
    struct uuid id = pg_get_uuid(rows, row, 1);
    struct err err = {0};

    for (struct turn_handed *at = turn->handed; at != NULL; at = at->next) {
        const struct message_command *command = at->record->data;

        at->is_told = at->is_told || strcmp(at->blasts.text, id.text) == 0;
        if (at->nonsense != NULL || strcmp(command->aggregate_id, id.text) != 0) {
            continue;
        }
        if (strcmp(at->account->state.uuid, session.text) != 0) {
            at->is_foreign = true;
        } else if (mailbox_load_message(at->account, rows, row, &err) < 0) {
            at->is_unreadable = true;
            log_error("message row is unreadable", LOG_STR("why", err.text));
        }
    }
}

static void on_known(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct turn *turn = ctx;

    (void)err; /* when the turn fails this does not run */
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        load_known(turn, rows, i);
    }
    for (const struct turn_handed *at = turn->handed; at != NULL; at = at->next) {
        accept_one(turn, at);
    }
    for (struct account *account = turn->touched; account != NULL; account = account->turn_next) {
        if (mailbox_n_open(account->mailbox) > 0) {
            sender_run(turn, account);
        }
    }
    turn_answered(turn);
}

void intake_handed(struct turn *turn)
{
    struct pg_stmt *stmt;
    struct pg_array *ids;

    if (turn->handed == NULL) {
        return;
    }
    stmt = pg_stmt_new("SELECT session_uuid, " MAILBOX_COLUMNS " FROM message "
                       "WHERE message_id = ANY($1::uuid[])");
    ids = pg_add_array(stmt, PG_ARRAY_UUID);
    for (const struct turn_handed *at = turn->handed; at != NULL; at = at->next) {
        if (at->nonsense == NULL) {
            pg_array_uuid(ids, ((const struct message_command *)at->record->data)->aggregate_id);
        }
        if (at->blasts.text[0] != '\0') { /* mostly the same */
            pg_array_uuid(ids, at->blasts.text);
        }
    }
    turn_ask(turn, stmt, on_known, turn);
}

/* ---- what can be decided at all ---- */

/* Why @record is none of @session's; NULL: it is. */
static const char *misplaced(const struct ledger_record *record, const char *session)
{
    if (!uuid_is_valid(session)) {
        return "session_uuid is not a uuid";
    }
    return bus_partition(session) == record->partition
               ? NULL
               : "the partition is not that of session_uuid";
}

/* A text of a command, and how many bytes it may have. */
struct bound {
    const char *name;
    const char *text;
    size_t max;
};

/* Which time of @record no column takes, or which of the @n texts is too long for its events and
 * rows; NULL: none. The ledger has looked at command_id. */
static const char *unfit(const struct turn *turn, const struct ledger_record *record,
                         const struct bound *bounds, size_t n)
{
    struct arena *arena = ledger_tx_arena(turn->tx);
    struct err err = {0};

    if (record_is_sane(topics[record->topic].type, record->data, &err) < 0) {
        return arena_strdup(arena, err.text);
    }
    if (record->wire.n > INTAKE_COMMAND_MAX) {
        return arena_printf(arena, "a command of %zu bytes, at most %d", record->wire.n,
                            INTAKE_COMMAND_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        if (bounds[i].text != NULL && strlen(bounds[i].text) > bounds[i].max) {
            return arena_printf(arena, "%s is over %zu bytes", bounds[i].name, bounds[i].max);
        }
    }
    return NULL;
}

#define BOUNDS_N(bounds) (sizeof(bounds) / sizeof((bounds)[0]))

static const char *message_unfit(const struct turn *turn, const struct ledger_record *record)
{
    const struct message_command *m = record->data;
    const struct send_message *send = &m->as.send;
    const struct bound bounds[] = {
        {"correlation_id", m->correlation_id, INTAKE_ID_MAX},
        {"reply_to", m->reply_to, INTAKE_ID_MAX},
        {"text", send->text, MESSAGE_TEXT_MAX},
        {"recipient", send->recipient, INTAKE_ID_MAX},
        {"kind", send->kind, INTAKE_ID_MAX},
        {"campaign_id", send->campaign_id, INTAKE_ID_MAX},
    };

    return unfit(turn, record, bounds, BOUNDS_N(bounds));
}

static const char *session_unfit(const struct turn *turn, const struct ledger_record *record)
{
    const struct session_command *s = record->data;
    bool creates = s->kind == SESSION_COMMAND_CREATE;
    const struct bound bounds[] = {
        {"correlation_id", s->correlation_id, INTAKE_ID_MAX},
        {"reply_to", s->reply_to, INTAKE_ID_MAX},
        {"actor_kind", s->actor_kind, INTAKE_ID_MAX},
        {"actor_id", s->actor_id, INTAKE_ID_MAX},
        {"session_key", creates ? s->as.create.session_key : NULL, INTAKE_ID_MAX},
        {"name", creates ? s->as.create.name : NULL, INTAKE_ID_MAX},
        {"name", s->kind == SESSION_COMMAND_RENAME_TO ? s->as.rename_to.name : NULL, INTAKE_ID_MAX},
    };

    return unfit(turn, record, bounds, BOUNDS_N(bounds));
}

/* Why the message of @record makes no sense; NULL: it does. What it says goes into columns as it
 * is. */
static const char *nonsense(const struct turn *turn, const struct ledger_record *record)
{
    const struct message_command *message = record->data;

    if (!uuid_is_valid(message->aggregate_id)) {
        return "aggregate_id is not a uuid";
    }
    if (message->kind == MESSAGE_COMMAND_SEND && message->as.send.blast_id != NULL &&
        !uuid_is_valid(message->as.send.blast_id)) {
        return "blast_id is not a uuid";
    }
    return message_unfit(turn, record);
}

static void intake_session(struct turn *turn, const struct ledger_record *record)
{
    const struct session_command *command = record->data;
    const char *why = misplaced(record, command->session_uuid);

    if (why == NULL && strcmp(command->aggregate_id, command->session_uuid) != 0) {
        why = "aggregate_id is not session_uuid";
    }
    if (why == NULL) {
        why = session_unfit(turn, record);
    }
    if (why != NULL) {
        ledger_dead(turn->tx, record, why);
    } else {
        take_session(turn, record);
    }
}

static void intake_message(struct turn *turn, const struct ledger_record *record)
{
    const struct message_command *command = record->data;
    const char *why = misplaced(record, command->session_uuid);

    if (why != NULL) {
        ledger_dead(turn->tx, record, why);
        return;
    }
    why = nonsense(turn, record);
    if (why != NULL) {
        ledger_dead(turn->tx, record, why);
    }
    hand_over(turn, record)->nonsense = why;
}

void intake_record(struct turn *turn, const struct ledger_record *record)
{
    if (record->topic == TOPIC_SESSION_CMD) {
        intake_session(turn, record);
    } else {
        intake_message(turn, record);
    }
}
