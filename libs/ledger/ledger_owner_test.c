/* Against a real PostgreSQL and Kafka: KENTONGAN_TEST_PG, KENTONGAN_TEST_KAFKA. Who owns a
 * partition, and how it changes hands: one or two ledgers in this process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus_key.h"
#include "ledger/ledger_internal.h"
#include "ledger/ledger_tester.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

/* ---- L5, L6 ---- */

/* The old owner commits while the new one waits for the row: what it wrote must be in the state
 * that is loaded. */
static void l5_a_take_over_sees_what_the_old_owner_committed_last(void **state)
{
    struct fixture *f = *state;
    struct tally_options with = options(f, "tally-1");
    char sql[512];

    testkit_pg_run(&f->db, "INSERT INTO partition_owner VALUES ('tally', 4, 7, 'old', 'p')");
    (void)snprintf(sql, sizeof(sql),
                   "BEGIN; SELECT * FROM partition_owner WHERE partition = 4 FOR UPDATE; "
                   "INSERT INTO tally VALUES ('%s', 4, 10)",
                   station_id(4, 1).text);
    testkit_pg_run(&f->db, sql);
    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    assert_int_equal(loop_run_until(f->loop, is_a_live, f, 700), 0);
    testkit_pg_run(&f->db, "COMMIT");
    until(f, is_a_live);
    assert_int_equal(ledger_epoch(f->a.ledger, 4), 8);
    assert_int_equal(f->a.n_rows, 1);
    assert_int_equal(f->a.rows[0].n, 10);
}

/* The server's time-outs do not see a client that stopped in the middle of sending: it is active.
 */
static void l6_an_owner_that_stopped_holding_the_row_is_ended(void **state)
{
    struct fixture *f = *state;

    testkit_pg_run(&f->db, "INSERT INTO partition_owner VALUES ('tally', 4, 7, 'old', 'p')");
    testkit_pg_run(&f->db, "BEGIN; SELECT * FROM partition_owner WHERE partition = 4 FOR UPDATE");
    open_a(f); /* after one lock time-out */
    assert_int_equal(ledger_epoch(f->a.ledger, 4), 8);
    testkit_pg_reopen(&f->db); /* the connection was ended */
}

/* ---- L7: outcomes ---- */

static void kill_at_commit(struct fixture *f)
{
    testkit_pg_run(&f->db, "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                           "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
                           "CREATE CONSTRAINT TRIGGER x AFTER INSERT OR UPDATE ON tally "
                           "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dies()");
}

static void l7_an_unknown_outcome_is_looked_up_before_anything_else(void **state)
{
    struct fixture *f = *state;
    struct ledger_metrics metrics;

    open_a(f);
    send_round(f, 1);
    check_all(f);
    kill_at_commit(f);
    station_command(&f->station, station_id(0, 1).text, NULL);
    f->want++;
    until(f, has_failed);
    ledger_metrics(f->a.ledger, &metrics);
    assert_int_equal(metrics.turns_unknown, 1);
    assert_int_equal(f->a.why.code, -ERR_UNCERTAIN);
    testkit_pg_run(&f->db, "DROP TRIGGER x ON tally");
    check_all(f);
    assert_true(f->a.resets[LEDGER_RESET_FAILED] > 0);
}

static bool is_answer_lost(void *ctx)
{
    return testkit_proxy_lost(((struct fixture *)ctx)->proxy) > 0;
}

/* Committed, but nobody said so: doing it again would count twice. */
static void l7_a_commit_whose_answer_is_lost_is_not_done_again(void **state)
{
    struct fixture *f = *state;
    struct tally_options with = options(f, "tally-1");
    struct ledger_metrics metrics;
    char conninfo[TESTKIT_PG_CONNINFO_MAX + 64];
    int port = 0;

    f->proxy = testkit_proxy_open(testkit_pg_port(&f->db), &port);
    (void)snprintf(conninfo, sizeof(conninfo), "%s host=127.0.0.1 port=%d", f->db.conninfo, port);
    with.conninfo = conninfo;
    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    until(f, is_a_live);
    testkit_proxy_lose(f->proxy, "COMMIT", sizeof("COMMIT"));
    send_round(f, 5);
    until(f, is_answer_lost);
    check_all(f);
    ledger_metrics(f->a.ledger, &metrics);
    assert_int_equal(metrics.turns_unknown, 1);
    assert_int_equal(f->a.failed, 1);
}

static void l7_a_failed_turn_is_done_again_from_what_is_committed(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    (void)snprintf(f->a.own_id, sizeof(f->a.own_id), "%s", station_id(0, 1).text);
    f->a.refuse_turns = 3;
    send_round(f, 5);
    check_all(f);
    assert_int_equal(f->a.failed, 3);
}

