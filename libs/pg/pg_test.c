/* Against a real server: KENTONGAN_TEST_PG. */
#include "pg/pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop/loop.h"
#include "testkit/testkit.h"
#include "testkit/testkit_pg.h"

enum { WAIT_MS = 10000 };

struct fixture {
    struct testkit_pg db;
    struct loop *loop;
    struct pg *pg;
    bool is_up;
    int downs;
    struct err why;
    /* of the last answer */
    int answers;
    int64_t number;
    char text[64];
    struct err err;
    int ends;
    enum pg_outcome outcome;
    struct pg_tx *tx;
};

static void on_state(bool is_up, const struct err *why, void *ctx)
{
    struct fixture *f = ctx;

    f->is_up = is_up;
    if (!is_up) {
        f->downs++;
        f->why = *why;
    }
}

static void open_pg(struct fixture *f, const struct pg_config *config)
{
    struct pg_events events = {.state = on_state, .ctx = f};
    struct pg_config mine = *config;

    mine.conninfo = f->db.conninfo;
    mine.application = "pg_test";
    assert_int_equal(pg_new(f->loop, &mine, &events, &f->pg, NULL), 0);
}

static bool is_up(void *ctx)
{
    return ((struct fixture *)ctx)->is_up;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct pg_config config = pg_config_for(6000);

    testkit_pg_open(&f->db);
    testkit_pg_run(&f->db, "CREATE TABLE t (k bigint PRIMARY KEY, v text, b bytea, u uuid, "
                           "at timestamptz, i int, ok boolean)");
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    open_pg(f, &config);
    assert_int_equal(loop_run_until(f->loop, is_up, f, WAIT_MS), 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    pg_close(&f->pg);
    loop_free(&f->loop);
    testkit_pg_close(&f->db);
    free(f);
    return 0;
}

static void on_rows(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct fixture *f = ctx;

    f->answers++;
    f->err = err != NULL ? *err : (struct err){0};
    if (rows != NULL && pg_rows_n(rows) > 0) {
        f->number = pg_get_int(rows, 0, 0);
    }
}

static void on_end(enum pg_outcome outcome, const struct err *err, void *ctx)
{
    struct fixture *f = ctx;

    f->ends++;
    f->outcome = outcome;
    f->err = err != NULL ? *err : (struct err){0};
}

static bool is_idle(void *ctx)
{
    return pg_pending(((struct fixture *)ctx)->pg) == 0;
}

static void settle(struct fixture *f)
{
    assert_int_equal(loop_run_until(f->loop, is_idle, f, WAIT_MS), 1);
}

static int64_t count(struct fixture *f)
{
    return testkit_pg_int(&f->db, "SELECT count(*) FROM t");
}

static struct pg_stmt *insert(int64_t k)
{
    struct pg_stmt *stmt = pg_stmt_new("INSERT INTO t (k) VALUES ($1)");

    pg_add_int(stmt, k);
    pg_stmt_expect(stmt, 1);
    return stmt;
}

static void on_all_types(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct fixture *f = ctx;
    struct bytes bytes;

    assert_null(err);
    f->answers++;
    assert_int_equal(pg_rows_n(rows), 2);
    assert_int_equal(pg_get_int(rows, 0, 0), INT64_MIN);
    assert_string_equal(pg_get_text(rows, 0, 1), "");
    bytes = pg_get_bytes(rows, 0, 2);
    assert_int_equal(bytes.n, 3);
    assert_memory_equal(bytes.p, "a\0b", 3);
    assert_string_equal(pg_get_uuid(rows, 0, 3).text, "00112233-4455-6677-8899-aabbccddeeff");
    assert_int_equal(pg_get_time_us(rows, 0, 4), 1700000000123456);
    assert_int_equal(pg_get_int(rows, 0, 5), -7);
    assert_true(pg_get_bool(rows, 0, 6));
    assert_string_equal(pg_get_text(rows, 0, 7), "{\"a\": 1}");
    for (int i = 1; i < 7; i++) {
        assert_true(pg_is_null(rows, 1, i));
    }
    assert_null(pg_get_text(rows, 1, 1));
    assert_null(pg_get_bytes(rows, 1, 2).p);
    assert_string_equal(pg_get_uuid(rows, 1, 3).text, "");
    assert_int_equal(pg_get_time_us(rows, 1, 4), INT64_MIN);
}

static struct pg_stmt *insert_all_types(void)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "INSERT INTO t SELECT * FROM unnest($1::int8[], $2::text[], $3::bytea[], $4::uuid[], "
        "$5::timestamptz[], $6::int8[], $7::bool[])");
    struct pg_array *k = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_array *v = pg_add_array(stmt, PG_ARRAY_TEXT);
    struct pg_array *b = pg_add_array(stmt, PG_ARRAY_BYTES);
    struct pg_array *u = pg_add_array(stmt, PG_ARRAY_UUID);
    struct pg_array *at = pg_add_array(stmt, PG_ARRAY_TIME);
    struct pg_array *i = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_array *ok = pg_add_array(stmt, PG_ARRAY_BOOL);

    pg_array_int(k, INT64_MIN);
    pg_array_text(v, "");
    pg_array_bytes(b, (struct bytes){.p = (const uint8_t *)"a\0b", .n = 3});
    pg_array_uuid(u, "00112233-4455-6677-8899-aabbccddeeff");
    pg_array_time_us(at, 1700000000123456);
    pg_array_int(i, -7);
    pg_array_bool(ok, true);
    pg_array_int(k, 5);
    pg_array_text(v, NULL);
    pg_array_bytes(b, (struct bytes){0});
    pg_array_uuid(u, NULL);
    pg_array_time_us(at, INT64_MIN);
    pg_array_null(i);
    pg_array_null(ok);
    pg_stmt_expect(stmt, 2);
    return stmt;
}

