/* wa.blast.events.v1 into proj.blasts, proj.blast_skipped and proj.blast_cancelled. */
#include <jansson.h>
#include <stdlib.h>

#include "domain/blast.h"
#include "tracker/projection_internal.h"

struct blast_row {
    const char *uuid;
    int64_t id, user_id;
    const char *blast_key, *session_uuid, *session_key, *campaign_id, *campaign_name;
    const char *message_template, *config, *upload_id, *status, *pause_reason, *error_message;
    int64_t total_messages, current_index, sent_count, failed_count, skipped_count;
    int64_t delivered_count, read_count;
    int64_t estimated_completion, started_at, paused_at, resumed_at, completed_at, stopped_at;
    int64_t failed_at, created_at, updated_at, deleted_at;
    int64_t applied_seq;
    bool is_changed;
};

#define COLUMN(name, kind, merge)                                            \
    {                                                                        \
#name, TABLE_##kind, TABLE_##merge, offsetof(struct blast_row, name) \
    }

static const struct table_column columns[] = {
    COLUMN(uuid, UUID, KEY),
    COLUMN(id, INT, SET),
    COLUMN(user_id, INT, SET),
    COLUMN(blast_key, TEXT, SET),
    COLUMN(session_uuid, UUID, SET),
    COLUMN(session_key, TEXT, SET),
    COLUMN(campaign_id, TEXT, SET),
    COLUMN(campaign_name, TEXT, SET),
    COLUMN(message_template, TEXT, SET),
    COLUMN(config, JSON, SET),
    COLUMN(upload_id, TEXT, SET),
    COLUMN(status, TEXT, SET),
    COLUMN(pause_reason, TEXT, SET),
    COLUMN(error_message, TEXT, SET),
    COLUMN(total_messages, INT, SET),
    COLUMN(current_index, INT, SET),
    COLUMN(sent_count, INT, SET),
    COLUMN(failed_count, INT, SET),
    COLUMN(skipped_count, INT, SET),
    COLUMN(delivered_count, INT, SET),
    COLUMN(read_count, INT, SET),
    COLUMN(estimated_completion, TIME, SET),
    COLUMN(started_at, TIME, SET),
    COLUMN(paused_at, TIME, SET),
    COLUMN(resumed_at, TIME, SET),
    COLUMN(completed_at, TIME, SET),
    COLUMN(stopped_at, TIME, SET),
    COLUMN(failed_at, TIME, SET),
    COLUMN(created_at, TIME, SET),
    COLUMN(updated_at, TIME, SET),
    COLUMN(deleted_at, TIME, SET),
    COLUMN(applied_seq, INT, SET),
};

static const struct table table = {"blasts", columns, sizeof(columns) / sizeof(columns[0]),
                                   "applied_seq"};

struct skipped_row {
    const char *blast_id;
    int64_t message_index, at;
    const char *reason;
};

static const struct table_column skipped_columns[] = {
    {"blast_id", TABLE_UUID, TABLE_KEY, offsetof(struct skipped_row, blast_id)},
    {"message_index", TABLE_INT, TABLE_KEY, offsetof(struct skipped_row, message_index)},
    {"reason", TABLE_TEXT, TABLE_SET, offsetof(struct skipped_row, reason)},
    {"at", TABLE_TIME, TABLE_SET, offsetof(struct skipped_row, at)},
};

static const struct table skipped_table = {"blast_skipped", skipped_columns, 4, NULL};

struct cancelled_row {
    const char *blast_id;
    int64_t first_index, last_index, at;
    const char *reason;
};

static const struct table_column cancelled_columns[] = {
    {"blast_id", TABLE_UUID, TABLE_KEY, offsetof(struct cancelled_row, blast_id)},
    {"first_index", TABLE_INT, TABLE_KEY, offsetof(struct cancelled_row, first_index)},
    {"last_index", TABLE_INT, TABLE_SET, offsetof(struct cancelled_row, last_index)},
    {"reason", TABLE_TEXT, TABLE_SET, offsetof(struct cancelled_row, reason)},
    {"at", TABLE_TIME, TABLE_SET, offsetof(struct cancelled_row, at)},
};

