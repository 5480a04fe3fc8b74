/* wa.webhook.events.v1 into proj.webhook_deliveries. */
#include "domain/webhook.h"
#include "tracker/projection_internal.h"

struct delivery_row {
    const char *id;
    const char *session_uuid, *session_key, *source_event_id, *event, *status, *last_error;
    int64_t user_id, attempt, http_status, next_at, created_at, updated_at;
    int64_t applied_seq;
};

#define COLUMN(name, kind, merge)                                               \
    {                                                                           \
#name, TABLE_##kind, TABLE_##merge, offsetof(struct delivery_row, name) \
    }

static const struct table_column columns[] = {
    COLUMN(id, UUID, KEY),
    COLUMN(session_uuid, UUID, SET),
    COLUMN(session_key, TEXT, SET),
    COLUMN(user_id, INT, SET),
    COLUMN(source_event_id, TEXT, SET),
    COLUMN(event, TEXT, FIRST),
    COLUMN(status, TEXT, SET),
    COLUMN(attempt, INT, MOST),
    COLUMN(http_status, INT, LAST),
    COLUMN(last_error, TEXT, SET),
    COLUMN(next_at, TIME, SET),
    COLUMN(created_at, TIME, FIRST),
    COLUMN(updated_at, TIME, SET),
    COLUMN(applied_seq, INT, SET),
};

static const struct table table = {"webhook_deliveries", columns,
                                   sizeof(columns) / sizeof(columns[0]), "applied_seq"};

static void fold_payload(struct delivery_row *row, const struct webhook_event *event)
{
    switch (event->kind) {
    case WEBHOOK_EVENT_QUEUED:
        row->event = event->as.queued.event;
        break;
    case WEBHOOK_EVENT_ATTEMPT_FAILED:
        row->last_error = event->as.attempt_failed.error;
        row->next_at = event->as.attempt_failed.next_at * 1000;
        if (event->as.attempt_failed.has_http_status) {
            row->http_status = event->as.attempt_failed.http_status;
        }
        break;
    case WEBHOOK_EVENT_DELIVERED:
        row->http_status = event->as.delivered.http_status;
        break;
    case WEBHOOK_EVENT_DEAD:
        row->last_error = event->as.dead.reason;
        break;
    case WEBHOOK_EVENT_NONE:
        break;
    }
}

void fold_webhook_add(struct projection *p, const struct webhook_event *event)
{
    struct webhook webhook = {0};
    bool is_new = false;

    if (event->kind == WEBHOOK_EVENT_NONE) {
        return; /* of a later version */
    }
    struct delivery_row *row =
        rows_of(&p->deliveries, p->arena, event->aggregate_id, sizeof(*row), &is_new);

    if (is_new) {
        row->http_status = TABLE_NULL;
        row->created_at = event->occurred_at;
    } else if (event->sequence <= row->applied_seq) {
        return;
    }
    webhook_evolve(&webhook, event);
    row->status = webhook_state_name(webhook.state);
    row->attempt = webhook.attempts > row->attempt ? webhook.attempts : row->attempt;
    row->session_uuid = event->session_uuid;
    row->session_key = event->session_key;
    row->user_id = event->user_id;
    row->source_event_id = event->source_event_id;
    row->last_error = NULL;
    row->next_at = TABLE_NULL;
    fold_payload(row, event);
    row->updated_at = event->occurred_at;
    row->applied_seq = event->sequence;
}

void fold_webhook_stage(struct projection *p)
{
    projection_write(p, &table, &p->deliveries.rows);
}
