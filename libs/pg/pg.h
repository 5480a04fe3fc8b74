/* pg: PostgreSQL on the loop (wraps libpq in pipeline mode).
 *
 * One connection carries one unit of work at a time, in the order in which they were given: a unit
 * is one statement of its own, or a transaction. Within a unit everything is sent at once and
 * answered in one round trip. All calls belong to the loop's thread; none blocks. */
#ifndef PG_PG_H
#define PG_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "pg/pg_rows.h"
#include "pg/pg_stmt.h"

struct buf;
struct err;
struct loop;
struct pg;
struct pg_tx;

struct pg_config {
    const char *conninfo;    /* libpq's; may hold a password: never logged */
    const char *application; /* application_name: the instance id */
    const char *schema;      /* search_path; NULL: the role's own */
    bool is_by_key;          /* statements look rows up by their keys, few at a time */
    int64_t connect_timeout_ms;
    int64_t statement_timeout_ms; /* the four of L6: below the consumer's session time-out */
    int64_t lock_timeout_ms;
    int64_t idle_timeout_ms; /* idle in transaction */
    int64_t tcp_user_timeout_ms;
};

/* Time-outs that a consumer with @session_timeout_ms can live with; 0 for 45000. The rest is
 * zeroed. */
struct pg_config pg_config_for(int64_t session_timeout_ms);

/* Append libpq's text for these, quoted; NULL or 0 leaves a member out. */
void pg_conninfo(struct buf *out, const char *host, int port, const char *name, const char *user,
                 const char *password);

struct pg_events {
    /* Connected and set up (@why NULL), or lost (@why says how; the next try comes by itself). */
    void (*state)(bool is_up, const struct err *why, void *ctx);
    void *ctx;
};

/* Copies @config. Gives *@out (pg_close). Connects in the background and again whenever the
 * connection is lost, with back-off. A server with synchronous_commit off is refused like one that
 * is down, -ERR_REFUSED in `state` (L7). -ERR_INVALID: @config->conninfo cannot be read. */
NODISCARD int pg_new(struct loop *loop, const struct pg_config *config,
                     const struct pg_events *events, struct pg **out, struct err *err);

/* Closes at once and forgets what was not answered: no more callbacks. NULL is fine. */
void pg_close(struct pg **pg);

bool pg_is_up(const struct pg *pg);
size_t pg_pending(const struct pg *pg); /* units not finished */

/* @rows NULL: it failed, @err says why; borrowed for the call. */
typedef void pg_rows_cb(const struct pg_rows *rows, const struct err *err, void *ctx);

/* One statement in a transaction of its own. Takes @stmt, which must not expect a number of rows
 * (it could not be undone). @fn may be NULL. Fails with
 *   -ERR_CLOSED     not sent: the connection was lost or is not there
 *   -ERR_UNCERTAIN  sent, then the connection was lost
 *   -ERR_CONFLICT   a constraint, a deadlock (undone)
 *   -ERR_TIMEOUT    one of the time-outs (undone)
 *   -ERR_REFUSED    no right to do so
 *   -ERR_INVALID    a value that its column cannot hold (undone)
 *   -ERR_EXTERNAL   anything else the server said (undone) */
void pg_query(struct pg *pg, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx);

/* ---- transactions ---- */

enum pg_outcome {
    PG_COMMITTED,   /* the server answered COMMIT */
    PG_ROLLED_BACK, /* nothing of it happened */
    PG_UNKNOWN      /* COMMIT was sent and its answer never came: look before anything else */
};

/* The end of a transaction, exactly once (not after pg_close); @tx is gone when it returns. @err
 * NULL when committed, else as pg_query. */
typedef void pg_tx_cb(enum pg_outcome outcome, const struct err *err, void *ctx);

/* Begins (READ COMMITTED) when all units given before are finished. @fn must not be NULL. Ends
 * through pg_tx_commit, pg_tx_rollback or the first failure. */
struct pg_tx *pg_begin(struct pg *pg, pg_tx_cb *fn, void *ctx);

/* Add a statement. Takes @stmt. @fn (may be NULL) hears of its rows only when it did well: a
 * failure goes to the transaction's own callback alone. A statement that touches another number of
 * rows than pg_stmt_expect said undoes the transaction, -ERR_CONFLICT. May be called from such an
 * @fn. */
void pg_tx_add(struct pg_tx *tx, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx);

/* Send what was added up to now and have it answered; more may follow. */
void pg_tx_flush(struct pg_tx *tx);

/* Once everything added did well, commit. Nothing may be added any more. */
void pg_tx_commit(struct pg_tx *tx);
void pg_tx_rollback(struct pg_tx *tx); /* ends with PG_ROLLED_BACK and -ERR_CLOSED */

#endif