static const struct table cancelled_table = {"blast_cancelled", cancelled_columns, 5, NULL};

static void add_recipients(struct projection *p, const struct blast_event *event)
{
    const struct blast_recipients_cancelled *cancelled = &event->as.recipients_cancelled;
    const struct blast_recipients_skipped *skipped = &event->as.recipients_skipped;

    if (event->kind == BLAST_EVENT_RECIPIENTS_CANCELLED) {
        struct cancelled_row *row = rows_add(&p->cancelled, p->arena, sizeof(*row));

        *row = (struct cancelled_row){event->aggregate_id, cancelled->first_index,
                                      cancelled->last_index, event->occurred_at, cancelled->reason};
    } else if (event->kind == BLAST_EVENT_RECIPIENTS_SKIPPED) {
        for (size_t i = 0; i < skipped->recipients.n; i++) {
            struct skipped_row *row = rows_add(&p->skipped, p->arena, sizeof(*row));

            *row = (struct skipped_row){event->aggregate_id, skipped->recipients.at[i].index,
                                        event->occurred_at, skipped->recipients.at[i].reason};
        }
    }
}

void fold_blast_add(struct projection *p, const struct blast_event *event)
{
    bool is_new = false;
    struct blast_row *row =
        rows_of(&p->blasts, p->arena, event->aggregate_id, sizeof(*row), &is_new);

    if (is_new) { /* what holds when the table has no such row */
        row->campaign_name = row->message_template = "";
        row->config = "{}";
        row->status = blast_status_name(BLAST_NONE);
        row->id = event->id;
        row->blast_key = event->blast_key;
        row->user_id = event->user_id;
        row->session_uuid = event->session_uuid;
        row->session_key = event->session_key;
        row->created_at = event->occurred_at;
        row->estimated_completion = row->started_at = row->paused_at = row->resumed_at = TABLE_NULL;
        row->completed_at = row->stopped_at = row->failed_at = row->deleted_at = TABLE_NULL;
    }
    *(const struct blast_event **)rows_add(&p->blast_events, p->arena, sizeof(void *)) = event;
    add_recipients(p, event);
}

/* What a jsonb column takes of it: numbers as a double has them, because those of 20,000 digits,
 * or with 20,000 behind the point, are refused there and not by jansson. */
static const char *config_of(struct arena *arena, const char *text)
{
    json_t *object = text == NULL ? NULL : json_loads(text, 0, NULL);
    char *dumped =
        json_is_object(object) ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    const char *kept = dumped != NULL ? arena_strdup(arena, dumped) : "{}";

    free(dumped);
    json_decref(object);
    return kept;
}

static void on_created(struct blast_row *row, struct arena *arena, const struct blast_event *event)
{
    const struct blast_created *from = &event->as.created;

    row->campaign_id = from->campaign_id;
    row->campaign_name = from->campaign_name;
    row->message_template = from->message_template;
    row->config = config_of(arena, from->config);
    row->upload_id = from->upload_id;
    row->total_messages = from->total_messages;
    row->created_at = event->occurred_at;
}