/* ---- L8, S8 ---- */

static bool is_fenced(void *ctx)
{
    return ((struct fixture *)ctx)->a.resets[LEDGER_RESET_FENCED] > 0;
}

static bool is_locked_out(void *ctx)
{
    /* other tests wait for locks on the same server */
    return testkit_pg_int(&((struct fixture *)ctx)->db,
                          "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                          "AND datname = current_database()") > 0;
}

static void l8_a_fenced_instance_takes_over_again_only_after_a_new_assignment(void **state)
{
    struct fixture *f = *state;
    struct ledger_metrics metrics;
    int takes;

    open_a(f);
    takes = f->a.takes[5];
    testkit_pg_run(&f->db,
                   "BEGIN; UPDATE partition_owner SET epoch = epoch + 1 WHERE partition = 5");
    station_command(&f->station, station_id(5, 1).text, NULL);
    f->want++;
    until(f, is_locked_out);
    testkit_pg_run(&f->db, "COMMIT");
    until(f, is_fenced);
    assert_int_equal(f->a.why.code, -ERR_FENCED);
    assert_int_equal(loop_run_until(f->loop, has_applied, f, 1000), 0);
    assert_int_equal(f->a.takes[5], takes);
    ledger_metrics(f->a.ledger, &metrics);
    assert_int_equal(metrics.phases[5], LEDGER_FENCED);
    assert_int_equal(metrics.phases[4], LEDGER_LIVE);
    open_b(f); /* makes a new assignment */
    check_all(f);
}

static void l8_an_idle_owner_learns_from_its_heartbeat_that_it_is_none(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    testkit_pg_run(&f->db, "UPDATE partition_owner SET epoch = epoch + 1 WHERE partition = 5");
    until(f, is_fenced);
    assert_int_equal(tally_live(&f->a), LEDGER_PARTITIONS - 1);
}

static bool is_all_live_again(void *ctx)
{
    struct fixture *f = ctx;

    return f->a.takes[5] == 2 && is_a_live(f);
}

static void l8_whoever_is_fenced_and_not_revoked_asks_for_a_new_assignment(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    send_round(f, 1);
    until(f, has_applied);
    /* what a take-over does that was overtaken by a revoke of the same partition */
    testkit_pg_run(&f->db, "UPDATE partition_owner SET epoch = epoch + 1, process = 'other' "
                           "WHERE partition = 5");
    until(f, is_fenced);
    until(f, is_all_live_again);
    send_round(f, 1);
    check_all(f);
}

static bool is_fatal_or_fenced(void *ctx)
{
    struct fixture *f = ctx;
    struct ledger_metrics metrics;

    ledger_metrics(f->a.ledger, &metrics);
    return f->a.fatal > 0 || metrics.phases[5] == LEDGER_FENCED;
}

/* A failed turn may go on with what this process took, not with what another of the same instance
 * has by now. */
static void l8_another_process_of_the_instance_is_somebody_else(void **state)
{
    struct fixture *f = *state;
    int takes;

    open_a(f);
    takes = f->a.takes[5];
    testkit_pg_run(&f->db, "UPDATE partition_owner SET epoch = epoch + 1, process = 'other' "
                           "WHERE partition = 5");
    f->a.refuse_turns = 1; /* fails before it could learn of it, and would take it again */
    (void)snprintf(f->a.own_id, sizeof(f->a.own_id), "%s", station_id(5, 1).text);
    ledger_want_turn(f->a.ledger);
    until(f, is_fatal_or_fenced);
    assert_int_equal(f->a.takes[5], takes);
    assert_int_equal(f->a.fatal, 0);
}

/* ---- put out of the group ---- */

/* A member of the group by the ledger's own name that takes nothing. */
struct impostor {
    struct bus_consumer *consumer;
    bool is_in;
};

static void on_impostor_assigned(const struct bus_partition *partitions, size_t n, void *ctx)
{
    struct impostor *impostor = ctx;

    (void)partitions;
    (void)n;
    impostor->is_in = true;
}

static void on_impostor_revoked(bool is_lost, void *ctx)
{
    (void)is_lost;
    (void)ctx;
}

static void on_impostor_record(struct bus_record *record, void *ctx)
{
    (void)ctx;
    bus_record_free(&record);
}

static void on_impostor_failed(const struct err *err, bool is_fatal, void *ctx)
{
    (void)err;
    (void)is_fatal;
    (void)ctx;
}

static bool is_impostor_in(void *ctx)
{
    return ((struct impostor *)ctx)->is_in;
}

/* Joins as @instance, which puts who has that name out, and is gone. */
static void come_and_go(struct fixture *f, const char *instance)
{
    enum topic topic = TOPIC_BLAST_CMD;
    struct impostor impostor = {0};
    struct bus_consumer_options with = {.brokers = brokers(),
                                        .client_id = "impostor",
                                        .group = "tally",
                                        .instance_id = instance,
                                        .topics = &topic,
                                        .n_topics = 1,
                                        .session_timeout_ms = SESSION_MS,
                                        .events = {.assigned = on_impostor_assigned,
                                                   .revoked = on_impostor_revoked,
                                                   .record = on_impostor_record,
                                                   .failed = on_impostor_failed,
                                                   .ctx = &impostor}};

    assert_int_equal(bus_consumer_new(f->loop, &with, &impostor.consumer, NULL), 0);
    assert_int_equal(loop_run_until(f->loop, is_impostor_in, &impostor, WAIT_MS), 1);
    bus_consumer_close(&impostor.consumer, NULL, NULL);
}

static bool has_rejoined(void *ctx)
{
    struct fixture *f = ctx;
    struct ledger_metrics metrics;

    ledger_metrics(f->a.ledger, &metrics);
    return (metrics.rejoins > 0 && is_a_live(f)) || f->a.fatal > 0;
}

static void l8_who_is_put_out_by_nobody_joins_again(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    send_round(f, 1);
    check_all(f);
    come_and_go(f, "tally-1");
    until(f, has_rejoined);
    assert_int_equal(f->a.fatal, 0);
    send_round(f, 1);
    check_all(f);
}

static bool is_one_of_two_left(void *ctx)
{
    struct fixture *f = ctx;

    return f->a.fatal > 0 && tally_live(&f->b) == LEDGER_PARTITIONS;
}

static void l8_of_two_processes_of_one_instance_the_older_ends(void **state)
{
    struct fixture *f = *state;
    struct tally_options with = options(f, "tally-1");

    open_a(f);
    assert_int_equal(tally_open(&f->b, f->loop, &with, NULL), 0);
    until(f, is_one_of_two_left);
    assert_int_equal(f->a.fatal_err.code, -ERR_FENCED);
    assert_int_equal(f->b.fatal, 0);
    tally_close(&f->a);
    send_round(f, 1);
    check_all(f);
}

static bool is_taking_in_an_open_turn(void *ctx)
{
    struct fixture *f = ctx;
    struct ledger_metrics metrics;
    int n = 0;

    ledger_metrics(f->a.ledger, &metrics);
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        n += metrics.phases[p] == LEDGER_TAKING ? 1 : 0;
    }
    return f->a.is_turn_open && n > 0 && n < LEDGER_PARTITIONS;
}

