/* pg_pool: PostgreSQL for threads that may block, such as those that serve requests.
 *
 * All calls are for any thread but a loop's; one connection belongs to one thread at a time. */
#ifndef PG_PG_POOL_H
#define PG_PG_POOL_H

#include "base/attr.h"
#include "pg/pg.h"
#include "pg/pg_rows.h"
#include "pg/pg_stmt.h"

struct err;
struct pg_conn;
struct pg_pool;

/* At most @size connections, made when they are needed. Copies @config. Gives *@out (pg_pool_free).
 * -ERR_INVALID: the conninfo cannot be read. */
NODISCARD int pg_pool_new(const struct pg_config *config, size_t size, struct pg_pool **out,
                          struct err *err);
void pg_pool_free(struct pg_pool **pool); /* every connection must have been given back */

/* Run one statement on any connection. Borrows @stmt. Gives *@out (pg_rows_free; may be NULL when
 * not wanted). Errors as pg_query in pg.h, and -ERR_TIMEOUT when no connection was free within
 * connect_timeout_ms. A connection found dead before anything was sent is replaced first. */
NODISCARD int pg_pool_run(struct pg_pool *pool, const struct pg_stmt *stmt, struct pg_rows **out,
                          struct err *err);

/* A connection for several statements. Gives *@out (pg_pool_give). Errors as pg_pool_run. */
NODISCARD int pg_pool_take(struct pg_pool *pool, struct pg_conn **out, struct err *err);
void pg_pool_give(struct pg_pool *pool,
                  struct pg_conn **conn); /* rolls back what is open; NULL is fine */

NODISCARD int pg_conn_run(struct pg_conn *conn, const struct pg_stmt *stmt, struct pg_rows **out,
                          struct err *err);
NODISCARD int pg_conn_begin(struct pg_conn *conn, struct err *err);
/* 0 only for the server's COMMIT; -ERR_UNCERTAIN when its answer never came. */
NODISCARD int pg_conn_commit(struct pg_conn *conn, struct err *err);

/* Check that the server can be reached and has synchronous_commit on (L7): for readiness. */
NODISCARD int pg_pool_check(struct pg_pool *pool, struct err *err);

#endif