static void every_type_goes_there_and_back(void **state)
{
    struct fixture *f = *state;
    struct pg_tx *tx = pg_begin(f->pg, on_end, f);

    pg_tx_add(tx, insert_all_types(), NULL, NULL);
    pg_tx_commit(tx);
    pg_query(f->pg, pg_stmt_new("SELECT *, '{\"a\": 1}'::jsonb FROM t ORDER BY k"), on_all_types,
             f);
    settle(f);
    assert_int_equal(f->outcome, PG_COMMITTED);
    assert_int_equal(f->answers, 1);
}

static void an_empty_array_is_no_row(void **state)
{
    struct fixture *f = *state;
    struct pg_stmt *stmt = pg_stmt_new("SELECT count(*) FROM unnest($1::int8[])");

    (void)pg_add_array(stmt, PG_ARRAY_INT);
    f->number = -1;
    pg_query(f->pg, stmt, on_rows, f);
    settle(f);
    assert_int_equal(f->number, 0);
}

static void a_statement_text_is_prepared_once_and_units_keep_their_order(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 300; i++) {
        struct pg_tx *tx = pg_begin(f->pg, on_end, f);

        pg_tx_add(tx, insert(i), NULL, NULL);
        pg_tx_commit(tx);
    }
    pg_query(f->pg, pg_stmt_new("SELECT count(*) FROM t"), on_rows, f);
    pg_query(f->pg, pg_stmt_new("SELECT count(*) FROM pg_prepared_statements"), on_rows, f);
    settle(f);
    assert_int_equal(f->ends, 300);
    assert_int_equal(f->answers, 2);
    assert_int_equal(f->number, 6); /* BEGIN, INSERT, COMMIT, two SELECTs, the check at the start */
    assert_int_equal(count(f), 300);
}

