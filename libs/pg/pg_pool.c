#include "pg/pg_pool.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "pg/pg_internal.h"

struct pg_conn {
    struct pg_conn *next; /* while free */
    PGconn *conn;
    struct pg_prepared prepared;
};

struct pg_pool {
    struct pg_own_config config;
    size_t size;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct pg_conn *free;
    size_t n; /* made and not ended */
};

int pg_pool_new(const struct pg_config *config, size_t size, struct pg_pool **out, struct err *err)
{
    struct pg_pool *pool = mem_new0(sizeof(*pool));
    pthread_condattr_t attr;
    int rc;

    assert(size > 0);
    pg_config_copy(config, &pool->config);
    pool->size = size;
    rc = pg_config_check(&pool->config.is, err);
    if (rc < 0) {
        pg_config_done(&pool->config);
        free(pool);
        return rc;
    }
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->freed, &attr);
    (void)pthread_condattr_destroy(&attr);
    *out = pool;
    return 0;
}

static void conn_free(struct pg_conn *conn)
{
    PQfinish(conn->conn);
    pg_prepared_done(&conn->prepared);
    free(conn);
}

void pg_pool_free(struct pg_pool **pool)
{
    struct pg_pool *old = *pool;

    *pool = NULL;
    if (old == NULL) {
        return;
    }
    while (old->free != NULL) {
        struct pg_conn *conn = old->free;

        old->free = conn->next;
        old->n--;
        conn_free(conn);
    }
    assert(old->n == 0);
    (void)pthread_cond_destroy(&old->freed);
    (void)pthread_mutex_destroy(&old->lock);
    pg_config_done(&old->config);
    free(old);
}

/* ---- one connection ---- */

static int connect_now(struct pg_pool *pool, struct pg_conn *conn, struct err *err)
{
    struct pg_keywords words;
    PGresult *result;
    int rc = 0;

    pg_config_keywords(&pool->config.is, &words);
    conn->conn = PQconnectdbParams(words.names, words.values, 1);
    if (PQstatus(conn->conn) != CONNECTION_OK) {
        return pg_err_of_conn(conn->conn, ERR_CLOSED, "connecting", err);
    }
    result = PQexec(conn->conn, PG_CHECK_SQL);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        rc = pg_err_of_result(result, err);
    } else {
        rc = pg_check_result(result, err);
    }
    PQclear(result);
    return rc;
}

/* Whether the server said anything while nobody asked: hardly ever something else than good-bye. */
static bool is_dead(struct pg_conn *conn)
{
    struct pollfd fd = {.fd = PQsocket(conn->conn), .events = POLLIN};

    return PQstatus(conn->conn) != CONNECTION_OK || poll(&fd, 1, 0) != 0;
}

/* A free connection, or room for a new one (*@out NULL), or neither in time. */
static int wait_for_room(struct pg_pool *pool, struct pg_conn **out, struct err *err)
{
    struct timespec until;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(pool->config.is.connect_timeout_ms / 1000);
    until.tv_nsec += (long)(pool->config.is.connect_timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->free == NULL && pool->n >= pool->size && rc == 0) {
        rc = pthread_cond_timedwait(&pool->freed, &pool->lock, &until);
    }
    if (pool->free != NULL) {
        *out = pool->free;
        pool->free = (*out)->next;
        rc = 0;
    } else if (pool->n < pool->size) {
        *out = NULL;
        pool->n++;
        rc = 0;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (rc != 0) {
        return err_set(err, ERR_TIMEOUT, "postgresql: all %zu connections are busy", pool->size);
    }
    return 0;
}

static void put_back(struct pg_pool *pool, struct pg_conn *conn, bool is_usable)
{
    if (!is_usable) {
        conn_free(conn);
    }
    (void)pthread_mutex_lock(&pool->lock);
    if (is_usable) {
        conn->next = pool->free;
        pool->free = conn;
    } else {
        pool->n--;
    }
    (void)pthread_cond_signal(&pool->freed);
    (void)pthread_mutex_unlock(&pool->lock);
}

int pg_pool_take(struct pg_pool *pool, struct pg_conn **out, struct err *err)
{
    struct pg_conn *conn = NULL;
    int rc = wait_for_room(pool, &conn, err);

    if (rc < 0) {
        return rc;
    }
    if (conn != NULL && is_dead(conn)) {
        conn_free(conn); /* its place in the count goes to the new one */
        conn = NULL;
    }
    if (conn == NULL) {
        conn = mem_new0(sizeof(*conn));
        rc = connect_now(pool, conn, err);
        if (rc < 0) {
            put_back(pool, conn, false);
            return rc;
        }
    }
    *out = conn;
    return 0;
}

void pg_pool_give(struct pg_pool *pool, struct pg_conn **conn)
{
    struct pg_conn *old = *conn;

    *conn = NULL;
    if (old == NULL) {
        return;
    }
    if (PQtransactionStatus(old->conn) != PQTRANS_IDLE && PQstatus(old->conn) == CONNECTION_OK) {
        PQclear(PQexec(old->conn, "ROLLBACK"));
    }
    put_back(pool, old, PQtransactionStatus(old->conn) == PQTRANS_IDLE);
}

/* ---- statements ---- */

static int prepare(struct pg_conn *conn, struct pg_prepared_text *entry, const char *name,
                   const struct pg_bound *bound, struct err *err)
{
    PGresult *result = PQprepare(conn->conn, name, entry->text, bound->n, bound->types);
    int rc = 0;

    if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        entry->is_ready = true;
    } else if (PQstatus(conn->conn) != CONNECTION_OK) {
        rc = pg_err_of_conn(conn->conn, ERR_CLOSED, "connection lost", err);
    } else {
        rc = pg_err_of_result(result, err);
    }
    PQclear(result);
    return rc;
}

