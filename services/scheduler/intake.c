#include "scheduler/intake.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "domain/message.h"
#include "pg/pg.h"
#include "scheduler/account.h"
#include "scheduler/bounds.h"
#include "scheduler/command.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"
#include "scheduler/turn.h"

enum { CHUNK_RECIPIENTS_MAX = 500, UPLOAD_ID_MAX = BLAST_UPLOAD_MAX - 1 };

/* A blast of another partition is nothing to remember. */
static void drop_stranger(struct run **run)
{
    if ((*run)->is_stranger) {
        run_free(run);
    }
}

static bool take_command(struct turn *turn)
{
    const struct blast_command *command = turn->record->data;
    struct err err = {0};
    struct run *run;

    if (!ledger_record_is_of(turn->record, command->session_uuid) ||
        !uuid_is_valid(command->aggregate_id)) {
        ledger_dead(turn->tx, turn->record, "ids that are not, or not of this partition");
        return true;
    }
    if (bounds_check(command, &err) < 0) {
        ledger_dead(turn->tx, turn->record, err.text);
        return true;
    }
    run = turn_run(turn, command->aggregate_id, turn->record->partition);
    if (run != NULL) {
        command_take(turn, run, turn->record);
        drop_stranger(&run);
        return true;
    }
    return false;
}

static void take_chunk(struct turn *turn)
{
    const struct ledger_record *record = turn->record;
    const struct blast_recipients *chunk = record->data;
    size_t n = chunk->recipients.n;
    struct pg_array **c;

    if (!ledger_record_is_of(turn->record, chunk->session_uuid) ||
        !uuid_is_valid(chunk->blast_id) || strlen(chunk->upload_id) > UPLOAD_ID_MAX) {
        ledger_dead(turn->tx, record, "ids that are not, or not of this partition");
        return;
    }
    if (n == 0 || n > CHUNK_RECIPIENTS_MAX || chunk->first_index < 0 ||
        chunk->first_index > INT32_MAX - CHUNK_RECIPIENTS_MAX) {
        ledger_dead(turn->tx, record, "recipients out of bounds");
        return;
    }
    c = turn_row(turn, TURN_CHUNK, record->partition)->column;
    pg_array_uuid(c[0], chunk->blast_id);
    pg_array_text(c[1], chunk->upload_id);
    pg_array_int(c[2], chunk->first_index);
    pg_array_int(c[3], record->partition);
    pg_array_int(c[4], (int64_t)n);
    pg_array_bytes(c[5], record->wire);
    metric_add(turn->scheduler->metrics.chunks, 1);
}

static void take_session(struct turn *turn)
{
    const struct session_event *event = turn->record->data;
    enum blast_account before;
    struct account *account;
    struct run *run;

    if (!ledger_record_is_of(turn->record, event->aggregate_id)) {
        ledger_dead(turn->tx, turn->record, "ids that are not, or not of this partition");
        return;
    }
    account = account_get(turn->scheduler, event->aggregate_id, turn->record->partition);
    before = account_standing(account);
    if (event->sequence != account->sequence + 1) {
        log_warn("a session's events do not follow each other", LOG_STR("session", account->uuid),
                 LOG_INT("expected", account->sequence + 1), LOG_INT("sequence", event->sequence));
    }
    account_evolve(account, event);
    turn_touch_account(turn, account);
    if (account_standing(account) != before) {
        for (run = account->runs; run != NULL; run = run->account_next) {
            run_see(run);
        }
    }
    for (run = turn->scheduler->waiting.first; run != NULL; run = run->waiting_next) {
        run_ready(run); /* perhaps for this */
    }
}

/* What @event means for the window. True when the flight changed. */
static bool move_flight(struct run *run, const struct message_event *event)
{
    enum message_state after = message_state_after(event);
    struct flight *flight = run_flight(run, event->blast_index);

    if (flight == NULL) {
        return false;
    }
    if (after == MESSAGE_EXPIRED) {
        run_flight_back(run, flight);
        metric_add(run->scheduler->metrics.came_back, 1);
        return true;
    }
    if (message_is_settled(after)) {
        run_flight_end(run, flight);
        return true;
    }
    return false;
}

/* A message of @run went on: the states before and after decide the counters (B1). */
static void count_message(struct turn *turn, struct run *run, const struct message_event *event)
{
    struct tally before = run->tally;
    bool is_ours = run->state.status != BLAST_NONE && run->partition == turn->record->partition;

    if (!is_ours || !tally_event(&run->tally, event)) {
        metric_add(turn->scheduler->metrics.strays, 1);
        log_warn("a message's event fits no blast", LOG_STR("message", event->aggregate_id),
                 LOG_STR("before", event->state_before), LOG_STR("event", event->event_type));
    }
    if (!is_ours) {
        return;
    }
    if (memcmp(&before, &run->tally, sizeof(before)) != 0) {
        run->is_changed = run->sees_counts = true;
        run_ready(run);
    }
    if (move_flight(run, event)) {
        run_ready(run);
        account_ready(run->account);
    }
}

static bool take_message(struct turn *turn)
{
    const struct message_event *event = turn->record->data;
    struct run *run;

    if (event->blast_id == NULL || !event->has_blast_index ||
        message_state_after(event) == MESSAGE_NONE) {
        return true; /* a direct one, or one that came in */
    }
    if (!ledger_record_is_of(turn->record, event->session_uuid) ||
        !uuid_is_valid(event->blast_id)) {
        ledger_dead(turn->tx, turn->record, "ids that are not, or not of this partition");
        return true;
    }
    run = turn_run(turn, event->blast_id, turn->record->partition);
    if (run != NULL) {
        count_message(turn, run, event);
        drop_stranger(&run);
        return true;
    }
    return false;
}

bool intake_record(struct turn *turn)
{
    switch (turn->record->topic) {
    case TOPIC_BLAST_CMD:
        return take_command(turn);
    case TOPIC_MESSAGE_EVENTS:
        return take_message(turn);
    case TOPIC_BLAST_RECIPIENTS:
        take_chunk(turn);
        return true;
    case TOPIC_SESSION_EVENTS:
        take_session(turn);
        return true;
    default:
        return true; /* not an input */
    }
}
