#include "domain/blast.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "domain/fixed.h"

static const char *const status_names[BLAST_STATUS_COUNT] = {
#define BLAST_STATUS_TEXT(name) #name,
    BLAST_STATUS_LIST(BLAST_STATUS_TEXT)
#undef BLAST_STATUS_TEXT
};

const char *blast_status_name(enum blast_status status)
{
    return (unsigned)status < BLAST_STATUS_COUNT ? status_names[status] : "NONE";
}

bool blast_status_parse(const char *name, enum blast_status *out)
{
    for (unsigned i = BLAST_IDLE; i < BLAST_STATUS_COUNT; i++) {
        if (strcasecmp(name, status_names[i]) == 0) {
            *out = (enum blast_status)i;
            return true;
        }
    }
    return false;
}

void blast_refusal_text(enum verdict verdict, enum blast_command_kind command,
                        enum blast_status status, char out[BLAST_REFUSAL_MAX])
{
    static const char *const verbs[] = {
        [BLAST_COMMAND_NONE] = "change",   [BLAST_COMMAND_CREATE] = "create",
        [BLAST_COMMAND_START] = "start",   [BLAST_COMMAND_PAUSE] = "pause",
        [BLAST_COMMAND_RESUME] = "resume", [BLAST_COMMAND_STOP] = "stop",
        [BLAST_COMMAND_REMOVE] = "delete",
    };

    if (verdict == VERDICT_INVALID_STATE) {
        (void)snprintf(out, BLAST_REFUSAL_MAX, "Cannot %s session in %s state", verbs[command],
                       blast_status_name(status));
    } else if (verdict == VERDICT_NOT_FOUND) {
        (void)snprintf(out, BLAST_REFUSAL_MAX, "Blast session not found");
    } else {
        (void)snprintf(out, BLAST_REFUSAL_MAX, "%s", verdict_text(verdict));
    }
}

enum blast_account blast_account_of(enum session_phase phase)
{
    switch (phase) {
    case SESSION_CREATED:
    case SESSION_DISCONNECTED:
    case SESSION_LOGGED_OUT:
        return BLAST_ACCOUNT_OFFLINE;
    case SESSION_CONNECTING:
    case SESSION_WAITING_FOR_SCAN:
    case SESSION_PAIRING:
    case SESSION_RECONNECTING:
        return BLAST_ACCOUNT_AWAY;
    case SESSION_CONNECTED:
        return BLAST_ACCOUNT_CONNECTED;
    case SESSION_DELETED:
        return BLAST_ACCOUNT_DELETED;
    case SESSION_NONE:
    case SESSION_PHASE_COUNT:
        break;
    }
    return BLAST_ACCOUNT_MISSING;
}

static enum verdict check_account(enum blast_account account)
{
    switch (account) {
    case BLAST_ACCOUNT_CONNECTED:
        return VERDICT_OK;
    case BLAST_ACCOUNT_OFFLINE:
    case BLAST_ACCOUNT_AWAY:
        return VERDICT_SESSION_NOT_CONNECTED;
    case BLAST_ACCOUNT_MISSING:
    case BLAST_ACCOUNT_DELETED:
        break;
    }
    return VERDICT_SESSION_NOT_FOUND;
}

bool blast_may_send(const struct blast *blast, enum blast_account account)
{
    return blast->status == BLAST_RUNNING && !blast->deleted && account == BLAST_ACCOUNT_CONNECTED;
}

static struct blast_event *emit(struct blast_decision *out, const struct blast *blast,
                                const struct blast_context *context, enum blast_event_kind kind)
{
    struct blast_event *event = &out->at[out->n];

    *event = (struct blast_event){.aggregate_type = "blast",
                                  .aggregate_id = blast->uuid,
                                  .sequence = blast->sequence + 1 + out->n,
                                  .occurred_at = context->now_us,
                                  .id = blast->id,
                                  .blast_key = blast->blast_key,
                                  .session_uuid = blast->session_uuid,
                                  .session_key = blast->session_key,
                                  .user_id = blast->user_id,
                                  .kind = kind};
    out->n++;
    return event;
}

static int64_t now_ms(const struct blast_context *context)
{
    return context->now_us / 1000;
}

static bool same_counts(const struct blast_counts *a, const struct blast_counts *b)
{
    return a->current_index == b->current_index && a->sent == b->sent && a->failed == b->failed &&
           a->skipped == b->skipped && a->delivered == b->delivered && a->read == b->read;
}

static void completed(const struct blast *blast, const struct blast_context *context,
                      struct blast_decision *out)
{
    const struct blast_counts *now = &context->counts;

