/* projection: folds a batch of records of the log into the tables of schema proj.
 *
 *     struct projection *p = projection_new(arena);
 *     for each record: projection_add(p, topic, record, &err);
 *     projection_stage(p, &sink);
 *
 * Sessions and blasts are read, folded and written; of everything else the batch is written without
 * reading, so that it costs one statement a table. Each table has one source topic, and a row knows
 * the sequence that it holds: repeats change nothing, and the order of topics does not matter. */
#ifndef TRACKER_PROJECTION_H
#define TRACKER_PROJECTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "pg/pg.h"
#include "record/records.h"

struct arena;
struct err;
struct projection;

/* How statements reach the transaction that holds the batch. */
struct projection_sink {
    /* A new statement, in order; its parameters are added before the next call. */
    struct pg_stmt *(*sql)(void *ctx, const char *text);
    /* Read, behind what was staged; @fn may stage more. Takes @stmt. */
    void (*ask)(void *ctx, struct pg_stmt *stmt, pg_rows_cb *fn, void *fn_ctx);
    void *ctx;
};

/* Everything lives in @arena. */
struct projection *projection_new(struct arena *arena);

/* Fold the struct of topics[@topic].type, of that partition, in later. Borrows @record until the
 * transaction ends.
 *   -ERR_INVALID   it makes no sense (ids, numbers, keys) and would have no row; says why */
NODISCARD int projection_add(struct projection *projection, enum topic topic, int partition,
                             const void *record, struct err *err);

/* Rows that it will write, about: a chunk of recipients weighs more than an event. */
size_t projection_weight(const struct projection *projection);

/* Copies @sink. Done when the last answer to its asks has come. */
void projection_stage(struct projection *projection, const struct projection_sink *sink);

/* Sessions and blasts that moved, and to where. */
struct projection_applied {
    const char *aggregate_id;
    int64_t sequence;
};

/* Valid once it is staged. Gives how many; *@out is the projection's. */
size_t projection_applied(const struct projection *projection,
                          const struct projection_applied **out);

/* Events whose sequence was not the next one of their session or blast; they were applied all the
 * same, unless they were older. */
size_t projection_gaps(const struct projection *projection);

#endif
