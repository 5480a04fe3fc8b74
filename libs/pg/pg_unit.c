#include "pg/pg_unit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pg_tx *pg_unit_new(struct pg *pg, pg_tx_cb *fn, void *ctx)
{
    struct pg_tx *unit = mem_new0(sizeof(*unit));

    unit->pg = pg;
    unit->done = fn;
    unit->ctx = ctx;
    return unit;
}

void pg_unit_append(struct pg *pg, struct pg_tx *unit)
{
    if (pg->last != NULL) {
        pg->last->next = unit;
    } else {
        pg->first = unit;
    }
    pg->last = unit;
    pg->n_units++;
    pg_kick(pg);
}

void pg_unit_free(struct pg_tx *unit)
{
    for (size_t i = 0; i < unit->n_ops; i++) {
        pg_stmt_free(&unit->ops[i].stmt);
    }
    PQclear(unit->result);
    free(unit->ops);
    free(unit->items);
    free(unit);
}

void pg_unit_add(struct pg_tx *unit, enum pg_op_kind kind, struct pg_stmt *stmt)
{
    unit->ops = mem_room(unit->ops, unit->n_ops, &unit->cap_ops, sizeof(*unit->ops));
    unit->ops[unit->n_ops++] = (struct pg_op){.kind = kind, .stmt = stmt};
}

static void expect_item(struct pg_tx *unit, struct pg_item item)
{
    if (unit->head > 0 && unit->head == unit->n_items) {
        unit->head = 0;
        unit->n_items = 0;
    }
    unit->items = mem_room(unit->items, unit->n_items, &unit->cap_items, sizeof(*unit->items));
    unit->items[unit->n_items++] = item;
}

bool pg_units_are_waiting(const struct pg *pg)
{
    return pg->first != NULL && pg->first->head < pg->first->n_items;
}

/* ---- sending ---- */

static const char *op_text(const struct pg_op *op)
{
    switch (op->kind) {
    case PG_OP_BEGIN:
        return "BEGIN ISOLATION LEVEL READ COMMITTED";
    case PG_OP_COMMIT:
        return "COMMIT";
    case PG_OP_ROLLBACK:
        return "ROLLBACK";
    case PG_OP_STATEMENT:
    default:
        return pg_stmt_text(op->stmt);
    }
}

static void sent(struct pg *pg, int ok)
{
    if (ok != 1) {
        pg->is_broken = true;
    }
}

static void send_op(struct pg_tx *unit, size_t at)
{
    struct pg *pg = unit->pg;
    const struct pg_op *op = &unit->ops[at];
    struct pg_bound bound = {0};
    struct pg_prepared_text *entry = pg_prepared_get(&pg->prepared, op_text(op));
    char name[PG_PREPARED_NAME_MAX];

    if (op->stmt != NULL) {
        pg_stmt_bind(op->stmt, &bound);
    }
    if (entry == NULL) { /* too many texts to keep them all prepared */
        sent(pg, PQsendQueryParams(pg->conn, op_text(op), bound.n, bound.types, bound.values,
                                   bound.lengths, bound.formats, 1));
    } else {
        (void)pg_prepared_name(entry, name);
        if (!entry->is_ready && !entry->is_sent) {
            entry->is_sent = true;
            pg->prepared.has_sent = true;
            sent(pg, PQsendPrepare(pg->conn, name, op_text(op), bound.n, bound.types));
            expect_item(unit, (struct pg_item){PG_ITEM_PREPARE, at, entry});
        }
        sent(pg, PQsendQueryPrepared(pg->conn, name, bound.n, bound.values, bound.lengths,
                                     bound.formats, 1));
    }
    expect_item(unit, (struct pg_item){PG_ITEM_EXECUTE, at, NULL});
}

static void send_sync(struct pg_tx *unit)
{
    sent(unit->pg, PQpipelineSync(unit->pg->conn));
    expect_item(unit, (struct pg_item){PG_ITEM_SYNC, 0, NULL});
}

static void send_ready_ops(struct pg_tx *unit)
{
    bool any = false;

    while (unit->n_sent < unit->flush_to) {
        send_op(unit, unit->n_sent++);
        any = true;
    }
    if (any) {
        send_sync(unit);
        unit->is_ending = unit->is_query;
    }
}

