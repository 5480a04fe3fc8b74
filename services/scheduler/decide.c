/* What the decider of blasts says, as events and their consequences (turn.h). */
#include <stdlib.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/log.h"
#include "domain/progress.h"
#include "scheduler/account.h"
#include "scheduler/feed.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"
#include "scheduler/turn.h"

struct blast_context turn_context(const struct turn *turn, const struct run *run)
{
    struct blast_context context = {.now_us = turn->now_us,
                                    .account = account_standing(run->account),
                                    .counts = tally_counts(&run->tally)};

    context.has_estimate =
        progress_estimate(&run->state, &context.counts, &run->config.hours, run->scheduler->zone,
                          turn->now_us / 1000, &context.estimate_ms);
    return context;
}

static void emit(struct turn *turn, struct run *run, struct blast_event *event,
                 const struct turn_cause *cause)
{
    struct err err = {0};

    event->correlation_id = cause->correlation_id;
    event->causation_id = cause->causation_id;
    event->actor_kind = cause->actor_kind;
    event->actor_id = cause->actor_id;
    if (ledger_emit(turn->tx, run->partition, TOPIC_BLAST_EVENTS, event->session_uuid, event,
                    &err) < 0) {
        /* room was looked at before, and texts came through a codec or our own hands */
        log_error("event cannot be written", LOG_STR("blast", run->uuid), LOG_STR("why", err.text));
        abort();
    }
    blast_evolve(&run->state, event);
    run->is_changed = true;
}

static struct turn_cause own_cause(const struct turn *turn)
{
    return (struct turn_cause){.actor_kind = "system",
                               .actor_id = turn->scheduler->config->common.instance_id};
}

void turn_event(struct turn *turn, struct run *run, struct blast_event *event)
{
    const struct blast *blast = &run->state;
    struct turn_cause cause = own_cause(turn);

    event->aggregate_type = "blast";
    event->aggregate_id = run->uuid;
    event->sequence = blast->sequence + 1;
    event->occurred_at = turn->now_us;
    event->id = blast->id;
    event->blast_key = blast->blast_key;
    event->session_uuid = blast->session_uuid;
    event->session_key = blast->session_key;
    event->user_id = blast->user_id;
    emit(turn, run, event, &cause);
}

void turn_cancel(struct turn *turn, struct run *run, int32_t first, int32_t last)
{
    struct blast_event event = {.kind = BLAST_EVENT_RECIPIENTS_CANCELLED};

    event.as.recipients_cancelled = (struct blast_recipients_cancelled){
        .first_index = first,
        .last_index = last,
        .reason = run->state.status == BLAST_FAILED ? "blast failed" : "blast stopped"};
    turn_event(turn, run, &event);
}

/* All that was never handed over goes as one range, so that its size does not matter (L9); those
 * that are back follow one by one. */
static void cancel_rest(struct turn *turn, struct run *run)
{
    if (run->next_index < run->state.total) {
        turn_cancel(turn, run, run->next_index, run->state.total - 1);
        run->next_index = run->state.total;
    }
    run_ready(run);
}

/* The delays of a blast that was under way before (a restart) begin with a whole one. */
static void begin(struct turn *turn, struct run *run)
{
    uint64_t seed = 0;
    int64_t now_ms = turn->now_us / 1000;

    if (!run->is_paced) {
        if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
            seed = (uint64_t)turn->now_us;
        }
        run->is_paced = true;
        pacing_start(&run->pacing, &run->config, seed, now_ms);
        if (run->next_index > 0 && run->sees_restart) {
            pacing_handed_over(&run->pacing, &run->config, now_ms);
        }
    }
    account_ready(run->account);
}

static void effects(struct turn *turn, struct run *run, unsigned what)
{
    run_attach(run);
    if ((what & BLAST_HOLD) != 0) {
        feed_clear(run);
        /* an account that is away for a moment does not begin the delays anew */
        run->is_paced = run->is_paced && run->state.status == BLAST_RUNNING;
    }
    if ((what & BLAST_CANCEL_REST) != 0) {
        cancel_rest(turn, run);
    }
    if ((what & BLAST_HAND_OVER) != 0) {
        begin(turn, run);
    }
    if ((what & BLAST_FORGET) != 0) {
        run->is_changed = true;
    }
}

void turn_decision(struct turn *turn, struct run *run, struct blast_decision *decision,
                   const struct turn_cause *cause)
{
    for (unsigned i = 0; i < decision->n; i++) {
        emit(turn, run, &decision->at[i], cause);
    }
    if (decision->effects != 0) {
        effects(turn, run, decision->effects);
    }
    if (decision->ask_again_ms != 0) {
        run_wake(run, decision->ask_again_ms);
    }
}

void turn_observe(struct turn *turn, struct run *run, const struct blast_observation *saw)
{
    struct blast_context context = turn_context(turn, run);
    struct turn_cause cause = own_cause(turn);
    struct blast_decision decision;

    blast_observe(&run->state, saw, &context, &decision);
    turn_decision(turn, run, &decision, &cause);
}
