#include "connector/intake.h"

#include "base/buf.h"
#include "bus/bus_key.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/mailbox.h"
#include "connector/turn.h"
#include "domain/answer.h"

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
    ledger_verdict(turn->tx, partition, answer->command_id, reply_to, buf_text(&json));
    buf_done(&json);
}

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
    answer(turn, record->partition, &said, command->reply_to);
}

static void take_message(struct turn *turn, const struct ledger_record *record)
{
    const struct message_command *command = record->data;
    struct account *account = addressee(turn, command->session_uuid, record->partition);
    struct answer said = {.command_id = command->command_id,
                          .aggregate_type = "message",
                          .aggregate_id = command->aggregate_id};

    said.verdict = mailbox_accept(turn, account, command, &said.sequence);
    answer(turn, record->partition, &said, command->reply_to);
}

void intake_record(struct turn *turn, const struct ledger_record *record)
{
    const char *uuid = record->topic == TOPIC_SESSION_CMD
                           ? ((const struct session_command *)record->data)->session_uuid
                           : ((const struct message_command *)record->data)->session_uuid;

    if (!uuid_is_valid(uuid)) {
        ledger_dead(turn->tx, record, "session_uuid is not a uuid");
    } else if (bus_partition(uuid) != record->partition) {
        ledger_dead(turn->tx, record, "the partition is not that of session_uuid");
    } else if (record->topic == TOPIC_SESSION_CMD) {
        take_session(turn, record);
    } else {
        take_message(turn, record);
    }
}