static void end_with(struct pg_tx *unit, enum pg_op_kind kind)
{
    pg_unit_add(unit, kind, NULL);
    send_op(unit, unit->n_ops - 1);
    unit->n_sent = unit->n_ops;
    send_sync(unit);
    unit->is_ending = true;
}

static void drop_unsent(struct pg_tx *unit)
{
    while (unit->n_ops > unit->n_sent) {
        pg_stmt_free(&unit->ops[--unit->n_ops].stmt);
    }
}

/* Send what may be sent. Whether the unit is over. */
static bool advance_unit(struct pg_tx *unit)
{
    if (!unit->is_ending) {
        bool is_over = unit->is_failed || unit->is_rollback_wanted;

        if (is_over && unit->n_sent == 0) {
            unit->outcome = PG_ROLLED_BACK; /* nothing ever went out */
            return true;
        }
        if (is_over) {
            unit->outcome = PG_ROLLED_BACK;
            drop_unsent(unit);
            end_with(unit, PG_OP_ROLLBACK);
        } else {
            send_ready_ops(unit);
            if (unit->is_commit_wanted && unit->n_answered == unit->n_ops) {
                unit->is_commit_sent = true;
                unit->outcome = PG_UNKNOWN;
                end_with(unit, PG_OP_COMMIT);
            }
        }
    }
    return unit->is_ending && unit->head == unit->n_items;
}

static void finish_first(struct pg *pg)
{
    struct pg_tx *unit = pg->first;

    assert(unit != NULL);
    pg->first = unit->next;
    if (pg->first == NULL) {
        pg->last = NULL;
    }
    pg->n_units--;
    pg_prepared_unsent(&pg->prepared);
    if (unit->is_query) {
        const struct pg_op *op = &unit->ops[0];
        struct pg_rows rows = {.result = unit->result};

        if (op->fn != NULL) {
            op->fn(unit->is_failed ? NULL : &rows, unit->is_failed ? &unit->why : NULL, op->ctx);
        }
    } else {
        unit->done(unit->outcome, unit->outcome == PG_COMMITTED ? NULL : &unit->why, unit->ctx);
    }
    pg_unit_free(unit);
}

void pg_units_advance(struct pg *pg)
{
    while (!pg->is_closed && !pg->is_broken && pg->first != NULL && advance_unit(pg->first)) {
        finish_first(pg);
    }
}

/* ---- answers ---- */

static void fail_unit(struct pg_tx *unit, const struct err *why)
{
    if (!unit->is_failed) {
        unit->is_failed = true;
        unit->why = *why;
    }
}

static void answer_commit(struct pg_tx *unit, PGresult *result)
{
    struct err why = {0};

    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        (void)pg_err_of_result(result, &why);
        /* A connection that ends at this moment says nothing about the commit. */
        unit->outcome = pg_is_fatal_result(result) ? PG_UNKNOWN : PG_ROLLED_BACK;
        fail_unit(unit, &why);
    } else if (strcmp(PQcmdStatus(result), "COMMIT") == 0) {
        unit->outcome = PG_COMMITTED;
    } else {
        (void)err_set(&why, ERR_EXTERNAL, "postgresql: answered COMMIT with ROLLBACK");
        unit->outcome = PG_ROLLED_BACK;
        fail_unit(unit, &why);
    }
}

/* An execution in its turn did well: count it and tell its rows. */
static void answer_rows(struct pg_tx *unit, size_t at, PGresult **result)
{
    struct pg_rows rows = {.result = *result};
    const struct pg_op *op = &unit->ops[at];
    struct err why = {0};

    unit->n_answered++;
    if (unit->is_query) {
        unit->result = *result;
        *result = NULL;
        return;
    }
    if (op->stmt != NULL && pg_check_expected(op->stmt, &rows, &why) < 0) {
        fail_unit(unit, &why);
        return;
    }
    if (op->fn != NULL && !unit->is_failed && !unit->is_rollback_wanted) {
        op->fn(&rows, NULL, op->ctx);
    }
}

static void answer_execute(struct pg_tx *unit, size_t at, PGresult **result)
{
    ExecStatusType status = PQresultStatus(*result);
    struct err why = {0};

    if (unit->ops[at].kind == PG_OP_COMMIT) {
        answer_commit(unit, *result);
    } else if (unit->ops[at].kind == PG_OP_ROLLBACK || status == PGRES_PIPELINE_ABORTED) {
        return;
    } else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        answer_rows(unit, at, result);
    } else {
        (void)pg_err_of_result(*result, &why);
        fail_unit(unit, &why);
    }
}