    emit(out, blast, context, BLAST_EVENT_COMPLETED)->as.completed =
        (struct blast_completed){.at = now_ms(context),
                                 .current_index = now->current_index,
                                 .sent_count = now->sent,
                                 .failed_count = now->failed,
                                 .skipped_count = now->skipped,
                                 .delivered_count = now->delivered,
                                 .read_count = now->read};
    out->effects |= BLAST_HOLD;
}

static bool all_settled(const struct blast *blast, const struct blast_context *context)
{
    return context->counts.current_index >= blast->total;
}

static void started(const struct blast *blast, const struct blast_context *context,
                    struct blast_decision *out)
{
    emit(out, blast, context, BLAST_EVENT_STARTED)->as.started.at = now_ms(context);
    out->effects |= BLAST_HAND_OVER;
}

static void create(const struct blast *blast, const struct blast_command *command,
                   const struct blast_context *context, struct blast_decision *out)
{
    const struct create_blast *from = &command->as.create;

    if (blast->status != BLAST_NONE) {
        out->verdict = VERDICT_EXISTS;
    } else if (from->total_messages <= 0 || context->recipients_bad) {
        out->verdict = VERDICT_INVALID_REQUEST;
    } else if (from->auto_start) {
        out->verdict = check_account(context->account);
    }
    if (out->verdict != VERDICT_OK) {
        return;
    }
    struct blast_event *event = emit(out, blast, context, BLAST_EVENT_CREATED);

    event->aggregate_id = command->aggregate_id;
    event->id = from->id;
    event->blast_key = from->blast_key;
    event->session_uuid = command->session_uuid;
    event->session_key = from->session_key;
    event->user_id = command->user_id;
    event->as.created = (struct blast_created){
        .campaign_id = from->campaign_id,
        .campaign_name = from->campaign_name,
        .message_template = from->message_template,
        .total_messages = from->total_messages,
        .upload_id = from->upload_id,
        .config = from->config != NULL ? from->config : "{}",
    };
    if (from->auto_start) {
        struct blast_event made = *event;

        started(blast, context, out);
        made.kind = BLAST_EVENT_STARTED;
        made.sequence = out->at[1].sequence;
        made.as = out->at[1].as;
        out->at[1] = made; /* with the ids of the blast that is being made */
    }
}

static void resume(const struct blast *blast, const struct blast_context *context,
                   struct blast_decision *out)
{
    out->verdict =
        blast->status == BLAST_PAUSED ? check_account(context->account) : VERDICT_INVALID_STATE;
    if (out->verdict != VERDICT_OK) {
        return;
    }
    emit(out, blast, context, BLAST_EVENT_RESUMED)->as.resumed.at = now_ms(context);
    out->effects |= BLAST_HAND_OVER;
    if (all_settled(blast, context)) {
        completed(blast, context, out);
        out->effects = BLAST_HOLD;
    }
}

static void stop(const struct blast *blast, const struct blast_context *context,
                 struct blast_decision *out)
{
    const struct blast_counts *now = &context->counts;

    emit(out, blast, context, BLAST_EVENT_STOPPED)->as.stopped =
        (struct blast_stopped){.at = now_ms(context),
                               .current_index = now->current_index,
                               .sent_count = now->sent,
                               .failed_count = now->failed,
                               .skipped_count = now->skipped,
                               .delivered_count = now->delivered,
                               .read_count = now->read};
    out->effects |= BLAST_HOLD | BLAST_CANCEL_REST;
}

static void fail(const struct blast *blast, const char *error_message,
                 const struct blast_context *context, struct blast_decision *out)
{
    const struct blast_counts *now = &context->counts;

    emit(out, blast, context, BLAST_EVENT_FAILED)->as.failed =
        (struct blast_failed){.at = now_ms(context),
                              .error_message = error_message,
                              .current_index = now->current_index,
                              .sent_count = now->sent,
                              .failed_count = now->failed,
                              .skipped_count = now->skipped,
                              .delivered_count = now->delivered,
                              .read_count = now->read};
    out->effects |= BLAST_HOLD | BLAST_CANCEL_REST;
}

static void pause(const struct blast *blast, const char *reason,
                  const struct blast_context *context, struct blast_decision *out)
{
    emit(out, blast, context, BLAST_EVENT_PAUSED)->as.paused =
        (struct blast_paused){.reason = reason, .at = now_ms(context)};
    out->effects |= BLAST_HOLD;
}

static bool is_live(const struct blast *blast)
{
    return blast->status == BLAST_RUNNING || blast->status == BLAST_PAUSED;
}

