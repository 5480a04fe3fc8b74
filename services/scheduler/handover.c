#include "scheduler/handover.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "domain/hours.h"
#include "domain/ids.h"
#include "domain/message.h"
#include "scheduler/account.h"
#include "scheduler/feed.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"
#include "scheduler/turn.h"

/* A message waits for its account as long as it takes; what ends its time is not_after. */
#define COMMAND_LIFE_MS INT64_C(2592000000)

static void earliest(int64_t *again_ms, int64_t at_ms)
{
    *again_ms = at_ms < *again_ms ? at_ms : *again_ms;
}

/* ---- those that are left out ---- */

static int32_t take_left_out(struct run *run)
{
    struct letter *letter = feed_take(run);
    struct flight *flight = run_flight(run, letter->index);
    int32_t index = letter->index;

    if (flight != NULL) {
        run_flight_end(run, flight);
    } else {
        assert(index == run->next_index);
        run->next_index = index + 1;
    }
    letter_free(&letter);
    return index;
}

/* The recipients at the head of the feed that can get nothing, as one event. */
static void leave_out(struct turn *turn, struct run *run)
{
    struct skipped_recipient *list = arena_array0(
        ledger_tx_arena(turn->tx), run->feed.fresh.n + run->feed.again.n, sizeof(*list));
    struct blast_event event = {.kind = BLAST_EVENT_RECIPIENTS_SKIPPED};
    const struct letter *letter;
    size_t n = 0;

    while ((letter = feed_first(run)) != NULL && letter->reason != NULL) {
        list[n].reason = letter->reason; /* a literal */
        list[n++].index = take_left_out(run);
        if (!tally_move(&run->tally, MESSAGE_PENDING, MESSAGE_SKIPPED)) {
            log_error("a recipient cannot be counted", LOG_STR("blast", run->uuid));
        }
    }
    event.as.recipients_skipped.recipients.n = n;
    event.as.recipients_skipped.recipients.at = list;
    turn_event(turn, run, &event);
    metric_add(turn->scheduler->metrics.left_out, (int64_t)n);
    run->sees_counts = true;
    run_ready(run);
}

/* ---- those that are sent ---- */

static void emit(struct turn *turn, struct run *run, const struct letter *letter, int32_t times)
{
    int64_t now_ms = turn->now_us / 1000;
    int64_t close_ms = hours_next_close(&run->config.hours, run->scheduler->zone, now_ms);
    struct uuid id = blast_message_uuid(run->uuid, letter->index);
    struct uuid command_id = uuid_v5("send:%s:%d", id.text, times);
    struct err err = {0};
    struct message_command command = {
        .command_id = command_id.text,
        .aggregate_id = id.text,
        .session_uuid = run->state.session_uuid,
        .user_id = run->state.user_id,
        .correlation_id = run->uuid,
        .issued_at = now_ms,
        .deadline = now_ms + COMMAND_LIFE_MS,
        .actor_kind = "system",
        .actor_id = run->scheduler->config->common.instance_id,
        .kind = MESSAGE_COMMAND_SEND,
    };

    command.as.send = (struct send_message){
        .recipient = letter->recipient,
        .kind = "text",
        .text = letter->text,
        .contact_name = letter->contact_name,
        .has_not_after = close_ms != INT64_MAX,
        .not_after = close_ms,
        .blast_id = run->uuid,
        .has_blast_index = true,
        .blast_index = letter->index,
        .campaign_id = run->campaign_id,
    };
    if (ledger_emit(turn->tx, run->partition, TOPIC_MESSAGE_CMD, run->state.session_uuid, &command,
                    &err) < 0) {
        log_error("message cannot be written", LOG_STR("message", id.text),
                  LOG_STR("why", err.text)); /* room and length were looked at before */
        abort();
    }
}

static void send_one(struct turn *turn, struct run *run)
{
    struct letter *letter = feed_take(run);
    int64_t now_ms = turn->now_us / 1000;

    if (!letter->is_again) {
        assert(letter->index == run->next_index);
        run->next_index = letter->index + 1;
    }
    turn_touch(turn, run);
    emit(turn, run, letter, run_flight_open(run, letter->index));
    pacing_handed_over(&run->pacing, &run->config, now_ms);
    pacing_bucket_take(account_bucket(run->account, now_ms), now_ms);
    metric_add(turn->scheduler->metrics.handed_over, 1);
    metric_add(turn->scheduler->metrics.blank_names, letter->blanks);
    letter_free(&letter);
}

/* May @run send its next message at this moment? If not, and time alone will change it, @again_ms.
 */
static bool may_send(const struct turn *turn, struct run *run, int64_t *again_ms)
{
    const struct hours *hours = &run->config.hours;
    struct zone *zone = run->scheduler->zone;
    int64_t now_ms = turn->now_us / 1000;

    if (!hours_are_open(hours, zone, now_ms)) {
        earliest(again_ms, hours_next_open(hours, zone, now_ms));
        return false;
    }
    if (run->pacing.due_ms > now_ms) {
        earliest(again_ms, run->pacing.due_ms);
        return false;
    }
    return true;
}

/* The account's own limits. */
static bool has_capacity(const struct turn *turn, struct account *account, int64_t *again_ms)
{
    int64_t now_ms = turn->now_us / 1000;
    int64_t wait_ms;

    if (account->n_open >= (size_t)account->scheduler->config->send_window) {
        return false; /* a message that settles makes it ready */
    }
    wait_ms = pacing_bucket_wait(account_bucket(account, now_ms), now_ms);
    if (wait_ms > 0) {
        earliest(again_ms, now_ms + wait_ms);
    }
    return wait_ms == 0;
}

/* At most one message of @run. True when one went. */
static bool step(struct turn *turn, struct run *run, int64_t *again_ms)
{
    const struct letter *letter;

    if (!run->is_paced || !blast_may_send(&run->state, account_standing(run->account))) {
        return false;
    }
    letter = feed_first(run);
    if (letter != NULL && letter->reason != NULL) {
        turn_touch(turn, run);
        leave_out(turn, run);
        letter = feed_first(run);
    }
    if (letter == NULL || letter->reason != NULL || !may_send(turn, run, again_ms) ||
        !has_capacity(turn, run->account, again_ms)) {
        return false;
    }
    send_one(turn, run);
    return true;
}

/* The next to begin with is another one. */
static void rotate(struct account *account)
{
    struct run *first = account->runs;

    if (first != NULL && first->account_next != NULL) {
        run_put_last(first);
    }
}

void handover_run(struct turn *turn, struct account *account)
{
    int64_t again_ms = INT64_MAX;
    bool moved = !account->scheduler->draining;
    struct run *run;

    while (moved) {
        moved = false;
        DL_FOREACH2 (account->runs, run, account_next) {
            if (!turn_has_room(turn)) {
                account_ready(account);
                return;
            }
            moved |= step(turn, run, &again_ms);
        }
    }
    rotate(account);
    if (again_ms != INT64_MAX) {
        account_wake(account, again_ms);
    }
}