/* The turn hangs while partitions go away and come back, then fails: the take-over that waits
 * behind it must not be taken for somebody else's. */
static void l8_a_turn_that_fails_while_its_partitions_come_back_loses_none(void **state)
{
    struct fixture *f = *state;
    struct tally_options with = options(f, "tally-1");

    with.session_timeout_ms = INT64_C(4) * SESSION_MS; /* the lock is waited for half as long */
    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    until(f, is_a_live);
    testkit_pg_run(&f->db, "BEGIN; UPDATE partition_owner SET epoch = epoch + 1, process = 'other' "
                           "WHERE partition = 5");
    send_round(f, 1);
    until(f, is_locked_out);
    with.instance = "tally-2";
    assert_int_equal(tally_open(&f->b, f->loop, &with, NULL), 0);
    until(f, is_taking_in_an_open_turn);
    testkit_pg_run(&f->db, "COMMIT");
    until(f, are_both_live);
    assert_int_equal(f->a.failed, 1);
    check_all(f);
}

static void l8_s8_two_instances_share_and_state_outlives_a_revoke(void **state)
{
    struct fixture *f = *state;
    int kept;

    open_a(f);
    send_round(f, 3);
    check_all(f);
    assert_int_equal(tally_takes(&f->a), LEDGER_PARTITIONS);
    open_b(f);
    kept = tally_live(&f->a);
    assert_int_equal(tally_returns(&f->a), kept); /* no state was read again */
    assert_int_equal(tally_takes(&f->a), LEDGER_PARTITIONS);
    assert_int_equal(tally_takes(&f->b), LEDGER_PARTITIONS - kept);
    for (int p = 0; p < LEDGER_PARTITIONS; p++) { /* events come to whoever has the commands */
        station_event(&f->station, TOPIC_SESSION_EVENTS, station_id(p, 1).text, 1);
        assert_int_not_equal(ledger_is_live(f->a.ledger, p), ledger_is_live(f->b.ledger, p));
        if (ledger_is_live(f->a.ledger, p)) {
            assert_int_equal(ledger_generation(f->a.ledger, p), 0);
        }
    }
    send_round(f, 3);
    check_all(f);
    f->want = LEDGER_PARTITIONS;
    until(f, has_seen);
}