static int execute(struct pg_conn *conn, const struct pg_stmt *stmt, PGresult **out,
                   struct err *err)
{
    struct pg_bound bound;
    struct pg_prepared_text *entry = pg_prepared_get(&conn->prepared, pg_stmt_text(stmt));
    char name[PG_PREPARED_NAME_MAX] = "";
    int rc = 0;

    pg_stmt_bind(stmt, &bound);
    if (entry == NULL) {
        *out = PQexecParams(conn->conn, pg_stmt_text(stmt), bound.n, bound.types, bound.values,
                            bound.lengths, bound.formats, 1);
        return 0;
    }
    (void)pg_prepared_name(entry, name);
    if (!entry->is_ready) {
        rc = prepare(conn, entry, name, &bound, err);
    }
    if (rc == 0) {
        *out = PQexecPrepared(conn->conn, name, bound.n, bound.values, bound.lengths, bound.formats,
                              1);
    }
    return rc;
}

int pg_conn_run(struct pg_conn *conn, const struct pg_stmt *stmt, struct pg_rows **out,
                struct err *err)
{
    PGresult *result = NULL;
    ExecStatusType status;
    struct pg_rows rows;
    int rc = execute(conn, stmt, &result, err);

    if (rc < 0) {
        return rc;
    }
    status = PQresultStatus(result);
    rows.result = result;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        rc = pg_check_expected(stmt, &rows, err);
    } else if (PQstatus(conn->conn) != CONNECTION_OK) {
        rc = pg_err_of_conn(conn->conn, ERR_UNCERTAIN, "connection lost", err);
    } else {
        rc = pg_err_of_result(result, err);
    }
    if (rc == 0 && out != NULL) {
        *out = mem_new0(sizeof(**out));
        (*out)->result = result;
        return 0;
    }
    PQclear(result);
    return rc;
}

static int control(struct pg_conn *conn, const char *text, enum err_code when_lost, struct err *err)
{
    PGresult *result = PQexec(conn->conn, text);
    int rc = 0;

    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        rc = PQstatus(conn->conn) != CONNECTION_OK
                 ? pg_err_of_conn(conn->conn, when_lost, "connection lost", err)
                 : pg_err_of_result(result, err);
    } else if (strcmp(PQcmdStatus(result), text) != 0) {
        rc = err_set(err, ERR_EXTERNAL, "postgresql: answered %s with %.20s", text,
                     PQcmdStatus(result));
    }
    PQclear(result);
    return rc;
}

int pg_conn_begin(struct pg_conn *conn, struct err *err)
{
    return control(conn, "BEGIN", ERR_CLOSED, err);
}

int pg_conn_commit(struct pg_conn *conn, struct err *err)
{
    return control(conn, "COMMIT", ERR_UNCERTAIN, err);
}

int pg_pool_run(struct pg_pool *pool, const struct pg_stmt *stmt, struct pg_rows **out,
                struct err *err)
{
    struct pg_conn *conn = NULL;
    struct pg_rows *rows = NULL;
    bool is_whole = pg_stmt_expected(stmt) >= 0; /* a wrong number of rows must be undone */
    int rc = pg_pool_take(pool, &conn, err);

    if (rc < 0) {
        return rc;
    }
    if (is_whole) {
        rc = pg_conn_begin(conn, err);
    }
    if (rc == 0) {
        rc = pg_conn_run(conn, stmt, &rows, err);
    }
    if (rc == 0 && is_whole) {
        rc = pg_conn_commit(conn, err);
    }
    pg_pool_give(pool, &conn);
    if (rc == 0 && out != NULL) {
        *out = rows;
        return 0;
    }
    pg_rows_free(&rows);
    return rc;
}

int pg_pool_check(struct pg_pool *pool, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new(PG_CHECK_SQL);
    struct pg_rows *rows = NULL;
    int rc = pg_pool_run(pool, stmt, &rows, err);

    if (rc == 0) {
        rc = pg_check_result(rows->result, err);
    }
    pg_rows_free(&rows);
    pg_stmt_free(&stmt);
    return rc;
}