static void a_wrong_number_of_rows_undoes_the_transaction(void **state)
{
    struct fixture *f = *state;
    struct pg_stmt *stmt = pg_stmt_new("UPDATE t SET v = 'x' WHERE k = 99");
    struct pg_tx *tx = pg_begin(f->pg, on_end, f);

    pg_stmt_expect(stmt, 1);
    pg_tx_add(tx, insert(1), NULL, NULL);
    pg_tx_add(tx, stmt, on_rows, f);
    pg_tx_add(tx, insert(2), on_rows, f);
    pg_tx_commit(tx);
    settle(f);
    assert_int_equal(f->outcome, PG_ROLLED_BACK);
    assert_int_equal(f->err.code, -ERR_CONFLICT);
    assert_int_equal(f->answers, 0);
    assert_int_equal(count(f), 0);
    pg_query(f->pg, pg_stmt_new("SELECT count(*) FROM t"), on_rows, f); /* it goes on working */
    settle(f);
    assert_int_equal(f->answers, 1);
}

static void an_error_in_the_middle_undoes_all_and_the_next_unit_works(void **state)
{
    struct fixture *f = *state;
    struct pg_tx *tx = pg_begin(f->pg, on_end, f);

    pg_tx_add(tx, insert(1), NULL, NULL);
    pg_tx_add(tx, insert(1), NULL, NULL);
    pg_tx_add(tx, pg_stmt_new("SELECT nonsense"), NULL, NULL);
    pg_tx_commit(tx);
    settle(f);
    assert_int_equal(f->outcome, PG_ROLLED_BACK);
    assert_int_equal(f->err.code, -ERR_CONFLICT);
    pg_query(f->pg, pg_stmt_new("SELECT nonsense"), on_rows, f);
    settle(f);
    assert_int_equal(f->err.code, -ERR_EXTERNAL);
    tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(tx, insert(1), NULL, NULL);
    pg_tx_commit(tx);
    settle(f);
    assert_int_equal(f->outcome, PG_COMMITTED);
    assert_int_equal(count(f), 1);
}

static void on_then_more(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct fixture *f = ctx;

    assert_null(err);
    f->number = pg_get_int(rows, 0, 0);
    pg_tx_add(f->tx, insert(f->number + 10), NULL, NULL);
    pg_tx_commit(f->tx);
}

static void rows_read_inside_a_transaction_lead_to_more_statements(void **state)
{
    struct fixture *f = *state;

    f->tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(f->tx, insert(1), NULL, NULL);
    pg_tx_add(f->tx, pg_stmt_new("SELECT max(k) FROM t"), on_then_more, f);
    pg_tx_flush(f->tx);
    settle(f);
    assert_int_equal(f->outcome, PG_COMMITTED);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT max(k) FROM t"), 11);
}

static void a_rollback_on_demand_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct pg_tx *tx = pg_begin(f->pg, on_end, f);

    pg_tx_add(tx, insert(1), NULL, NULL);
    pg_tx_flush(tx);
    pg_tx_rollback(tx);
    tx = pg_begin(f->pg, on_end, f); /* one that never sent anything */
    pg_tx_rollback(tx);
    settle(f);
    assert_int_equal(f->ends, 2);
    assert_int_equal(f->outcome, PG_ROLLED_BACK);
    assert_int_equal(count(f), 0);
}

/* L7: a failed transaction answers COMMIT with ROLLBACK and no error. */
static void l7_committed_means_the_command_tag_commit(void **state)
{
    struct fixture *f = *state;
    struct pg_tx *tx;

    testkit_pg_run(&f->db, "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS "
                           "$$ BEGIN RAISE 'deferred'; END $$; "
                           "CREATE CONSTRAINT TRIGGER x AFTER INSERT ON t DEFERRABLE INITIALLY "
                           "DEFERRED FOR EACH ROW EXECUTE FUNCTION fails()");
    tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(tx, insert(1), NULL, NULL);
    pg_tx_commit(tx);
    settle(f);
    assert_int_equal(f->outcome, PG_ROLLED_BACK);
    assert_int_equal(f->err.code, -ERR_EXTERNAL);
    pg_query(f->pg, pg_stmt_new("INSERT INTO t (k) VALUES (2)"), on_rows, f);
    settle(f);
    assert_int_equal(f->err.code, -ERR_EXTERNAL); /* at the sync point: undone */
    assert_int_equal(count(f), 0);
}

