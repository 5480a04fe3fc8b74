/* pg_unit: units of work on the wire: what is sent, what answer comes next. Internal to libs/pg.
 *
 * A transaction's statements go out with a sync point behind them, their answers are looked at, and
 * COMMIT or ROLLBACK follows. It must be a sync point: behind a mere flush request the server
 * counts nobody as idle in transaction, and a process that stopped there would keep its locks for
 * ever (L6). */
#ifndef PG_PG_UNIT_H
#define PG_PG_UNIT_H

#include "base/err.h"
#include "loop/loop.h"
#include "loop/loop_backoff.h"
#include "pg/pg_internal.h"

enum pg_op_kind { PG_OP_BEGIN, PG_OP_STATEMENT, PG_OP_COMMIT, PG_OP_ROLLBACK };

struct pg_op {
    enum pg_op_kind kind;
    struct pg_stmt *stmt; /* owned; NULL but for PG_OP_STATEMENT */
    pg_rows_cb *fn;
    void *ctx;
};

enum pg_item_kind { PG_ITEM_PREPARE, PG_ITEM_EXECUTE, PG_ITEM_SYNC };

/* An answer that will come, in this order. */
struct pg_item {
    enum pg_item_kind kind;
    size_t op;
    struct pg_prepared_text *entry; /* of PG_ITEM_PREPARE */
};

struct pg_tx {
    struct pg *pg;
    struct pg_tx *next;
    bool is_query; /* one statement, no BEGIN */
    pg_tx_cb *done;
    void *ctx;
    struct pg_op *ops; /* in order of sending; BEGIN first */
    size_t n_ops, cap_ops;
    size_t n_sent;
    size_t n_answered;
    size_t flush_to; /* ops before this one may be sent */
    struct pg_item *items;
    size_t n_items, cap_items, head;
    bool is_commit_wanted;
    bool is_rollback_wanted;
    bool is_commit_sent;
    bool is_ending; /* nothing more will be sent */
    bool is_failed;
    enum pg_outcome outcome; /* once ending */
    struct err why;
    PGresult *result; /* of a query, kept until its sync point */
};

enum pg_state { PG_STATE_DOWN, PG_STATE_CONNECTING, PG_STATE_SETUP, PG_STATE_UP };

struct pg {
    struct loop *loop;
    struct pg_own_config config;
    struct pg_events events;
    enum pg_state state;
    bool is_closed;
    bool is_kicked;
    bool is_broken;     /* a send failed; seen at the next kick */
    struct err refusal; /* why a server that answers is not used; code 0: none */
    PGconn *conn;
    struct loop_fd *fd;
    struct loop_timer retry;
    struct loop_timer watch; /* connecting, or waiting for an answer */
    struct loop_backoff backoff;
    struct pg_prepared prepared;
    struct pg_tx *first, *last;
    size_t n_units;
};

void pg_unit_append(struct pg *pg, struct pg_tx *unit);
struct pg_tx *pg_unit_new(struct pg *pg, pg_tx_cb *fn, void *ctx);
void pg_unit_add(struct pg_tx *unit, enum pg_op_kind kind, struct pg_stmt *stmt);
void pg_unit_free(struct pg_tx *unit);

/* Send what the first unit may send now; end it, and go on to the next, when it has nothing left.
 */
void pg_units_advance(struct pg *pg);

/* An answer came: @result (taken) belongs to the first unit's next item. */
void pg_unit_answer(struct pg *pg, PGresult *result);

bool pg_units_are_waiting(const struct pg *pg); /* for an answer */

/* The connection is gone: end every unit by how far it came. */
void pg_units_fail(struct pg *pg, const struct err *why);

void pg_kick(struct pg *pg); /* advance at the end of the turn */

#endif