/* What an event says beyond the status and the counters. */
static void fold_payload(struct blast_row *row, struct arena *arena,
                         const struct blast_event *event)
{
    const struct blast_progressed *progressed = &event->as.progressed;

    switch (event->kind) {
    case BLAST_EVENT_CREATED:
        on_created(row, arena, event);
        break;
    case BLAST_EVENT_STARTED:
        row->started_at = event->as.started.at * 1000;
        break;
    case BLAST_EVENT_PAUSED:
        row->paused_at = event->as.paused.at * 1000;
        row->pause_reason = event->as.paused.reason;
        break;
    case BLAST_EVENT_RESUMED:
        row->resumed_at = event->as.resumed.at * 1000;
        row->pause_reason = NULL;
        break;
    case BLAST_EVENT_PROGRESSED:
        row->estimated_completion = progressed->has_estimated_completion
                                        ? progressed->estimated_completion * 1000
                                        : TABLE_NULL;
        break;
    case BLAST_EVENT_COMPLETED:
        row->completed_at = event->as.completed.at * 1000;
        break;
    case BLAST_EVENT_STOPPED:
        row->stopped_at = event->as.stopped.at * 1000;
        break;
    case BLAST_EVENT_FAILED:
        row->failed_at = event->as.failed.at * 1000;
        row->error_message = event->as.failed.error_message;
        break;
    case BLAST_EVENT_DELETED:
        row->deleted_at = event->occurred_at;
        break;
    case BLAST_EVENT_NONE: /* of a later version */
    case BLAST_EVENT_RECIPIENTS_SKIPPED:
    case BLAST_EVENT_RECIPIENTS_CANCELLED:
        break;
    }
}

/* Status and counters follow the decider's own rules. */
static void fold_status(struct blast_row *row, const struct blast_event *event)
{
    struct blast blast = {0};

    (void)blast_status_parse(row->status, &blast.status);
    blast.counts = (struct blast_counts){
        .current_index = (int32_t)row->current_index,
        .sent = (int32_t)row->sent_count,
        .failed = (int32_t)row->failed_count,
        .skipped = (int32_t)row->skipped_count,
        .delivered = (int32_t)row->delivered_count,
        .read = (int32_t)row->read_count,
    };
    blast_evolve(&blast, event);
    row->status = blast_status_name(blast.status);
    row->current_index = blast.counts.current_index;
    row->sent_count = blast.counts.sent;
    row->failed_count = blast.counts.failed;
    row->skipped_count = blast.counts.skipped;
    row->delivered_count = blast.counts.delivered;
    row->read_count = blast.counts.read;
    if (blast.status != BLAST_RUNNING) { /* INV-8 */
        row->estimated_completion = TABLE_NULL;
    }
}

static void fold(struct projection *p, const struct blast_event *event)
{
    bool is_new = false;
    struct blast_row *row =
        rows_of(&p->blasts, p->arena, event->aggregate_id, sizeof(*row), &is_new);

    if (event->sequence != row->applied_seq + 1) {
        p->gaps++;
    }
    if (event->sequence <= row->applied_seq) {
        return;
    }
    fold_payload(row, p->arena, event);
    fold_status(row, event);
    row->updated_at = event->occurred_at;
    row->applied_seq = event->sequence;
    row->is_changed = true;
}

static void on_rows(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct projection *p = ctx;
    struct rows changed = {0};

    (void)err;
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        struct blast_row read = {0};
        bool is_new = false;

        table_read(&table, rows, i, p->arena, &read);
        struct blast_row *row = rows_of(&p->blasts, p->arena, read.uuid, sizeof(*row), &is_new);

        *row = read;
    }
    for (size_t i = 0; i < p->blast_events.n; i++) {
        fold(p, *(const struct blast_event *const *)p->blast_events.at[i]);
    }
    changed.at = arena_array0(p->arena, p->blasts.rows.n, sizeof(*changed.at));
    for (size_t i = 0; i < p->blasts.rows.n; i++) {
        struct blast_row *row = p->blasts.rows.at[i];

        if (row->is_changed) {
            changed.at[changed.n++] = row;
            projection_moved(p, row->uuid, row->applied_seq);
        }
    }
    projection_write(p, &table, &changed);
}

void fold_blast_stage(struct projection *p)
{
    projection_write(p, &skipped_table, &p->skipped);
    projection_write(p, &cancelled_table, &p->cancelled);
    if (p->blasts.rows.n > 0) {
        projection_read(p, &table, &p->blasts, on_rows);
    }
}
