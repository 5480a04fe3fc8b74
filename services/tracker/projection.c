#include "tracker/projection.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/record_sane.h"
#include "tracker/projection_internal.h"

/* ---- rows ---- */

void *rows_add(struct rows *rows, struct arena *arena, size_t size)
{
    rows->at = arena_room(arena, rows->at, rows->n, &rows->cap, sizeof(*rows->at));
    rows->at[rows->n] = arena_new0(arena, size);
    return rows->at[rows->n++];
}

static uint32_t hash_of(const char *id)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (; *id != '\0'; id++) {
        hash = (hash ^ (uint8_t)*id) * 16777619U;
    }
    return hash;
}

static const char *id_of(const void *row)
{
    return *(const char *const *)row;
}

static uint32_t *slot_of(struct keyed_rows *rows, const char *id)
{
    size_t at = hash_of(id) % rows->n_slots;

    while (rows->slots[at] != 0 && strcmp(id_of(rows->rows.at[rows->slots[at] - 1]), id) != 0) {
        at = (at + 1) % rows->n_slots;
    }
    return &rows->slots[at];
}

static void make_room(struct keyed_rows *rows, struct arena *arena)
{
    if (rows->rows.n * 2 < rows->n_slots) {
        return;
    }
    rows->n_slots = rows->n_slots == 0 ? 64 : rows->n_slots * 2;
    rows->slots = arena_array0(arena, rows->n_slots, sizeof(*rows->slots));
    for (size_t i = 0; i < rows->rows.n; i++) {
        *slot_of(rows, id_of(rows->rows.at[i])) = (uint32_t)i + 1;
    }
}

void *rows_of(struct keyed_rows *rows, struct arena *arena, const char *id, size_t size,
              bool *is_new)
{
    make_room(rows, arena);
    uint32_t *slot = slot_of(rows, id);

    *is_new = *slot == 0;
    if (*is_new) {
        *(const char **)rows_add(&rows->rows, arena, size) = id;
        *slot = (uint32_t)rows->rows.n;
    }
    return rows->rows.at[*slot - 1];
}

/* ---- taking records ---- */

struct projection *projection_new(struct arena *arena)
{
    struct projection *p = arena_new0(arena, sizeof(*p));

    p->arena = arena;
    return p;
}

static int check(const struct envelope *e, struct err *err)
{
    int rc = record_id_is_sane("event_id", e->event_id, err);

    if (rc == 0) {
        rc = record_id_is_sane("aggregate_id", e->aggregate_id, err);
    }
    if (rc == 0) {
        rc = record_id_is_sane("session_uuid", e->session_uuid, err);
    }
    if (rc == 0 && (e->sequence < 1 || e->sequence == INT64_MAX)) { /* is reckoned with */
        rc = err_set(err, ERR_INVALID, "sequence is %lld", (long long)e->sequence);
    }
    return rc;
}

/* The four kinds of events have an envelope with the same members. */
#define ENVELOPE(event, session)                                                          \
    {                                                                                     \
        .event_id = (event)->event_id, .event_type = (event)->event_type,                 \
        .aggregate_type = (event)->aggregate_type, .aggregate_id = (event)->aggregate_id, \
        .sequence = (event)->sequence, .occurred_at = (event)->occurred_at,               \
        .position = (event)->position, .epoch = (event)->epoch,                           \
        .correlation_id = (event)->correlation_id, .causation_id = (event)->causation_id, \
        .actor_kind = (event)->actor_kind, .actor_id = (event)->actor_id,                 \
        .session_uuid = (session), .user_id = (event)->user_id,                           \
    }

static int add_session(struct projection *p, const struct session_event *event, struct err *err)
{
    struct envelope envelope = ENVELOPE(event, event->aggregate_id);
    int rc = check(&envelope, err);

    if (rc == 0) {
        rc = record_key_is_sane("session_key", event->session_key, err);
    }
    if (rc == 0 && event->kind == SESSION_EVENT_PAIRED) {
        rc = record_key_is_sane("phone", event->as.paired.phone, err);
    }
    if (rc == 0) {
        fold_session_add(p, event);
        fold_log_add(p, TOPIC_SESSION_EVENTS, event, &envelope);
    }
    return rc;
}

static int add_blast(struct projection *p, const struct blast_event *event, struct err *err)
{
    struct envelope envelope = ENVELOPE(event, event->session_uuid);
    int rc = check(&envelope, err);

    if (rc == 0) {
        rc = record_key_is_sane("blast_key", event->blast_key, err);
    }
    if (rc == 0) {
        fold_blast_add(p, event);
        fold_log_add(p, TOPIC_BLAST_EVENTS, event, &envelope);
    }
    return rc;
}

