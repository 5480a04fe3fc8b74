#include "scheduler/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "bus/bus_codec.h"
#include "domain/answer.h"
#include "domain/blast.h"
#include "pg/pg.h"
#include "scheduler/account.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"
#include "scheduler/turn.h"
#include "scheduler/upload.h"

enum { LOOK_AGAIN_MS = 1000 };

/* ---- answers ---- */

static void answer(struct turn *turn, const struct run *run, const struct blast_command *command,
                   enum verdict verdict, const char *message)
{
    struct answer said = {.command_id = command->command_id,
                          .verdict = verdict,
                          .message = message,
                          .aggregate_type = "blast",
                          .aggregate_id = command->aggregate_id,
                          .sequence = run->state.sequence};
    struct buf json = {0};

    log_info("command decided", LOG_STR("blast", command->aggregate_id),
             LOG_STR("kind", command->command_type), LOG_STR("verdict", verdict_code(verdict)));
    answer_to_json(&said, &json);
    ledger_verdict(turn->tx, turn->record != NULL ? turn->record->partition : run->partition,
                   command->command_id, command->reply_to, buf_text(&json),
                   verdict_is_final(verdict));
    buf_done(&json);
}

/* ---- deciding ---- */

static void store_new(struct turn *turn, struct run *run, const struct create_blast *create)
{
    struct pg_array **c = turn_row(turn, TURN_BLAST_NEW, run->partition)->column;
    struct buf json = {0};

    blast_to_json(&run->state, &json);
    pg_array_uuid(c[0], run->uuid);
    pg_array_int(c[1], run->partition);
    pg_array_uuid(c[2], run->state.session_uuid);
    pg_array_text(c[3], buf_text(&json));
    pg_array_text(c[4], create->upload_id);
    pg_array_text(c[5], create->message_template);
    pg_array_text(c[6], create->config == NULL ? "" : create->config);
    pg_array_text(c[7], create->campaign_id);
    buf_done(&json);
}

/* What a create needs beyond its decider: room, and a config that can be read. */
static enum verdict check_create(struct run *run, const struct create_blast *create,
                                 struct err *why)
{
    int64_t most = run->scheduler->config->recipients_max;
    struct blast_config config;

    if (create->total_messages > most) {
        (void)err_set(why, ERR_LIMIT,
                      "A blast has at most %lld recipients (BLAST_RECIPIENTS_MAX of the scheduler)",
                      (long long)most);
        return VERDICT_INVALID_REQUEST;
    }
    if (blast_config_from_json(create->config, &run->scheduler->defaults, &config, why) < 0) {
        return VERDICT_INVALID_REQUEST;
    }
    run->config = config;
    return VERDICT_OK;
}

/* Before the events of a create are folded in, and their effects happen. */
static void become(struct run *run, const struct blast_command *command)
{
    run->account = account_get(run->scheduler, command->session_uuid, run->partition);
    run->campaign_id = mem_strdup(command->as.create.campaign_id);
}

static struct blast_context context_of(const struct turn *turn, const struct run *run,
                                       const struct blast_command *command)
{
    struct blast_context context = turn_context(turn, run);

    if (run->state.status == BLAST_NONE) {
        context.account = account_standing(account_find(run->scheduler, command->session_uuid));
    }
    return context;
}

/* @upload: what is known of its recipients; NULL where it needs none. */
static void decide(struct turn *turn, struct run *run, const struct blast_command *command,
                   const struct upload *upload)
{
    const char *reason = upload == NULL ? "" : upload_reason(upload);
    struct blast_context context = context_of(turn, run, command);
    struct turn_cause cause = {command->correlation_id, command->command_id, command->actor_kind,
                               command->actor_id};
    bool is_new = command->kind == BLAST_COMMAND_CREATE && run->state.status == BLAST_NONE;
    enum blast_status before = run->state.status;
    struct blast_decision decision;
    char text[BLAST_REFUSAL_MAX];
    struct err why = {0};
    enum verdict verdict = is_new ? check_create(run, &command->as.create, &why) : VERDICT_OK;

    if (upload != NULL && upload_is_taken(upload)) {
        answer(turn, run, command, VERDICT_EXISTS, NULL);
        return;
    }
    if (verdict != VERDICT_OK) {
        answer(turn, run, command, verdict, why.text);
        return;
    }
    context.recipients_bad = reason[0] != '\0';
    blast_decide(&run->state, command, &context, &decision);
    if (decision.verdict != VERDICT_OK) {
        blast_refusal_text(decision.verdict, command->kind, before, text);
        answer(turn, run, command, decision.verdict, context.recipients_bad ? reason : text);
        return;
    }
    if (is_new) {
        become(run, command);
    }
    turn_decision(turn, run, &decision, &cause);
    if (is_new) {
        store_new(turn, run, &command->as.create);
    }
    answer(turn, run, command, VERDICT_OK, NULL);
}

