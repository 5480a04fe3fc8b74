#include "pg/pg.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "pg/pg_unit.h"

enum { RETRY_FIRST_MS = 100, RETRY_MOST_MS = 5000, WATCH_EXTRA_MS = 2000 };

static void begin_connect(struct pg *pg);

static void set_state(struct pg *pg, bool is_up, const struct err *why)
{
    if (pg->events.state != NULL) {
        pg->events.state(is_up, why, pg->events.ctx);
    }
}

static void drop_connection(struct pg *pg)
{
    loop_fd_close(&pg->fd);
    loop_timer_stop(&pg->watch);
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->is_broken = false;
    pg->refusal = (struct err){0};
    pg_prepared_done(&pg->prepared);
}

static void on_retry(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    begin_connect(ctx);
}

/* The connection is of no use any more: end all work, tell, and try again after a while. */
static void lost(struct pg *pg, const struct err *why)
{
    struct err mine = *why; /* it may be one of the connection's own */

    drop_connection(pg);
    pg->state = PG_STATE_DOWN;
    loop_timer_start(pg->loop, &pg->retry,
                     loop_backoff_next_ms(&pg->backoff, (uint32_t)loop_now_ms(pg->loop)), on_retry,
                     pg);
    pg_units_fail(pg, &mine);
    if (!pg->is_closed) {
        set_state(pg, false, &mine);
    }
}

static void on_watch(struct loop_timer *timer, void *ctx)
{
    struct pg *pg = ctx;
    struct err why = {0};

    (void)timer;
    (void)err_set(&why, pg->state == PG_STATE_CONNECTING ? ERR_TIMEOUT : ERR_CLOSED,
                  "postgresql: no answer in time");
    lost(pg, &why);
}

/* The server ends every statement in time, so a longer silence means that the connection is dead.
 */
static void watch(struct pg *pg)
{
    if (pg_units_are_waiting(pg)) {
        loop_timer_start(pg->loop, &pg->watch, pg->config.is.statement_timeout_ms + WATCH_EXTRA_MS,
                         on_watch, pg);
    } else {
        loop_timer_stop(&pg->watch);
    }
}

/* Send, as far as the socket takes it. */
static void flush(struct pg *pg)
{
    int left = pg->is_broken ? -1 : PQflush(pg->conn);
    struct err why = {0};

    if (left < 0) {
        (void)pg_err_of_conn(pg->conn, ERR_CLOSED, "sending", &why);
        lost(pg, pg->refusal.code < 0 ? &pg->refusal : &why);
        return;
    }
    loop_fd_want(pg->fd, left > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    watch(pg);
}

static void on_kick(void *ctx)
{
    struct pg *pg = ctx;

    pg->is_kicked = false;
    if (pg->is_closed) {
        return;
    }
    if (pg->state == PG_STATE_DOWN || pg->state == PG_STATE_CONNECTING) {
        struct err why = {0};

        (void)err_set(&why, ERR_CLOSED, "postgresql: not connected");
        pg_units_fail(pg, &why);
        return;
    }
    pg_units_advance(pg);
    if (!pg->is_closed) {
        flush(pg);
    }
}

void pg_kick(struct pg *pg)
{
    if (!pg->is_kicked && !pg->is_closed) {
        pg->is_kicked = true;
        loop_defer(pg->loop, on_kick, pg);
    }
}

/* ---- answers ---- */

static void take_answers(struct pg *pg)
{
    int nulls = 0; /* one ends a statement's results, two in a row end what there is */

    while (!pg->is_closed && pg_units_are_waiting(pg) && nulls < 2 && PQisBusy(pg->conn) == 0) {
        PGresult *result = PQgetResult(pg->conn);

        nulls = result == NULL ? nulls + 1 : 0;
        if (result != NULL) {
            pg_unit_answer(pg, result);
        }
    }
}

static void on_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    struct pg *pg = ctx;
    struct err why = {0};
    bool is_alive = true;

    (void)fd;
    if ((events & LOOP_READ) != 0) {
        is_alive = PQconsumeInput(pg->conn) == 1;
        take_answers(pg);
        if (pg->is_closed) {
            return;
        }
        if (!is_alive || PQstatus(pg->conn) == CONNECTION_BAD) {
            (void)pg_err_of_conn(pg->conn, ERR_CLOSED, "connection lost", &why);
            lost(pg, &why);
            return;
        }
        pg_units_advance(pg);
    }
    if (!pg->is_closed) {
        flush(pg);
    }
}

/* ---- connecting ---- */

static void on_checked(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct pg *pg = ctx;

    if (rows == NULL) {
        pg->refusal = *err;
    } else if (pg_check_result(rows->result, &pg->refusal) == 0) {
        pg->state = PG_STATE_UP;
        loop_backoff_reset(&pg->backoff);
        set_state(pg, true, NULL);
        return;
    }
    if (pg->state == PG_STATE_SETUP) { /* else it was lost, and that is being told */
        pg->is_broken = true;
        pg_kick(pg);
    }
}

