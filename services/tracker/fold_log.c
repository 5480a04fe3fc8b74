/* All event topics into proj.events: the log as it was applied, for audits. */
#include "base/buf.h"
#include "tracker/projection_internal.h"
#include "tracker/record_json.h"

struct event_row {
    const char *aggregate_id, *aggregate_type, *event_id, *event_type;
    const char *correlation_id, *causation_id, *actor_kind, *actor_id, *session_uuid, *payload;
    int64_t sequence, occurred_at, user_id, epoch, position;
};

#define COLUMN(name, kind, merge)                                            \
    {                                                                        \
#name, TABLE_##kind, TABLE_##merge, offsetof(struct event_row, name) \
    }

static const struct table_column columns[] = {
    COLUMN(aggregate_id, UUID, KEY),   COLUMN(sequence, INT, KEY),
    COLUMN(aggregate_type, TEXT, SET), COLUMN(event_id, UUID, SET),
    COLUMN(event_type, TEXT, SET),     COLUMN(occurred_at, TIME, SET),
    COLUMN(correlation_id, TEXT, SET), COLUMN(causation_id, TEXT, SET),
    COLUMN(actor_kind, TEXT, SET),     COLUMN(actor_id, TEXT, SET),
    COLUMN(session_uuid, UUID, SET),   COLUMN(user_id, INT, SET),
    COLUMN(epoch, INT, SET),           COLUMN(position, INT, SET),
    COLUMN(payload, JSON, SET),
};

static const struct table table = {"events", columns, sizeof(columns) / sizeof(columns[0]), NULL};

void fold_log_add(struct projection *p, enum topic topic, const void *record,
                  const struct envelope *envelope)
{
    struct event_row *row = rows_add(&p->events, p->arena, sizeof(*row));
    struct buf payload = {0};

    record_payload_to_json(topics[topic].type, record, &payload);
    *row = (struct event_row){
        .aggregate_id = envelope->aggregate_id,
        .aggregate_type = envelope->aggregate_type,
        .event_id = envelope->event_id,
        .event_type = envelope->event_type,
        .correlation_id = envelope->correlation_id,
        .causation_id = envelope->causation_id,
        .actor_kind = envelope->actor_kind,
        .actor_id = envelope->actor_id,
        .session_uuid = envelope->session_uuid,
        .payload = arena_strdup(p->arena, buf_text(&payload)),
        .sequence = envelope->sequence,
        .occurred_at = envelope->occurred_at,
        .user_id = envelope->user_id,
        .epoch = envelope->epoch,
        .position = envelope->position,
    };
    buf_done(&payload);
}

void fold_log_stage(struct projection *p)
{
    projection_write(p, &table, &p->events);
}