/* ---- waiting ---- */

/* Does the outcome depend on the session's state? */
static bool needs_account(const struct blast_command *command)
{
    return command->kind == BLAST_COMMAND_START || command->kind == BLAST_COMMAND_RESUME ||
           (command->kind == BLAST_COMMAND_CREATE && command->as.create.auto_start);
}

/* What the command has to wait for; NULL: nothing. */
static const char *waits_for(const struct run *run, const struct blast_command *command,
                             const struct parked *parked)
{
    const struct account *account = account_find(run->scheduler, command->session_uuid);

    if (command->kind == BLAST_COMMAND_CREATE && run->state.status == BLAST_NONE &&
        (parked == NULL || parked->upload == NULL || !upload_is_known(parked->upload))) {
        return "recipients";
    }
    if (needs_account(command) && command->has_session_sequence &&
        (account == NULL || account->sequence < command->session_sequence)) {
        return "session";
    }
    return NULL;
}

static void set_times(struct parked *parked)
{
    int64_t now_ms = clock_wall_ms();

    parked->must_end_ms = now_ms + PARKED_MS_MAX;
    parked->until_ms = parked->command.deadline < parked->must_end_ms ? parked->command.deadline
                                                                      : parked->must_end_ms;
}

int command_load(struct run *run, struct bytes wire, struct err *err)
{
    struct parked *parked = mem_new0(sizeof(*parked));
    int rc = bus_decode(TOPIC_BLAST_CMD, wire, &parked->arena, &parked->command, err);

    if (rc < 0) {
        arena_done(&parked->arena);
        free(parked);
        return rc;
    }
    set_times(parked);
    DL_APPEND(run->parked, parked);
    run->n_parked++;
    run_wait(run);
    metric_add(run->scheduler->metrics.parked, 1);
    return 0;
}

static void unpark(struct run *run, struct parked *parked)
{
    DL_DELETE(run->parked, parked);
    run->n_parked--;
    if (run->parked == NULL) {
        run_unwait(run);
    }
    metric_add(run->scheduler->metrics.parked, -1);
    upload_free(&parked->upload);
    arena_done(&parked->arena);
    free(parked);
}

void parked_free_all(struct run *run)
{
    while (run->parked != NULL) {
        unpark(run, run->parked);
    }
}

