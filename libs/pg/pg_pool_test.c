/* Against a real server: KENTONGAN_TEST_PG. */
#include "pg/pg_pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "testkit/testkit_pg.h"

enum { CONNECTIONS = 3, THREADS = 8, ROUNDS = 30 };

struct fixture {
    struct testkit_pg db;
    struct pg_pool *pool;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct pg_config config = pg_config_for(6000);

    testkit_pg_open(&f->db);
    testkit_pg_run(&f->db, "CREATE TABLE t (k bigint PRIMARY KEY)");
    config.conninfo = f->db.conninfo;
    config.application = "pg_pool_test";
    config.connect_timeout_ms = 2000;
    assert_int_equal(pg_pool_new(&config, CONNECTIONS, &f->pool, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    pg_pool_free(&f->pool);
    testkit_pg_close(&f->db);
    free(f);
    return 0;
}

static struct pg_stmt *insert(int64_t k)
{
    struct pg_stmt *stmt = pg_stmt_new("INSERT INTO t VALUES ($1)");

    pg_add_int(stmt, k);
    return stmt;
}

struct worker {
    struct fixture *f;
    int number;
    int done;
};

static void *work(void *ctx)
{
    struct worker *worker = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        struct pg_stmt *stmt = insert(worker->number * ROUNDS + i);

        worker->done += pg_pool_run(worker->f->pool, stmt, NULL, NULL) == 0;
        pg_stmt_free(&stmt);
    }
    return NULL;
}

static void many_threads_share_few_connections(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.f = f, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].done, ROUNDS);
    }
    assert_int_equal(testkit_pg_int(&f->db, "SELECT count(*) FROM t"), THREADS * ROUNDS);
    assert_true(testkit_pg_int(&f->db, "SELECT count(*) FROM pg_stat_activity WHERE "
                                       "application_name = 'pg_pool_test'") <= CONNECTIONS);
}

static void a_transaction_that_is_given_back_open_is_rolled_back(void **state)
{
    struct fixture *f = *state;
    struct pg_conn *conn = NULL;
    struct pg_stmt *stmt = insert(1);
    struct pg_rows *rows = NULL;

    assert_int_equal(pg_pool_take(f->pool, &conn, NULL), 0);
    assert_int_equal(pg_conn_begin(conn, NULL), 0);
    assert_int_equal(pg_conn_run(conn, stmt, &rows, NULL), 0);
    assert_int_equal(pg_rows_touched(rows), 1);
    pg_rows_free(&rows);
    pg_pool_give(f->pool, &conn);
    assert_null(conn);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT count(*) FROM t"), 0);
    assert_int_equal(pg_pool_take(f->pool, &conn, NULL), 0);
    assert_int_equal(pg_conn_begin(conn, NULL), 0);
    assert_int_equal(pg_conn_run(conn, stmt, NULL, NULL), 0);
    assert_int_equal(pg_conn_commit(conn, NULL), 0);
    pg_pool_give(f->pool, &conn);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT count(*) FROM t"), 1);
    pg_stmt_free(&stmt);
}

static void a_wrong_number_of_rows_and_a_constraint_are_conflicts(void **state)
{
    struct fixture *f = *state;
    struct pg_stmt *stmt = insert(1);
    struct pg_stmt *none = pg_stmt_new("UPDATE t SET k = k + 1 RETURNING k");
    struct err err = {0};

    assert_int_equal(pg_pool_run(f->pool, stmt, NULL, NULL), 0);
    assert_int_equal(pg_pool_run(f->pool, stmt, NULL, &err), -ERR_CONFLICT);
    pg_stmt_expect(none, 2);
    assert_int_equal(pg_pool_run(f->pool, none, NULL, &err), -ERR_CONFLICT);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT k FROM t"), 1);
    pg_stmt_free(&none);
    pg_stmt_free(&stmt);
}

static void a_connection_that_died_is_replaced_and_none_free_times_out(void **state)
{
    struct fixture *f = *state;
    struct pg_conn *conns[CONNECTIONS] = {NULL};
    struct pg_conn *more = NULL;
    struct pg_stmt *stmt = pg_stmt_new("SELECT 1");
    struct err err = {0};

    assert_int_equal(pg_pool_check(f->pool, NULL), 0);
    testkit_pg_run(&f->db, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                           "WHERE application_name = 'pg_pool_test'");
    assert_int_equal(pg_pool_run(f->pool, stmt, NULL, &err), 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(pg_pool_take(f->pool, &conns[i], NULL), 0);
    }
    assert_int_equal(pg_pool_take(f->pool, &more, &err), -ERR_TIMEOUT);
    for (int i = 0; i < CONNECTIONS; i++) {
        pg_pool_give(f->pool, &conns[i]);
    }
    pg_stmt_free(&stmt);
}

static void l7_synchronous_commit_off_is_refused(void **state)
{
    struct fixture *f = *state;
    char sql[128];
    struct err err = {0};

    (void)snprintf(sql, sizeof(sql), "ALTER DATABASE %s SET synchronous_commit = off", f->db.name);
    testkit_pg_run(&f->db, sql);
    assert_int_equal(pg_pool_check(f->pool, &err), -ERR_REFUSED);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(many_threads_share_few_connections),
        SERVER_TEST(a_transaction_that_is_given_back_open_is_rolled_back),
        SERVER_TEST(a_wrong_number_of_rows_and_a_constraint_are_conflicts),
        SERVER_TEST(a_connection_that_died_is_replaced_and_none_free_times_out),
        SERVER_TEST(l7_synchronous_commit_off_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
