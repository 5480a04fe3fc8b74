#include "domain/message.h"

#include <string.h>

static const char *const state_names[MESSAGE_STATE_COUNT] = {
#define MESSAGE_STATE_TEXT(name) #name,
    MESSAGE_STATE_LIST(MESSAGE_STATE_TEXT)
#undef MESSAGE_STATE_TEXT
};

const char *message_state_name(enum message_state state)
{
    return (unsigned)state < MESSAGE_STATE_COUNT ? state_names[state] : "NONE";
}

bool message_state_parse(const char *name, enum message_state *out)
{
    for (unsigned i = 0; name != NULL && i < MESSAGE_STATE_COUNT; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *out = (enum message_state)i;
            return true;
        }
    }
    return false;
}

const char *message_f2_status(enum message_state state)
{
    switch (state) {
    case MESSAGE_SENT:
        return "sent";
    case MESSAGE_DELIVERED:
        return "delivered";
    case MESSAGE_READ:
        return "read";
    case MESSAGE_FAILED_RETRY:
    case MESSAGE_FAILED:
    case MESSAGE_SKIPPED:
    case MESSAGE_CANCELLED:
        return "failed";
    case MESSAGE_NONE:
    case MESSAGE_PENDING:
    case MESSAGE_DISPATCHED:
    case MESSAGE_EXPIRED: /* back with its blast */
    case MESSAGE_STATE_COUNT:
        break;
    }
    return "pending";
}

const char *message_f0_status(enum message_state state)
{
    if (state == MESSAGE_SKIPPED) {
        return "skipped";
    }
    return state == MESSAGE_CANCELLED ? "cancelled" : message_f2_status(state);
}

bool message_is_settled(enum message_state state)
{
    return state == MESSAGE_SENT || state == MESSAGE_DELIVERED || state == MESSAGE_READ ||
           state == MESSAGE_FAILED || state == MESSAGE_SKIPPED || state == MESSAGE_CANCELLED;
}

int64_t message_retry_delay_ms(int32_t attempt)
{
    static const int64_t delays[] = {5000, 30000, 120000};

    return delays[attempt <= 1 ? 0 : attempt >= 3 ? 2 : attempt - 1];
}

static struct message_event *emit(const struct message *message, const struct message_input *input,
                                  struct message_decision *out, enum message_event_kind kind)
{
    out->has_event = true;
    out->event = (struct message_event){.aggregate_type = "message",
                                        .sequence = message->sequence + 1,
                                        .occurred_at = input->now_ms * 1000,
                                        .state_before = message_state_name(message->state),
                                        .kind = kind};
    return &out->event;
}

static int64_t time_of(const struct message_input *input)
{
    return input->at_ms != 0 ? input->at_ms : input->now_ms;
}

/* Texts of events are never null. */
static const char *given(const char *text)
{
    return text != NULL ? text : "";
}

static void fail(const struct message *message, const struct message_input *input, bool final,
                 const char *word, struct message_decision *out)
{
    struct message_failed *failed = &emit(message, input, out, MESSAGE_EVENT_FAILED)->as.failed;

    failed->error = input->reason != NULL ? input->reason : word;
    failed->permanent = final;
    failed->attempt = message->attempts;
    if (!final) {
        failed->has_next_attempt_at = true;
        failed->next_attempt_at = input->now_ms + message_retry_delay_ms(message->attempts);
    }
}

static void accept_it(const struct message *message, const struct message_input *input,
                      struct message_decision *out)
{
    const struct send_message *send = input->send;

    if (message->state != MESSAGE_NONE || input->in_blast || send == NULL) {
        return; /* its recipient's chunk stands in for it */
    }
    emit(message, input, out, MESSAGE_EVENT_QUEUED)->as.queued =
        (struct message_queued){.recipient = send->recipient,
                                .kind = send->kind,
                                .text = send->text,
                                .contact_name = send->contact_name};
}

/* A blast's message has no event of its own before the first of these. */
static bool is_waiting(const struct message *message)
{
    return message->state == MESSAGE_NONE || message->state == MESSAGE_PENDING ||
           message->state == MESSAGE_EXPIRED;
}

static void dispatch(const struct message *message, const struct message_input *input,
                     struct message_decision *out)
{
    if (!is_waiting(message) && message->state != MESSAGE_FAILED_RETRY) {
        return;
    }
    struct message_dispatched *made =
        &emit(message, input, out, MESSAGE_EVENT_DISPATCHED)->as.dispatched;