/* For whichever blast: one id has one answer. */
static bool is_parked(const struct scheduler *scheduler, const char *command_id)
{
    const struct run *run;
    const struct parked *parked;

    DL_FOREACH2 (scheduler->waiting.first, run, waiting_next) {
        DL_FOREACH (run->parked, parked) {
            if (strcmp(parked->command.command_id, command_id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void park(struct turn *turn, struct run *run, const struct ledger_record *record)
{
    const struct blast_command *command = record->data;
    struct err err = {0};
    struct pg_array **c;

    if (run->n_parked >= PARKED_MAX) {
        answer(turn, run, command, VERDICT_LIMIT, "too many commands wait for this blast");
        return;
    }
    if (command_load(run, record->wire, &err) < 0) { /* it was read a moment ago */
        ledger_dead(turn->tx, record, err.text);
        return;
    }
    c = turn_row(turn, TURN_PARKED, record->partition)->column;
    pg_array_text(c[0], command->command_id);
    pg_array_uuid(c[1], run->uuid);
    pg_array_int(c[2], record->partition);
    pg_array_int(c[3], record->offset);
    pg_array_bytes(c[4], record->wire);
    run_wake(run, run->parked->until_ms);
}

void command_take(struct turn *turn, struct run *run, const struct ledger_record *record)
{
    const struct blast_command *command = record->data;
    int64_t now_ms = turn->now_us / 1000;

    if (run->is_stranger || run->partition != record->partition) {
        struct run none = {0};

        answer(turn, &none, command,
               command->kind == BLAST_COMMAND_CREATE ? VERDICT_EXISTS : VERDICT_NOT_FOUND, NULL);
    } else if (is_parked(run->scheduler, command->command_id)) {
        return; /* sent again: the first gives the answer */
    } else if (now_ms > command->deadline) {
        answer(turn, run, command, VERDICT_EXPIRED, NULL);
    } else if (run->parked != NULL || waits_for(run, command, NULL) != NULL) {
        park(turn, run, record);
    } else {
        decide(turn, run, command, NULL);
    }
}

struct end_ask {
    struct scheduler *scheduler;
    char *blast;
    char *command;
};

static void on_end(int64_t end, void *ctx)
{
    struct end_ask *ask = ctx;
    struct run *run = end == -ERR_CLOSED ? NULL : run_find(ask->scheduler, ask->blast);

    if (run != NULL && run->parked != NULL &&
        strcmp(run->parked->command.command_id, ask->command) == 0) {
        run->parked->has_end = true;
        run->parked->end = end;
        run_ready(run);
    }
    free(ask->blast);
    free(ask->command);
    free(ask);
}

/* Before a create is called wrong for want of recipients: were they never written, or is it us who
 * have not read that far? */
static bool must_ask_end(const struct parked *parked, const char *what)
{
    return strcmp(what, "recipients") == 0 && parked->upload == NULL && !parked->has_end;
}

static void ask_end(struct run *run, struct parked *parked)
{
    struct end_ask *ask;

    if (parked->asks_end) {
        return;
    }
    ask = mem_new0(sizeof(*ask));
    *ask = (struct end_ask){run->scheduler, mem_strdup(run->uuid),
                            mem_strdup(parked->command.command_id)};
    parked->asks_end = true;
    ledger_ask_end(run->scheduler->ledger, TOPIC_BLAST_RECIPIENTS, run->partition, on_end, ask);
}

/* The time of a parked command is over while it waits for @what. */
static void expire(struct turn *turn, struct run *run, const struct parked *parked,
                   const char *what)
{
    const struct blast_command *command = &parked->command;
    char text[UPLOAD_REASON_MAX];

    if (strcmp(what, "session") == 0) {
        answer(turn, run, command, VERDICT_EXPIRED,
               "the events of the session did not arrive in time");
    } else if (parked->upload != NULL || parked->end < 0 ||
               parked->end > command->as.create.last_chunk_offset) {
        answer(turn, run, command, VERDICT_EXPIRED, "the recipients were not read in time");
    } else {
        (void)snprintf(text, sizeof(text),
                       "the recipients did not come: their last chunk was announced at offset "
                       "%" PRId64 ", and the log ends at %" PRId64,
                       command->as.create.last_chunk_offset, parked->end);
        answer(turn, run, command, VERDICT_INVALID_REQUEST, text);
    }
}

static bool is_time_over(const struct parked *parked, int64_t now_ms)
{
    return now_ms > (parked->upload == NULL ? parked->until_ms : parked->must_end_ms);
}

void command_run(struct turn *turn, struct run *run)
{
    int64_t now_ms = turn->now_us / 1000;
    struct parked *head;

    while ((head = run->parked) != NULL && turn_has_room(turn)) {
        const char *what = waits_for(run, &head->command, head);
        struct pg_array **c;

        if (head->upload != NULL && upload_has_failed(head->upload)) {
            upload_free(&head->upload); /* command_poke begins again */
        }
        if (what != NULL && !is_time_over(head, now_ms)) {
            run_wake(run, head->until_ms > now_ms ? head->until_ms : now_ms + LOOK_AGAIN_MS);
            return;
        }
        if (what != NULL && must_ask_end(head, what)) {
            ask_end(run, head);
            return; /* on_end makes it ready */
        }
        if (what != NULL) {
            expire(turn, run, head, what);
        } else {
            decide(turn, run, &head->command, head->upload);
        }
        c = turn_row(turn, TURN_PARKED_GONE, run->partition)->column;
        pg_array_text(c[0], head->command.command_id);
        pg_array_uuid(c[1], run->uuid);
        unpark(run, head);
    }
}

void command_poke(struct run *run)
{
    struct parked *head = run->parked;

    if (head == NULL || head->upload != NULL || head->command.kind != BLAST_COMMAND_CREATE ||
        run->state.status != BLAST_NONE) {
        return;
    }
    if (ledger_offset(run->scheduler->ledger, TOPIC_BLAST_RECIPIENTS, run->partition) >
        head->command.as.create.last_chunk_offset) {
        head->upload = upload_new(run, &head->command.as.create);
    }
}
