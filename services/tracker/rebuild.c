/* The projections built again from the log, in schema proj_next, by the folds that make the live
 * ones; then compared with those, or put in their place. The live tracker goes on meanwhile. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"
#include "member/member.h"
#include "pg/pg_pool.h"
#include "svc/svc_drain.h"
#include "svc/svc_exit.h"
#include "tracker/tracker.h"

enum {
    LOOK_EVERY_MS = 200,
    SAY_EVERY_MS = 5000,
    STATEMENT_TIMEOUT_MS = 3600000, /* comparing and dropping tables takes its time */
    LOCK_TIMEOUT_MS = 20000,
    REBUILD_LOCK = 1802400615, /* any number of our own: one rebuild at a time */
};

enum attempt { ATTEMPT_NONE, ATTEMPT_TOO_EARLY, ATTEMPT_DONE, ATTEMPT_FAILED };

struct rebuild {
    struct tracker *tracker;
    struct pg_pool *pool;
    struct pg_conn *lock; /* holds the lock while it lives */
    struct svc_drain *drain;
    struct loop_timer look;
    int64_t records;  /* when looked last */
    int64_t moved_ms; /* when that number changed last */
    int64_t said_ms;
    bool is_ended; /* nothing more is looked at */
    enum attempt outcome;
    int exit_status; /* of a comparison */
    struct err err;
    struct { /* of the thread that tries, until it is done */
        enum attempt outcome;
        struct err err;
    } tried;
};

/* ---- statements; they block, and run while no loop does or on a thread of the pool ---- */

static int run(struct rebuild *rebuild, const char *text, struct pg_rows **out, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new(text);
    int rc = pg_pool_run(rebuild->pool, stmt, out, err);

    pg_stmt_free(&stmt);
    return rc;
}

static int begin(struct rebuild *rebuild, struct err *err)
{
    struct pg_stmt *lock = pg_stmt_new("SELECT pg_try_advisory_lock($1)");
    struct pg_rows *rows = NULL;
    int rc = pg_pool_take(rebuild->pool, &rebuild->lock, err);

    pg_add_int(lock, REBUILD_LOCK);
    if (rc == 0) {
        rc = pg_conn_run(rebuild->lock, lock, &rows, err);
    }
    if (rc == 0 && !pg_get_bool(rows, 0, 0)) {
        rc = err_set(err, ERR_CONFLICT, "another rebuild is running");
    }
    pg_rows_free(&rows);
    pg_stmt_free(&lock);
    return rc == 0 ? run(rebuild, "SELECT proj_tools.build()", NULL, err) : rc;
}

static int try_swap(struct rebuild *rebuild, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT proj_tools.swap($1, $2)");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_text(stmt, TRACKER_GROUP);
    pg_add_text(stmt, TRACKER_REBUILD_GROUP);
    crash_point("tracker", "before.swap");
    rc = pg_pool_run(rebuild->pool, stmt, &rows, err);
    if (rc == 0) {
        crash_point("tracker", "after.swap");
        rebuild->tried.outcome = pg_get_bool(rows, 0, 0) ? ATTEMPT_DONE : ATTEMPT_TOO_EARLY;
    }
    pg_rows_free(&rows);
    pg_stmt_free(&stmt);
    return rc;
}

/* {"equal":true,"tables":{"blasts":{"live":1,"rebuilt":1,"differing":0},...}} on standard output.
 */
static void print(struct rebuild *rebuild, const struct pg_rows *rows)
{
    json_t *tables = json_object();
    bool equal = true;

    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        equal = equal && pg_get_int(rows, i, 3) == 0;
        (void)json_object_set_new(tables, pg_get_text(rows, i, 0),
                                  json_pack("{s:I,s:I,s:I}", "live",
                                            (json_int_t)pg_get_int(rows, i, 1), "rebuilt",
                                            (json_int_t)pg_get_int(rows, i, 2), "differing",
                                            (json_int_t)pg_get_int(rows, i, 3)));
    }
    json_t *all = json_pack("{s:b,s:o}", "equal", equal, "tables", tables);
    char *text = json_dumps(all, JSON_COMPACT);

    (void)printf("%s\n", text);
    (void)fflush(stdout);
    free(text);
    json_decref(all);
    rebuild->exit_status = equal ? SVC_EXIT_OK : SVC_EXIT_SOFTWARE;
}