static bool was_refused(void *ctx)
{
    return ((struct fixture *)ctx)->downs > 0;
}

static void l7_a_server_with_synchronous_commit_off_is_refused(void **state)
{
    struct fixture *f = *state;
    struct pg_config config = pg_config_for(6000);
    char sql[128];

    pg_close(&f->pg);
    f->is_up = false;
    (void)snprintf(sql, sizeof(sql), "ALTER DATABASE %s SET synchronous_commit = off", f->db.name);
    testkit_pg_run(&f->db, sql);
    open_pg(f, &config);
    assert_int_equal(loop_run_until(f->loop, was_refused, f, WAIT_MS), 1);
    assert_int_equal(f->why.code, -ERR_REFUSED);
    assert_false(pg_is_up(f->pg));
    (void)snprintf(sql, sizeof(sql), "ALTER DATABASE %s SET synchronous_commit = on", f->db.name);
    testkit_pg_run(&f->db, sql);
    assert_int_equal(loop_run_until(f->loop, is_up, f, WAIT_MS), 1); /* comes by itself */
}

static void l6_a_statement_and_a_lock_wait_end_in_time(void **state)
{
    struct fixture *f = *state;
    struct pg_config config = pg_config_for(6000);
    struct pg_tx *tx;

    pg_close(&f->pg);
    f->is_up = false;
    config.statement_timeout_ms = 300;
    config.lock_timeout_ms = 100;
    open_pg(f, &config);
    assert_int_equal(loop_run_until(f->loop, is_up, f, WAIT_MS), 1);
    pg_query(f->pg, pg_stmt_new("SELECT 1 FROM pg_sleep(20)"), on_rows, f);
    settle(f);
    assert_int_equal(f->err.code, -ERR_TIMEOUT);
    testkit_pg_run(&f->db, "BEGIN; LOCK TABLE t");
    tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(tx, insert(1), NULL, NULL);
    pg_tx_commit(tx);
    settle(f);
    assert_int_equal(f->outcome, PG_ROLLED_BACK);
    assert_int_equal(f->err.code, -ERR_TIMEOUT);
    testkit_pg_run(&f->db, "ROLLBACK");
}

static void l6_an_idle_transaction_is_ended_by_the_server(void **state)
{
    struct fixture *f = *state;
    struct pg_config config = pg_config_for(6000);

    pg_close(&f->pg);
    f->is_up = false;
    config.idle_timeout_ms = 200;
    open_pg(f, &config);
    assert_int_equal(loop_run_until(f->loop, is_up, f, WAIT_MS), 1);
    f->tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(f->tx, insert(1), NULL, NULL);
    pg_tx_flush(f->tx);
    settle(f); /* nobody commits */
    assert_int_equal(f->outcome, PG_ROLLED_BACK);
    assert_int_equal(count(f), 0);
}

static void kill_backends(struct fixture *f)
{
    testkit_pg_run(&f->db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                           "WHERE application_name = 'pg_test'");
}

static void on_kill_then_commit(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct fixture *f = ctx;

    (void)rows;
    (void)err;
    kill_backends(f); /* the answer to COMMIT will never come */
    pg_tx_commit(f->tx);
}

static void a_commit_without_an_answer_is_unknown_and_the_rest_was_not_sent(void **state)
{
    struct fixture *f = *state;

    f->tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(f->tx, insert(1), on_kill_then_commit, f);
    pg_tx_flush(f->tx);
    pg_query(f->pg, pg_stmt_new("SELECT 1::int8"), on_rows, f);
    settle(f);
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->outcome, PG_UNKNOWN);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->err.code, -ERR_CLOSED); /* of the query behind it */
    f->is_up = false;
    assert_int_equal(loop_run_until(f->loop, is_up, f, WAIT_MS), 1);
    pg_query(f->pg, pg_stmt_new("SELECT 1::int8"), on_rows, f);
    settle(f);
    assert_int_equal(f->err.code, 0);
}