void pg_unit_answer(struct pg *pg, PGresult *result)
{
    struct pg_tx *unit = pg->first;
    ExecStatusType status = PQresultStatus(result);
    struct pg_item item;

    if (!pg_units_are_waiting(pg)) {
        PQclear(result);
        return;
    }
    item = unit->items[unit->head];
    if (item.kind == PG_ITEM_SYNC && status != PGRES_PIPELINE_SYNC) {
        struct err why = {0}; /* the commit that a sync point makes of a single statement failed */

        (void)pg_err_of_result(result, &why);
        fail_unit(unit, &why);
        PQclear(result);
        return;
    }
    unit->head++;
    if (item.kind == PG_ITEM_PREPARE) {
        if (status == PGRES_COMMAND_OK) {
            item.entry->is_ready = true;
        } else if (status != PGRES_PIPELINE_ABORTED) {
            struct err why = {0};

            (void)pg_err_of_result(result, &why);
            fail_unit(unit, &why);
        }
    } else if (item.kind == PG_ITEM_EXECUTE) {
        answer_execute(unit, item.op, &result);
    }
    PQclear(result);
}

/* ---- the connection is gone ---- */

static void fail_by_progress(struct pg_tx *unit, const struct err *why)
{
    if (unit->is_query) {
        struct err mine = *why;

        if (unit->n_sent > 0 && !unit->is_failed) {
            (void)err_set(&mine, ERR_UNCERTAIN, "%.200s", why->text);
        }
        fail_unit(unit, &mine);
        return;
    }
    if (unit->is_commit_sent && unit->outcome == PG_UNKNOWN) {
        struct err mine = {0};

        (void)err_set(&mine, ERR_UNCERTAIN, "%.200s", why->text);
        unit->is_failed = false; /* what matters to the caller is that it is unknown */
        fail_unit(unit, &mine);
        return;
    }
    if (!unit->is_commit_sent) {
        unit->outcome = PG_ROLLED_BACK;
    }
    fail_unit(unit, why);
}

void pg_units_fail(struct pg *pg, const struct err *why)
{
    size_t n = pg->n_units; /* callbacks may add more, those are for later */

    for (struct pg_tx *unit = pg->first; unit != NULL; unit = unit->next) {
        fail_by_progress(unit, why);
    }
    while (n-- > 0 && !pg->is_closed) {
        finish_first(pg);
    }
}

/* ---- for callers ---- */

void pg_query(struct pg *pg, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx)
{
    struct pg_tx *unit = pg_unit_new(pg, NULL, NULL);

    assert(pg_stmt_expected(stmt) < 0);
    unit->is_query = true;
    pg_unit_add(unit, PG_OP_STATEMENT, stmt);
    unit->ops[0].fn = fn;
    unit->ops[0].ctx = ctx;
    unit->flush_to = 1;
    pg_unit_append(pg, unit);
}

struct pg_tx *pg_begin(struct pg *pg, pg_tx_cb *fn, void *ctx)
{
    struct pg_tx *unit = pg_unit_new(pg, fn, ctx);

    assert(fn != NULL);
    pg_unit_add(unit, PG_OP_BEGIN, NULL);
    pg_unit_append(pg, unit);
    return unit;
}

void pg_tx_add(struct pg_tx *tx, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx)
{
    assert(!tx->is_commit_wanted && !tx->is_query);
    if (tx->is_ending) { /* it failed, and its end is on the way */
        pg_stmt_free(&stmt);
        return;
    }
    pg_unit_add(tx, PG_OP_STATEMENT, stmt);
    tx->ops[tx->n_ops - 1].fn = fn;
    tx->ops[tx->n_ops - 1].ctx = ctx;
}

void pg_tx_flush(struct pg_tx *tx)
{
    if (!tx->is_ending) {
        tx->flush_to = tx->n_ops;
        pg_kick(tx->pg);
    }
}

void pg_tx_commit(struct pg_tx *tx)
{
    pg_tx_flush(tx);
    tx->is_commit_wanted = true;
}

void pg_tx_rollback(struct pg_tx *tx)
{
    if (!tx->is_failed && !tx->is_rollback_wanted) {
        (void)err_set(&tx->why, ERR_CLOSED, "rolled back on demand");
    }
    tx->is_rollback_wanted = true;
    pg_kick(tx->pg);
}