static int conn_run(struct pg_conn *conn, const char *text, struct pg_rows **out, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new(text);
    int rc = pg_conn_run(conn, stmt, out, err);

    pg_stmt_free(&stmt);
    return rc;
}

/* In a transaction that sees one moment: both are compared only where they have read the same of
 * the log. */
static int compare_in(struct rebuild *rebuild, struct pg_conn *conn, struct err *err)
{
    struct pg_rows *distance = NULL;
    struct pg_rows *rows = NULL;
    int rc = conn_run(conn, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL, err);

    if (rc == 0) {
        rc = conn_run(conn,
                      "SELECT behind, ahead FROM proj_tools.distance('" TRACKER_GROUP
                      "', '" TRACKER_REBUILD_GROUP "')",
                      &distance, err);
    }
    if (rc == 0 && (pg_get_int(distance, 0, 0) != 0 || pg_get_int(distance, 0, 1) != 0)) {
        rebuild->tried.outcome = ATTEMPT_TOO_EARLY;
    } else if (rc == 0) {
        rc =
            conn_run(conn, "SELECT name, live_rows, next_rows, differing FROM proj_tools.compare()",
                     &rows, err);
    }
    if (rc == 0 && rows != NULL) {
        print(rebuild, rows);
        rebuild->tried.outcome = ATTEMPT_DONE;
    }
    pg_rows_free(&rows);
    pg_rows_free(&distance);
    return rc;
}

static int try_compare(struct rebuild *rebuild, struct err *err)
{
    struct pg_conn *conn = NULL;
    int rc = pg_pool_take(rebuild->pool, &conn, err);

    if (rc == 0) {
        rc = pg_conn_begin(conn, err);
    }
    if (rc == 0) {
        rc = compare_in(rebuild, conn, err);
    }
    pg_pool_give(rebuild->pool, &conn); /* rolls back: it has only read */
    return rc;
}

/* ---- on the loop ---- */

static void try_work(void *ctx)
{
    struct rebuild *rebuild = ctx;
    struct err *err = &rebuild->tried.err;
    int rc = rebuild->tracker->config.compare ? try_compare(rebuild, err) : try_swap(rebuild, err);

    if (rc == -ERR_TIMEOUT || rc == -ERR_CONFLICT) {
        rebuild->tried.outcome = ATTEMPT_TOO_EARLY; /* somebody held the tables for long; again */
    } else if (rc < 0) {
        rebuild->tried.outcome = ATTEMPT_FAILED;
    }
}

static void end(struct rebuild *rebuild, enum attempt outcome)
{
    rebuild->outcome = outcome;
    rebuild->is_ended = true;
    loop_timer_stop(&rebuild->look);
    loop_stop(rebuild->tracker->loop);
}

static void look_later(struct rebuild *rebuild);

static void try_done(void *ctx)
{
    struct rebuild *rebuild = ctx;

    if (rebuild->is_ended) {
        return; /* by a signal, meanwhile */
    }
    if (rebuild->tried.outcome == ATTEMPT_TOO_EARLY) {
        look_later(rebuild);
    } else {
        rebuild->err = rebuild->tried.err;
        end(rebuild, rebuild->tried.outcome);
    }
}

/* Every partition is ours, and as far as is known (-1: not yet) nothing of the log is left. */
static bool is_caught_up(const struct ledger_metrics *m, const struct tracker *tracker)
{
    if (!ledger_is_ready(tracker->ledger, NULL)) {
        return false;
    }
    for (int i = 0; i < LEDGER_PARTITIONS; i++) {
        if (m->phases[i] != LEDGER_LIVE) {
            return false;
        }
    }
    for (int i = 0; i < LEDGER_INPUTS_MAX; i++) {
        if (m->inputs[i].records_waiting != 0 || m->inputs[i].lag != 0) {
            return false;
        }
    }
    return true;
}

static void on_look(struct loop_timer *timer, void *ctx)
{
    struct rebuild *rebuild = ctx;
    struct tracker *tracker = rebuild->tracker;
    int64_t now_ms = loop_now_ms(tracker->loop);
    struct ledger_metrics m;

    (void)timer;
    ledger_metrics(tracker->ledger, &m);
    if (m.records != rebuild->records) {
        rebuild->records = m.records;
        rebuild->moved_ms = now_ms;
    }
    if (now_ms - rebuild->said_ms >= SAY_EVERY_MS) {
        rebuild->said_ms = now_ms;
        log_info("rebuilding", LOG_INT("records", m.records));
    }
    if (now_ms - rebuild->moved_ms > tracker->config.catch_up_timeout_ms) {
        (void)err_set(&rebuild->err, ERR_TIMEOUT, "no progress for %" PRId64 " ms",
                      tracker->config.catch_up_timeout_ms);
        end(rebuild, ATTEMPT_FAILED);
    } else if (is_caught_up(&m, tracker)) {
        loop_work(tracker->loop, try_work, try_done, rebuild);
    } else {
        look_later(rebuild);
    }
}

