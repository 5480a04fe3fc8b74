/* projection_internal: what the folds share. */
#ifndef TRACKER_PROJECTION_INTERNAL_H
#define TRACKER_PROJECTION_INTERNAL_H

#include <stdbool.h>

#include "base/arena.h"
#include "tracker/projection.h"
#include "tracker/table.h"

/* Pointers to rows; rows and pointers live in the arena. */
struct rows {
    void **at;
    size_t n;
    size_t cap;
};

/* Rows that are found by their id, a text that is the first member of each. */
struct keyed_rows {
    struct rows rows;
    uint32_t *slots; /* 1 + place in rows; 0 free */
    size_t n_slots;
};

void *rows_add(struct rows *rows, struct arena *arena, size_t size); /* zeroed */

/* The row with that id, made (zeroed, with the id) when there is none: then *@is_new. */
void *rows_of(struct keyed_rows *rows, struct arena *arena, const char *id, size_t size,
              bool *is_new);

struct projection {
    struct arena *arena;
    struct projection_sink sink;
    struct keyed_rows sessions;
    struct keyed_rows blasts;
    struct keyed_rows messages;
    struct keyed_rows deliveries;
    struct rows session_events; /* to be folded once the rows are read */
    struct rows blast_events;
    struct rows recipients;
    struct rows uploads;
    struct rows skipped;
    struct rows cancelled;
    struct rows events;
    struct projection_applied *applied;
    size_t n_applied;
    size_t gaps;
};

/* Each takes one valid record. */
void fold_session_add(struct projection *p, const struct session_event *event);
void fold_blast_add(struct projection *p, const struct blast_event *event);
void fold_message_add(struct projection *p, const struct message_event *event);
void fold_webhook_add(struct projection *p, const struct webhook_event *event);
void fold_recipients_add(struct projection *p, int partition, const struct blast_recipients *chunk);

/* The copy of the log: the event @record of @topic, with its envelope. */
struct envelope {
    const char *event_id, *event_type, *aggregate_type, *aggregate_id;
    int64_t sequence, occurred_at, position, epoch;
    const char *correlation_id, *causation_id, *actor_kind, *actor_id;
    const char *session_uuid;
    int64_t user_id;
};
void fold_log_add(struct projection *p, enum topic topic, const void *record,
                  const struct envelope *envelope);

/* Each stages what its fold has made of the records. */
void fold_session_stage(struct projection *p);
void fold_blast_stage(struct projection *p);
void fold_message_stage(struct projection *p);
void fold_webhook_stage(struct projection *p);
void fold_recipients_stage(struct projection *p);
void fold_log_stage(struct projection *p);

/* Stage the upsert of @rows, if there are any. */
void projection_write(struct projection *p, const struct table *table, const struct rows *rows);

/* Ask for the rows of @rows by id; @fn hears of them. */
void projection_read(struct projection *p, const struct table *table, const struct keyed_rows *rows,
                     pg_rows_cb *fn);

/* @aggregate_id (borrowed) is at @sequence now: told when the turn is committed. */
void projection_moved(struct projection *p, const char *aggregate_id, int64_t sequence);

#endif