/* ---- loading ---- */

/* Two rows in each partition, and nobody who has them. */
static void leave_rows(struct fixture *f)
{
    open_a(f);
    send_round(f, 1);
    check_all(f);
    tally_close(&f->a);
    f->a = (struct tally){0};
}

static void what_cannot_be_loaded_says_why_and_is_taken_again(void **state)
{
    struct fixture *f = *state;
    uint64_t generations = 0;

    leave_rows(f);
    f->a.refuse_rows = 2;
    open_a(f);
    assert_int_equal(f->a.not_taken, 2);
    assert_int_equal(f->a.not_taken_why.code, -ERR_INVALID);
    assert_string_equal(f->a.not_taken_why.text, "this row is refused");
    assert_int_equal(f->a.resets[LEDGER_RESET_FAILED], 2);
    assert_int_equal(f->a.rows_loaded, 2 * LEDGER_PARTITIONS);
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        generations += ledger_generation(f->a.ledger, p);
    }
    assert_int_equal(generations, 2);
    send_round(f, 1);
    check_all(f);
}

static bool is_first_loading(void *ctx)
{
    struct ledger_metrics metrics;

    ledger_metrics(((struct fixture *)ctx)->a.ledger, &metrics);
    return metrics.phases[0] == LEDGER_LOADING;
}

static bool has_lost_first(void *ctx)
{
    return ((struct fixture *)ctx)->a.resets[LEDGER_RESET_REVOKED] == 1;
}

/* A turn failed, and before its partition is read again it goes away and comes back: the rows that
 * were asked for first are nothing to whoever has it now. */
static void rows_of_a_take_over_that_went_by_are_dropped(void **state)
{
    struct fixture *f = *state;
    struct tally_options with = options(f, "tally-1");

    leave_rows(f);
    with.session_timeout_ms = INT64_C(8) * SESSION_MS; /* the lock is waited for half as long */
    with.limbo_ms = WAIT_MS;
    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    until(f, is_a_live);
    assert_int_equal(f->a.rows_loaded, 2 * LEDGER_PARTITIONS);
    testkit_pg_run(&f->db, "BEGIN; LOCK TABLE tally IN ACCESS EXCLUSIVE MODE");
    (void)snprintf(f->a.own_id, sizeof(f->a.own_id), "%s", station_id(0, 1).text);
    f->a.refuse_turns = 1;
    ledger_want_turn(f->a.ledger);
    until(f, is_first_loading);
    with.instance = "tally-2";
    assert_int_equal(tally_open(&f->b, f->loop, &with, NULL), 0);
    until(f, has_lost_first);
    testkit_pg_run(&f->db, "COMMIT");
    until(f, are_both_live);
    assert_true(ledger_is_live(f->a.ledger, 0));
    assert_int_equal(ledger_generation(f->a.ledger, 0), 2);
    assert_int_equal(f->a.rows_loaded, 2 * LEDGER_PARTITIONS + 2);
    assert_int_equal(f->a.not_taken, 0);
    send_round(f, 1);
    check_all(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(l5_a_take_over_sees_what_the_old_owner_committed_last),
        SERVER_TEST(l6_an_owner_that_stopped_holding_the_row_is_ended),
        SERVER_TEST(l7_an_unknown_outcome_is_looked_up_before_anything_else),
        SERVER_TEST(l7_a_commit_whose_answer_is_lost_is_not_done_again),
        SERVER_TEST(l7_a_failed_turn_is_done_again_from_what_is_committed),
        SERVER_TEST(l8_a_fenced_instance_takes_over_again_only_after_a_new_assignment),
        SERVER_TEST(l8_an_idle_owner_learns_from_its_heartbeat_that_it_is_none),
        SERVER_TEST(l8_whoever_is_fenced_and_not_revoked_asks_for_a_new_assignment),
        SERVER_TEST(l8_who_is_put_out_by_nobody_joins_again),
        SERVER_TEST(l8_of_two_processes_of_one_instance_the_older_ends),
        SERVER_TEST(l8_a_turn_that_fails_while_its_partitions_come_back_loses_none),
        SERVER_TEST(l8_another_process_of_the_instance_is_somebody_else),
        SERVER_TEST(l8_s8_two_instances_share_and_state_outlives_a_revoke),
        SERVER_TEST(what_cannot_be_loaded_says_why_and_is_taken_again),
        SERVER_TEST(rows_of_a_take_over_that_went_by_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