static void a_transaction_that_lost_its_server_before_commit_is_rolled_back(void **state)
{
    struct fixture *f = *state;

    f->tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(f->tx, insert(1), NULL, NULL);
    pg_tx_add(f->tx, pg_stmt_new("SELECT pg_terminate_backend(pg_backend_pid())"), NULL, NULL);
    pg_tx_commit(f->tx);
    pg_query(f->pg, pg_stmt_new("SELECT 1::int8"), on_rows, f);
    settle(f);
    assert_int_equal(f->outcome, PG_ROLLED_BACK);
    assert_int_equal(count(f), 0);
    pg_query(f->pg, pg_stmt_new("SELECT 1::int8"), on_rows, f); /* while it is down */
    settle(f);
    assert_int_equal(f->err.code, -ERR_CLOSED);
}

static struct pg_stmt *look_up_some(void)
{
    struct pg_stmt *stmt =
        pg_stmt_new("SELECT count(*) FROM t JOIN unnest($1::int8[]) AS given (k) ON t.k = given.k");
    struct pg_array *keys = pg_add_array(stmt, PG_ARRAY_INT);

    for (int64_t k = 0; k < 50; k++) {
        pg_array_int(keys, k);
    }
    return stmt;
}

/* The plan for a table that is still empty is the one for a full table. */
static void statements_by_key_read_no_whole_table(void **state)
{
    struct fixture *f = *state;
    struct pg_config config = pg_config_for(6000);

    pg_close(&f->pg);
    f->is_up = false;
    config.is_by_key = true;
    open_pg(f, &config);
    assert_int_equal(loop_run_until(f->loop, is_up, f, WAIT_MS), 1);
    f->tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(f->tx, look_up_some(), NULL, NULL);
    pg_tx_add(f->tx,
              pg_stmt_new("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 't'"),
              on_rows, f);
    pg_tx_commit(f->tx);
    f->number = -1;
    settle(f);
    assert_int_equal(f->outcome, PG_COMMITTED);
    assert_int_equal(f->number, 0);
}

static void closing_forgets_what_is_open(void **state)
{
    struct fixture *f = *state;

    f->tx = pg_begin(f->pg, on_end, f);
    pg_tx_add(f->tx, insert(1), NULL, NULL);
    pg_tx_flush(f->tx);
    pg_query(f->pg, pg_stmt_new("SELECT 1::int8"), on_rows, f);
    pg_close(&f->pg);
    assert_null(f->pg);
    assert_int_equal(loop_run_until(f->loop, is_up, f, 0), 1);
    assert_int_equal(f->ends, 0);
    assert_int_equal(f->answers, 0);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(every_type_goes_there_and_back),
        SERVER_TEST(an_empty_array_is_no_row),
        SERVER_TEST(a_statement_text_is_prepared_once_and_units_keep_their_order),
        SERVER_TEST(a_wrong_number_of_rows_undoes_the_transaction),
        SERVER_TEST(an_error_in_the_middle_undoes_all_and_the_next_unit_works),
        SERVER_TEST(rows_read_inside_a_transaction_lead_to_more_statements),
        SERVER_TEST(a_rollback_on_demand_leaves_nothing),
        SERVER_TEST(l7_committed_means_the_command_tag_commit),
        SERVER_TEST(l7_a_server_with_synchronous_commit_off_is_refused),
        SERVER_TEST(l6_a_statement_and_a_lock_wait_end_in_time),
        SERVER_TEST(l6_an_idle_transaction_is_ended_by_the_server),
        SERVER_TEST(a_commit_without_an_answer_is_unknown_and_the_rest_was_not_sent),
        SERVER_TEST(a_transaction_that_lost_its_server_before_commit_is_rolled_back),
        SERVER_TEST(statements_by_key_read_no_whole_table),
        SERVER_TEST(closing_forgets_what_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