    made->attempt = message->attempts + 1;
    made->wa_message_id = given(input->wa_message_id);
    made->recipient = input->send != NULL ? input->send->recipient : "";
    made->text = input->send != NULL ? given(input->send->text) : "";
}

static void sent(const struct message *message, const struct message_input *input,
                 struct message_decision *out)
{
    emit(message, input, out, MESSAGE_EVENT_SENT)->as.sent =
        (struct message_sent){.wa_message_id = given(input->wa_message_id), .at = time_of(input)};
}

/* The server's ack: also when it comes after we had given the try up. */
static bool takes_ack(enum message_state state)
{
    return state == MESSAGE_DISPATCHED || state == MESSAGE_FAILED_RETRY || state == MESSAGE_FAILED;
}

static void rejected(const struct message *message, const struct message_input *input,
                     struct message_decision *out)
{
    int32_t most = input->max_attempts > 0 ? input->max_attempts : MESSAGE_MAX_ATTEMPTS;

    if (message->state == MESSAGE_SENT) {
        fail(message, input, true, "rejected", out);
    } else if (message->state == MESSAGE_DISPATCHED) {
        fail(message, input, input->permanent || message->attempts >= most,
             input->kind == MESSAGE_IN_NO_ANSWER ? "timeout" : "rejected", out);
    }
}

/* Any receipt counts as the ack (S3); a stronger one fills in what it implies. */
static bool takes_receipt(const struct message *message, enum message_state strength, bool tracked)
{
    switch (message->state) {
    case MESSAGE_PENDING:
        return tracked;
    case MESSAGE_DISPATCHED:
    case MESSAGE_SENT:
    case MESSAGE_FAILED_RETRY:
    case MESSAGE_FAILED:
        return true;
    case MESSAGE_DELIVERED:
        return strength == MESSAGE_READ;
    case MESSAGE_NONE:
    case MESSAGE_READ:
    case MESSAGE_SKIPPED:
    case MESSAGE_CANCELLED:
    case MESSAGE_EXPIRED:
    case MESSAGE_STATE_COUNT:
        break;
    }
    return false;
}

static void receipt(const struct message *message, const struct message_input *input,
                    enum message_state strength, struct message_decision *out)
{
    bool tracked =
        input->kind == MESSAGE_IN_TRACK_DELIVERED || input->kind == MESSAGE_IN_TRACK_READ;
    const char *source = tracked ? "track" : "receipt";

    if (!takes_receipt(message, strength, tracked)) {
        return;
    }
    if (strength == MESSAGE_READ) {
        emit(message, input, out, MESSAGE_EVENT_READ)->as.read =
            (struct message_read){.at = time_of(input), .source = source};
    } else {
        emit(message, input, out, MESSAGE_EVENT_DELIVERED)->as.delivered =
            (struct message_delivered){.at = time_of(input), .source = source};
    }
}

static void track_sent(const struct message *message, const struct message_input *input,
                       struct message_decision *out)
{
    if (message->state == MESSAGE_PENDING || takes_ack(message->state)) {
        sent(message, input, out);
    }
}

static void track_failed(const struct message *message, const struct message_input *input,
                         struct message_decision *out)
{
    if (message->state == MESSAGE_PENDING || message->state == MESSAGE_DISPATCHED ||
        message->state == MESSAGE_SENT || message->state == MESSAGE_FAILED_RETRY) {
        fail(message, input, true, "tracked as failed", out);
    }
}

/* Prepared bytes may have been written, so only what was never prepared goes back to its blast
 * (S5). */
static void time_is_up(const struct message *message, const struct message_input *input,
                       struct message_decision *out)
{
    bool waiting = message->state == MESSAGE_NONE || message->state == MESSAGE_PENDING;

    if (waiting && message->in_blast) {
        emit(message, input, out, MESSAGE_EVENT_EXPIRED)->as.expired.reason =
            input->reason != NULL ? input->reason : "not_after";
    } else if (message->state == MESSAGE_PENDING || message->state == MESSAGE_DISPATCHED ||
               message->state == MESSAGE_FAILED_RETRY) {
        fail(message, input, true, "expired", out);
    }
}