static void look_later(struct rebuild *rebuild)
{
    loop_timer_start(rebuild->tracker->loop, &rebuild->look, LOOK_EVERY_MS, on_look, rebuild);
}

static void on_fatal(const struct err *err, void *ctx)
{
    struct rebuild *rebuild = ctx;

    rebuild->err = *err;
    end(rebuild, ATTEMPT_FAILED);
}

static void on_signal(void *ctx)
{
    struct rebuild *rebuild = ctx;

    (void)err_set(&rebuild->err, ERR_CLOSED, "ended by a signal");
    end(rebuild, ATTEMPT_FAILED);
}

static int open_pool(struct rebuild *rebuild, struct err *err)
{
    const struct svc_common *common = &rebuild->tracker->config.common;
    struct pg_config config = pg_config_for(common->kafka_session_timeout_ms);
    struct buf conninfo = {0};
    int rc;

    member_conninfo(common, &conninfo);
    config.conninfo = buf_text(&conninfo);
    config.application = common->instance_id;
    config.statement_timeout_ms = STATEMENT_TIMEOUT_MS;
    config.lock_timeout_ms = LOCK_TIMEOUT_MS;
    config.idle_timeout_ms = STATEMENT_TIMEOUT_MS;
    rc = pg_pool_new(&config, 2, &rebuild->pool, err);
    buf_wipe(&conninfo);
    return rc;
}

static int open_ledger(struct rebuild *rebuild, struct err *err)
{
    struct tracker *tracker = rebuild->tracker;
    struct ledger_config config = tracker_ledger;
    struct ledger_handlers handlers;

    config.group = TRACKER_REBUILD_GROUP;
    config.pg.schema = "proj_next";
    config.is_silent = true;
    config.events = (struct ledger_events){.fatal = on_fatal, .ctx = rebuild};
    tracker_handlers(tracker, &handlers);
    return member_open_ledger(tracker->loop, &tracker->config.common, &config, &handlers,
                              &tracker->ledger, err);
}

static int follow_the_log(struct rebuild *rebuild, struct err *err)
{
    struct tracker *tracker = rebuild->tracker;
    int rc = loop_new(&tracker->loop, err);

    if (rc < 0) {
        return rc;
    }
    rebuild->drain =
        svc_drain_new(tracker->loop, tracker->config.common.drain_timeout_ms, on_signal, rebuild);
    rc = open_ledger(rebuild, err);
    if (rc == 0) {
        rebuild->moved_ms = rebuild->said_ms = loop_now_ms(tracker->loop);
        look_later(rebuild);
        loop_run(tracker->loop);
    }
    if (rc == 0 && rebuild->outcome == ATTEMPT_FAILED) {
        *err = rebuild->err;
        rc = rebuild->err.code;
    }
    loop_timer_stop(&rebuild->look);
    ledger_close(&tracker->ledger);
    svc_drain_free(&rebuild->drain);
    loop_free(&tracker->loop);
    return rc;
}

int rebuild_run(struct tracker *tracker, struct err *err)
{
    struct rebuild rebuild = {.tracker = tracker};
    int rc = open_pool(&rebuild, err);

    if (rc == 0) {
        rc = begin(&rebuild, err);
    }
    if (rc == 0) {
        log_info("rebuilding", LOG_INT("records", 0));
        rc = follow_the_log(&rebuild, err);
    }
    if (rc == 0 && rebuild.outcome == ATTEMPT_DONE) {
        rc = run(&rebuild,
                 tracker->config.compare ? "SELECT proj_tools.drop_next()"
                                         : "SELECT proj_tools.drop_old()",
                 NULL, err);
        log_info(tracker->config.compare ? "compared" : "rebuilt",
                 LOG_INT("records", rebuild.records));
    }
    if (rebuild.pool != NULL) {
        pg_pool_give(rebuild.pool, &rebuild.lock);
        pg_pool_free(&rebuild.pool);
    }
    return rc < 0 ? rc : rebuild.exit_status;
}