static int add_message(struct projection *p, const struct message_event *event, struct err *err)
{
    struct envelope envelope = ENVELOPE(event, event->session_uuid);
    int rc = check(&envelope, err);

    if (rc == 0 && event->blast_id != NULL) {
        rc = record_id_is_sane("blast_id", event->blast_id, err);
    }
    if (rc == 0) {
        fold_message_add(p, event);
        fold_log_add(p, TOPIC_MESSAGE_EVENTS, event, &envelope);
    }
    return rc;
}

static int add_webhook(struct projection *p, const struct webhook_event *event, struct err *err)
{
    struct envelope envelope = ENVELOPE(event, event->session_uuid);
    int rc = check(&envelope, err);

    if (rc == 0) {
        fold_webhook_add(p, event);
        fold_log_add(p, TOPIC_WEBHOOK_EVENTS, event, &envelope);
    }
    return rc;
}

static int add_recipients(struct projection *p, int partition, const struct blast_recipients *chunk,
                          struct err *err)
{
    int rc = record_id_is_sane("blast_id", chunk->blast_id, err);

    if (rc == 0) {
        rc = record_key_is_sane("upload_id", chunk->upload_id, err);
    }
    if (rc == 0 && (chunk->first_index < 0 ||
                    chunk->recipients.n > (size_t)(INT32_MAX - chunk->first_index))) {
        rc = err_set(err, ERR_INVALID, "first_index is %d", chunk->first_index);
    }
    if (rc == 0) {
        fold_recipients_add(p, partition, chunk);
    }
    return rc;
}

int projection_add(struct projection *p, enum topic topic, int partition, const void *record,
                   struct err *err)
{
    int rc = record_is_sane(topics[topic].type, record, err);

    if (rc < 0) {
        return rc;
    }
    switch (topic) {
    case TOPIC_SESSION_EVENTS:
        return add_session(p, record, err);
    case TOPIC_BLAST_EVENTS:
        return add_blast(p, record, err);
    case TOPIC_MESSAGE_EVENTS:
        return add_message(p, record, err);
    case TOPIC_WEBHOOK_EVENTS:
        return add_webhook(p, record, err);
    case TOPIC_BLAST_RECIPIENTS:
        return add_recipients(p, partition, record, err);
    default:
        return err_set(err, ERR_INVALID, "no projection of %s", topics[topic].name);
    }
}

size_t projection_weight(const struct projection *p)
{
    return p->events.n + p->recipients.n + p->skipped.n;
}

/* ---- staging ---- */

void projection_write(struct projection *p, const struct table *table, const struct rows *rows)
{
    struct buf sql = {0};

    if (rows->n == 0) {
        return;
    }
    table_upsert_sql(table, &sql);
    table_write(table, rows->at, rows->n, p->sink.sql(p->sink.ctx, buf_text(&sql)));
    buf_done(&sql);
}

void projection_read(struct projection *p, const struct table *table, const struct keyed_rows *rows,
                     pg_rows_cb *fn)
{
    struct buf sql = {0};

    table_select_sql(table, &sql);
    struct pg_stmt *stmt = pg_stmt_new(buf_text(&sql));
    struct pg_array *ids = pg_add_array(stmt, PG_ARRAY_UUID);

    for (size_t i = 0; i < rows->rows.n; i++) {
        pg_array_uuid(ids, id_of(rows->rows.at[i]));
    }
    buf_done(&sql);
    p->sink.ask(p->sink.ctx, stmt, fn, p);
}

void projection_stage(struct projection *p, const struct projection_sink *sink)
{
    size_t most = p->sessions.rows.n + p->blasts.rows.n;

    p->sink = *sink;
    p->applied = arena_array0(p->arena, most + 1, sizeof(*p->applied));
    fold_recipients_stage(p);
    fold_message_stage(p);
    fold_webhook_stage(p);
    fold_log_stage(p);
    fold_session_stage(p);
    fold_blast_stage(p);
}

void projection_moved(struct projection *p, const char *aggregate_id, int64_t sequence)
{
    assert(p->n_applied < p->sessions.rows.n + p->blasts.rows.n);
    p->applied[p->n_applied++] = (struct projection_applied){aggregate_id, sequence};
}

size_t projection_applied(const struct projection *p, const struct projection_applied **out)
{
    *out = p->applied;
    return p->n_applied;
}

size_t projection_gaps(const struct projection *p)
{
    return p->gaps;
}