static void session_gone(const struct message *message, const struct message_input *input,
                         struct message_decision *out)
{
    if (message->state == MESSAGE_PENDING || message->state == MESSAGE_DISPATCHED ||
        message->state == MESSAGE_FAILED_RETRY ||
        (message->state == MESSAGE_NONE && message->in_blast)) {
        fail(message, input, true, "logged_out", out);
    }
}

/* A direct send's refusal is the answer to its command; a blast waits for an event (S4). */
static void refused(const struct message *message, const struct message_input *input,
                    struct message_decision *out)
{
    if (message->state == MESSAGE_NONE && message->in_blast) {
        fail(message, input, true, "refused", out);
    }
}

void message_decide(const struct message *message, const struct message_input *input,
                    struct message_decision *out)
{
    *out = (struct message_decision){0};
    switch (input->kind) {
    case MESSAGE_IN_ACCEPT:
        accept_it(message, input, out);
        break;
    case MESSAGE_IN_DISPATCH:
        dispatch(message, input, out);
        break;
    case MESSAGE_IN_SEND_ACCEPTED:
        if (takes_ack(message->state)) {
            sent(message, input, out);
        }
        break;
    case MESSAGE_IN_SEND_REJECTED:
        rejected(message, input, out);
        break;
    case MESSAGE_IN_NO_ANSWER:
        if (message->state == MESSAGE_DISPATCHED) {
            rejected(message, input, out);
        }
        break;
    case MESSAGE_IN_DELIVERED:
    case MESSAGE_IN_TRACK_DELIVERED:
        receipt(message, input, MESSAGE_DELIVERED, out);
        break;
    case MESSAGE_IN_READ:
    case MESSAGE_IN_TRACK_READ:
        receipt(message, input, MESSAGE_READ, out);
        break;
    case MESSAGE_IN_TRACK_SENT:
        track_sent(message, input, out);
        break;
    case MESSAGE_IN_TRACK_FAILED:
        track_failed(message, input, out);
        break;
    case MESSAGE_IN_UNUSABLE:
        if (is_waiting(message)) {
            emit(message, input, out, MESSAGE_EVENT_SKIPPED)->as.skipped.reason =
                input->reason != NULL ? input->reason : "not_on_whatsapp";
        }
        break;
    case MESSAGE_IN_TIME_IS_UP:
        time_is_up(message, input, out);
        break;
    case MESSAGE_IN_SESSION_GONE:
        session_gone(message, input, out);
        break;
    case MESSAGE_IN_REFUSED:
        refused(message, input, out);
        break;
    case MESSAGE_IN_BLAST_ENDED:   /* what was handed over finishes, retries too (S5) */
    case MESSAGE_IN_TRACK_PENDING: /* says nothing */
    case MESSAGE_INPUT_COUNT:
        break;
    }
}

enum message_state message_state_after(const struct message_event *event)
{
    switch (event->kind) {
    case MESSAGE_EVENT_QUEUED:
        return MESSAGE_PENDING;
    case MESSAGE_EVENT_DISPATCHED:
        return MESSAGE_DISPATCHED;
    case MESSAGE_EVENT_SENT:
        return MESSAGE_SENT;
    case MESSAGE_EVENT_DELIVERED:
        return MESSAGE_DELIVERED;
    case MESSAGE_EVENT_READ:
        return MESSAGE_READ;
    case MESSAGE_EVENT_FAILED:
        return event->as.failed.has_next_attempt_at ? MESSAGE_FAILED_RETRY : MESSAGE_FAILED;
    case MESSAGE_EVENT_SKIPPED:
        return MESSAGE_SKIPPED;
    case MESSAGE_EVENT_EXPIRED:
        return MESSAGE_EXPIRED;
    case MESSAGE_EVENT_RECEIVED:
    case MESSAGE_EVENT_NONE:
        break;
    }
    return MESSAGE_NONE;
}

void message_evolve(struct message *message, const struct message_event *event)
{
    if (message_state_after(event) == MESSAGE_NONE) {
        return;
    }
    message->sequence = event->sequence;
    message->state = message_state_after(event);
    message->in_blast = event->blast_id != NULL;
    if (event->kind == MESSAGE_EVENT_DISPATCHED) {
        message->attempts = event->as.dispatched.attempt;
    }
    message->next_attempt_ms =
        message->state == MESSAGE_FAILED_RETRY ? event->as.failed.next_attempt_at : 0;
}
