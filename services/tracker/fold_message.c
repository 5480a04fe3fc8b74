/* wa.message.events.v1 into proj.message_states: what a batch says of a message, joined with its
 * row. */
#include "domain/message.h"
#include "tracker/projection_internal.h"

struct message_row {
    const char *message_id;
    const char *session_uuid, *blast_id, *campaign_id, *recipient, *contact_name, *kind, *text;
    const char *state, *last_error, *wa_message_id;
    int64_t user_id, message_index, attempt_count;
    int64_t next_attempt_at, sent_at, delivered_at, read_at, created_at, updated_at;
    int64_t applied_seq;
};

#define COLUMN(name, kind, merge)                                              \
    {                                                                          \
#name, TABLE_##kind, TABLE_##merge, offsetof(struct message_row, name) \
    }

static const struct table_column columns[] = {
    COLUMN(message_id, UUID, KEY),      COLUMN(session_uuid, UUID, SET),
    COLUMN(user_id, INT, SET),          COLUMN(blast_id, UUID, LAST),
    COLUMN(message_index, INT, LAST),   COLUMN(campaign_id, TEXT, LAST),
    COLUMN(recipient, TEXT, FIRST),     COLUMN(contact_name, TEXT, FIRST),
    COLUMN(kind, TEXT, FIRST),          COLUMN(text, TEXT, FIRST),
    COLUMN(state, TEXT, SET),           COLUMN(attempt_count, INT, MOST),
    COLUMN(next_attempt_at, TIME, SET), COLUMN(last_error, TEXT, SET),
    COLUMN(wa_message_id, TEXT, LAST),  COLUMN(sent_at, TIME, FIRST),
    COLUMN(delivered_at, TIME, FIRST),  COLUMN(read_at, TIME, FIRST),
    COLUMN(created_at, TIME, FIRST),    COLUMN(updated_at, TIME, SET),
    COLUMN(applied_seq, INT, SET),
};

static const struct table table = {"message_states", columns, sizeof(columns) / sizeof(columns[0]),
                                   "applied_seq"};

static void first_text(const char **to, const char *from)
{
    if (*to == NULL) {
        *to = from;
    }
}

static void first_time(int64_t *to, int64_t ms)
{
    if (*to == TABLE_NULL) {
        *to = ms * 1000;
    }
}

static void most(int64_t *to, int64_t value)
{
    *to = value > *to ? value : *to;
}

static void on_failed(struct message_row *row, const struct message_failed *failed)
{
    row->last_error = failed->error;
    most(&row->attempt_count, failed->attempt);
    if (failed->has_next_attempt_at) {
        row->next_attempt_at = failed->next_attempt_at * 1000;
    }
}

/* A receipt stands for the ack, and reading for the delivery (S3, INV-20). */
static void fold_payload(struct message_row *row, const struct message_event *event)
{
    const struct message_queued *queued = &event->as.queued;
    const struct message_dispatched *dispatched = &event->as.dispatched;

    switch (event->kind) {
    case MESSAGE_EVENT_QUEUED:
        first_text(&row->recipient, queued->recipient);
        first_text(&row->kind, queued->kind);
        first_text(&row->text, queued->text);
        first_text(&row->contact_name, queued->contact_name);
        break;
    case MESSAGE_EVENT_DISPATCHED:
        first_text(&row->recipient, dispatched->recipient);
        first_text(&row->text, dispatched->text);
        row->wa_message_id = dispatched->wa_message_id;
        most(&row->attempt_count, dispatched->attempt);
        break;
    case MESSAGE_EVENT_SENT:
        if (event->as.sent.wa_message_id != NULL) {
            row->wa_message_id = event->as.sent.wa_message_id;
        }
        first_time(&row->sent_at, event->as.sent.at);
        break;
    case MESSAGE_EVENT_DELIVERED:
        first_time(&row->sent_at, event->as.delivered.at);
        first_time(&row->delivered_at, event->as.delivered.at);
        break;
    case MESSAGE_EVENT_READ:
        first_time(&row->sent_at, event->as.read.at);
        first_time(&row->delivered_at, event->as.read.at);
        first_time(&row->read_at, event->as.read.at);
        break;
    case MESSAGE_EVENT_FAILED:
        on_failed(row, &event->as.failed);
        break;
    case MESSAGE_EVENT_SKIPPED:
        row->last_error = event->as.skipped.reason;
        break;
    case MESSAGE_EVENT_EXPIRED:
        row->last_error = event->as.expired.reason;
        break;
    case MESSAGE_EVENT_RECEIVED:
    case MESSAGE_EVENT_NONE:
        break;
    }
}

/* For readers a try that failed is a failure, whether another will come (next_attempt_at) or not.
 */
static const char *state_of(enum message_state state)
{
    return message_state_name(state == MESSAGE_FAILED_RETRY ? MESSAGE_FAILED : state);
}

void fold_message_add(struct projection *p, const struct message_event *event)
{
    enum message_state state = message_state_after(event);
    bool is_new = false;

    if (state == MESSAGE_NONE) {
        return; /* inbound, or of a later version: in the copy of the log alone */
    }
    struct message_row *row =
        rows_of(&p->messages, p->arena, event->aggregate_id, sizeof(*row), &is_new);

    if (is_new) {
        row->message_index = TABLE_NULL;
        row->sent_at = row->delivered_at = row->read_at = TABLE_NULL;
        row->created_at = event->occurred_at;
    } else if (event->sequence <= row->applied_seq) {
        return;
    }
    row->session_uuid = event->session_uuid;
    row->user_id = event->user_id;
    row->blast_id = event->blast_id;
    row->message_index = event->has_blast_index ? event->blast_index : TABLE_NULL;
    row->campaign_id = event->campaign_id;
    row->state = state_of(state);
    row->next_attempt_at = TABLE_NULL;
    row->last_error = NULL;
    fold_payload(row, event);
    row->updated_at = event->occurred_at;
    row->applied_seq = event->sequence;
}

void fold_message_stage(struct projection *p)
{
    projection_write(p, &table, &p->messages.rows);
}