static void decide_existing(const struct blast *blast, enum blast_command_kind kind,
                            const struct blast_context *context, struct blast_decision *out)
{
    switch (kind) {
    case BLAST_COMMAND_START:
        out->verdict =
            blast->status == BLAST_IDLE ? check_account(context->account) : VERDICT_INVALID_STATE;
        if (out->verdict == VERDICT_OK) {
            started(blast, context, out);
        }
        break;
    case BLAST_COMMAND_PAUSE:
        if (blast->status == BLAST_RUNNING) {
            pause(blast, "user", context, out);
        } else {
            out->verdict = VERDICT_INVALID_STATE;
        }
        break;
    case BLAST_COMMAND_RESUME:
        resume(blast, context, out);
        break;
    case BLAST_COMMAND_STOP:
        if (is_live(blast)) {
            stop(blast, context, out);
        } else {
            out->verdict = VERDICT_INVALID_STATE;
        }
        break;
    case BLAST_COMMAND_REMOVE:
        if (is_live(blast)) {
            out->verdict = VERDICT_INVALID_STATE;
        } else {
            emit(out, blast, context, BLAST_EVENT_DELETED);
            out->effects = BLAST_FORGET;
        }
        break;
    case BLAST_COMMAND_NONE:
    case BLAST_COMMAND_CREATE:
    default: /* a kind of a later version */
        out->verdict = VERDICT_INVALID_REQUEST;
        break;
    }
}

void blast_decide(const struct blast *blast, const struct blast_command *command,
                  const struct blast_context *context, struct blast_decision *out)
{
    *out = (struct blast_decision){.verdict = VERDICT_OK};
    if (command->kind == BLAST_COMMAND_CREATE) {
        create(blast, command, context, out);
    } else if (blast->status == BLAST_NONE || blast->deleted) {
        out->verdict = VERDICT_NOT_FOUND;
    } else {
        decide_existing(blast, command->kind, context, out);
    }
}

static void progressed(const struct blast *blast, const struct blast_context *context,
                       struct blast_decision *out)
{
    const struct blast_counts *now = &context->counts;
    bool running = blast->status == BLAST_RUNNING;

    emit(out, blast, context, BLAST_EVENT_PROGRESSED)->as.progressed =
        (struct blast_progressed){.current_index = now->current_index,
                                  .sent_count = now->sent,
                                  .failed_count = now->failed,
                                  .skipped_count = now->skipped,
                                  .delivered_count = now->delivered,
                                  .read_count = now->read,
                                  .has_estimated_completion = running && context->has_estimate,
                                  .estimated_completion = running ? context->estimate_ms : 0};
}

/* @now says what counters to emit if any differ from those said last; after a restart they are said
 * at once (B2). */
static void counts_seen(const struct blast *blast, bool at_once,
                        const struct blast_context *context, struct blast_decision *out)
{
    int64_t from_ms = blast->counted_at_ms + BLAST_PROGRESS_EVERY_MS;

    if (blast->status == BLAST_RUNNING && all_settled(blast, context)) {
        completed(blast, context, out);
    } else if (same_counts(&blast->counts, &context->counts)) {
        return;
    } else if (!at_once && blast->counted_at_ms != 0 && now_ms(context) < from_ms) {
        out->ask_again_ms = from_ms;
    } else {
        progressed(blast, context, out);
    }
}

static void account_seen(const struct blast *blast, const struct blast_context *context,
                         struct blast_decision *out)
{
    switch (context->account) {
    case BLAST_ACCOUNT_OFFLINE:
        if (blast->status == BLAST_RUNNING) {
            pause(blast, "account_offline", context, out);
        }
        break;
    case BLAST_ACCOUNT_DELETED:
        if (is_live(blast)) {
            fail(blast, "WhatsApp session no longer exists", context, out);
        }
        break;
    case BLAST_ACCOUNT_AWAY:
        out->effects |= blast->status == BLAST_RUNNING ? BLAST_HOLD : 0U;
        break;
    case BLAST_ACCOUNT_CONNECTED:
        out->effects |= blast->status == BLAST_RUNNING ? BLAST_HAND_OVER : 0U;
        break;
    case BLAST_ACCOUNT_MISSING:
        break;
    }
}

void blast_observe(const struct blast *blast, const struct blast_observation *seen,
                   const struct blast_context *context, struct blast_decision *out)
{
    *out = (struct blast_decision){.verdict = VERDICT_OK};
    if (blast->status == BLAST_NONE || blast->status == BLAST_IDLE || blast->deleted) {
        return;
    }
    switch (seen->kind) {
    case BLAST_SAW_COUNTS:
        counts_seen(blast, false, context, out);
        break;
    case BLAST_SAW_ACCOUNT:
        account_seen(blast, context, out);
        break;
    case BLAST_SAW_FAULT:
        if (is_live(blast)) {
            fail(blast, seen->error_message, context, out);
        }
        break;
    case BLAST_SAW_RESTART:
        counts_seen(blast, true, context, out);
        if (out->n == 0 && blast_may_send(blast, context->account)) {
            out->effects |= BLAST_HAND_OVER;
        }
        break;
    case BLAST_OBSERVATION_COUNT:
        break;
    }
}