static void on_notice(void *ctx, const char *message)
{
    (void)ctx;
    log_debug("postgresql notice", LOG_STR("text", message));
}

static void set_up(struct pg *pg)
{
    struct err why = {0};
    struct pg_tx *unit;

    (void)PQsetNoticeProcessor(pg->conn, on_notice, NULL);
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
        (void)pg_err_of_conn(pg->conn, ERR_EXTERNAL, "pipeline mode", &why);
        lost(pg, &why);
        return;
    }
    pg->state = PG_STATE_SETUP;
    unit = pg_unit_new(pg, NULL, NULL);
    unit->is_query = true;
    unit->flush_to = 1;
    pg_unit_add(unit, PG_OP_STATEMENT, pg_stmt_new(PG_CHECK_SQL));
    unit->ops[0].fn = on_checked;
    unit->ops[0].ctx = pg;
    unit->next = pg->first; /* before whatever was asked for in this very turn */
    pg->first = unit;
    if (pg->last == NULL) {
        pg->last = unit;
    }
    pg->n_units++;
    pg_units_advance(pg);
    flush(pg);
}

static void poll_connect(struct pg *pg);

static void on_connect_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    (void)fd;
    (void)events;
    poll_connect(ctx);
}

static int watch_socket(struct pg *pg, loop_fd_cb *fn, unsigned want, struct err *err)
{
    int rc = loop_fd_new(pg->loop, PQsocket(pg->conn), fn, pg, &pg->fd, err);

    if (rc == 0) {
        loop_fd_want(pg->fd, want);
    }
    return rc;
}

static void poll_connect(struct pg *pg)
{
    struct err why = {0};
    PostgresPollingStatusType status;
    int rc = 0;

    loop_fd_close(&pg->fd); /* libpq may go on with another socket */
    status = PQconnectPoll(pg->conn);
    switch (status) {
    case PGRES_POLLING_READING:
        rc = watch_socket(pg, on_connect_ready, LOOP_READ, &why);
        break;
    case PGRES_POLLING_WRITING:
        rc = watch_socket(pg, on_connect_ready, LOOP_WRITE, &why);
        break;
    case PGRES_POLLING_OK:
        rc = watch_socket(pg, on_ready, LOOP_READ, &why);
        if (rc == 0) {
            set_up(pg);
        }
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
    default:
        rc = pg_err_of_conn(pg->conn, ERR_CLOSED, "connecting", &why);
        break;
    }
    if (rc < 0) {
        lost(pg, &why);
    }
}

static void begin_connect(struct pg *pg)
{
    struct pg_keywords words;
    struct err why = {0};

    pg_config_keywords(&pg->config.is, &words);
    pg->conn = PQconnectStartParams(words.names, words.values, 1);
    pg->state = PG_STATE_CONNECTING;
    if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD) {
        (void)pg_err_of_conn(pg->conn, ERR_CLOSED, "connecting", &why);
        lost(pg, &why);
        return;
    }
    loop_timer_start(pg->loop, &pg->watch, pg->config.is.connect_timeout_ms, on_watch, pg);
    if (watch_socket(pg, on_connect_ready, LOOP_WRITE, &why) < 0) {
        lost(pg, &why);
    }
}

int pg_new(struct loop *loop, const struct pg_config *config, const struct pg_events *events,
           struct pg **out, struct err *err)
{
    struct pg *pg = mem_new0(sizeof(*pg));
    int rc;

    pg->loop = loop;
    pg_config_copy(config, &pg->config);
    if (events != NULL) {
        pg->events = *events;
    }
    rc = pg_config_check(&pg->config.is, err);
    if (rc < 0) {
        pg_config_done(&pg->config);
        free(pg);
        return rc;
    }
    pg->backoff = (struct loop_backoff){
        .first_ms = RETRY_FIRST_MS, .most_ms = RETRY_MOST_MS, .jitter_percent = 20};
    loop_timer_start(loop, &pg->retry, 0, on_retry, pg);
    *out = pg;
    return 0;
}

static void free_pg(void *ctx)
{
    struct pg *pg = ctx;

    while (pg->first != NULL) {
        struct pg_tx *unit = pg->first;

        pg->first = unit->next;
        pg_unit_free(unit);
    }
    free(pg);
}

void pg_close(struct pg **pg)
{
    struct pg *old = *pg;

    *pg = NULL;
    if (old == NULL) {
        return;
    }
    old->is_closed = true;
    loop_timer_stop(&old->retry);
    drop_connection(old);
    pg_config_done(&old->config);
    loop_defer(old->loop, free_pg, old);
}

bool pg_is_up(const struct pg *pg)
{
    return pg->state == PG_STATE_UP;
}

size_t pg_pending(const struct pg *pg)
{
    return pg->n_units;
}
