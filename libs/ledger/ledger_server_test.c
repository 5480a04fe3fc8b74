/* Against a real PostgreSQL and Kafka: KENTONGAN_TEST_PG, KENTONGAN_TEST_KAFKA. One or two ledgers
 * in this process; what needs processes that die is in ledger_crash_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus_key.h"
#include "ledger/ledger_internal.h"
#include "ledger/ledger_station.h"
#include "ledger/ledger_tally.h"
#include "loop/loop.h"
#include "testkit/testkit.h"
#include "testkit/testkit_pg.h"
#include "testkit/testkit_proxy.h"

enum { WAIT_MS = 20000, SESSION_MS = 2500 };

struct fixture {
    struct testkit_pg db;
    struct loop *loop;
    struct station station;
    struct tally a;
    struct tally b;
    struct testkit_proxy *proxy;
    /* what is waited for */
    int64_t want;
    struct tally *whose;
};

static const char *brokers(void)
{
    const char *text = getenv("KENTONGAN_TEST_KAFKA"); /* NOLINT(concurrency-mt-unsafe) */

    if (text == NULL || text[0] == '\0') {
        fail_msg("KENTONGAN_TEST_KAFKA is not set: this test needs a Kafka, see tests/run");
    }
    return text;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = {0};

    testkit_pg_open(&f->db);
    testkit_pg_run_file(&f->db, MIGRATIONS "/include/ledger_tables.sql");
    testkit_pg_run(&f->db, TALLY_SQL);
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    if (station_open(&f->station, f->loop, brokers(), &err) < 0) {
        fail_msg("%s", err.text);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    tally_close(&f->a);
    tally_close(&f->b);
    station_close(&f->station);
    loop_free(&f->loop);
    testkit_proxy_close(&f->proxy);
    testkit_pg_close(&f->db);
    free(f);
    return 0;
}

static struct tally_options options(struct fixture *f, const char *instance)
{
    return (struct tally_options){
        .conninfo = f->db.conninfo,
        .brokers = brokers(),
        .instance = instance,
        .session_timeout_ms = SESSION_MS,
    };
}

/* ---- waiting ---- */

static void until(struct fixture *f, bool (*is_done)(void *ctx))
{
    if (loop_run_until(f->loop, is_done, f, WAIT_MS) != 1) {
        fail_msg("waited in vain: applied %lld, committed %d, failed %d (%s), live %d",
                 (long long)f->station.applied, f->a.committed, f->a.failed, f->a.why.text,
                 f->a.ledger != NULL ? tally_live(f->a.ledger == NULL ? NULL : &f->a) : -1);
    }
}

static bool is_a_live(void *ctx)
{
    struct fixture *f = ctx;

    return tally_live(&f->a) == LEDGER_PARTITIONS && ledger_is_ready(f->a.ledger, NULL);
}

static bool are_both_live(void *ctx)
{
    struct fixture *f = ctx;

    return tally_live(&f->a) + tally_live(&f->b) == LEDGER_PARTITIONS && tally_live(&f->b) > 0 &&
           ledger_is_ready(f->a.ledger, NULL) && ledger_is_ready(f->b.ledger, NULL);
}

static bool has_applied(void *ctx)
{
    struct fixture *f = ctx;

    return f->station.applied >= f->want;
}

static bool is_outbox_empty(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM outbox") == 0;
}

static bool has_seen(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM seen") >= f->want;
}

static bool has_failed(void *ctx)
{
    return ((struct fixture *)ctx)->a.failed > 0;
}

static bool has_answered(void *ctx) /* commands, here: the table knows of a commit before we do */
{
    struct fixture *f = ctx;

    return (int64_t)f->a.n_replies >= f->want;
}

static void open_a(struct fixture *f)
{
    struct tally_options with = options(f, "tally-1");

    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    until(f, is_a_live);
}

static void open_b(struct fixture *f)
{
    struct tally_options with = options(f, "tally-2");

    assert_int_equal(tally_open(&f->b, f->loop, &with, NULL), 0);
    until(f, are_both_live);
}

/* @n commands to each of two blasts in each partition. */
static void send_round(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            station_command(&f->station, station_id(p, 1).text, NULL);
            station_command(&f->station, station_id(p, 2).text, NULL);
        }
    }
    f->want += 2LL * n * LEDGER_PARTITIONS;
}

/* Everything that was asked for happened once, in order, and the tables agree with the log. */
static void check_all(struct fixture *f)
{
    until(f, has_applied);
    assert_int_equal(f->station.applied, f->want);
    assert_int_equal(f->station.broken, 0);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT sum(n)::bigint FROM tally"), f->want);
    until(f, is_outbox_empty);
}

/* ---- L1, L2, L3 ---- */

static void l1_positions_have_no_gaps_and_follow_the_order_of_commits(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    send_round(f, 40);
    check_all(f);
    assert_int_equal(f->station.repeats, 0);
    assert_int_equal(f->station.early, 0);
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        assert_int_equal(f->station.last[p], 80);
    }
    assert_int_equal(testkit_pg_int(&f->db, "SELECT min(next_position) FROM output_position "
                                            "WHERE topic = 'wa.blast.events.v1'"),
                     81);
}

/* A position that somebody else took shows in the compare-and-set: the turn is undone and done
 * again with the counter as it stands. */
static void l1_a_counter_in_memory_is_never_trusted(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    send_round(f, 1);
    check_all(f);
    testkit_pg_run(&f->db,
                   "BEGIN;"
                   "INSERT INTO outbox SELECT topic, partition, next_position, key, value FROM "
                   "output_position JOIN LATERAL (SELECT 'x' AS key, '\\x00'::bytea AS value) v "
                   "ON true WHERE topic = 'wa.blast.events.v1' AND partition = 0;"
                   "UPDATE output_position SET next_position = next_position + 1 "
                   "WHERE topic = 'wa.blast.events.v1' AND partition = 0;"
                   "DELETE FROM outbox; COMMIT");
    station_command(&f->station, station_id(0, 1).text, NULL);
    until(f, has_failed);
    assert_int_equal(f->a.why.code, -ERR_CONFLICT);
    assert_int_equal(f->a.resets[LEDGER_RESET_FAILED], 1);
    f->want = 13;
    (void)snprintf(f->a.own_id, sizeof(f->a.own_id), "%s", station_id(0, 1).text);
    assert_int_equal(loop_run_until(f->loop, is_outbox_empty, f, WAIT_MS), 1);
    while (testkit_pg_int(&f->db, "SELECT sum(n)::bigint FROM tally") < 13) {
        assert_int_equal(loop_run_until(f->loop, has_applied, f, 50), 0);
    }
    assert_int_equal(testkit_pg_int(&f->db, "SELECT next_position FROM output_position WHERE "
                                            "topic = 'wa.blast.events.v1' AND partition = 0"),
                     5);
}

static void l1_l2_every_transaction_waits_for_the_owner_row_exclusively(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    testkit_pg_run(&f->db, "BEGIN; SELECT * FROM partition_owner WHERE partition = 3 FOR SHARE");
    station_command(&f->station, station_id(3, 1).text, NULL);
    f->want = 1;
    assert_int_equal(loop_run_until(f->loop, has_applied, f, 400), 0);
    testkit_pg_run(&f->db, "COMMIT");
    check_all(f);
    assert_int_equal(f->a.failed, 0);
}

static void l3_rows_leave_the_outbox_only_when_they_are_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct tally_options with = options(f, "tally-1");

    with.relay_bytes_max = 2000; /* so that most rows are read from the table again */
    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    until(f, is_a_live);
    send_round(f, 60);
    check_all(f);
    assert_int_equal(f->station.early, 0);
}

static void l9_what_does_not_fit_into_a_turn_waits_for_the_next(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    (void)snprintf(f->a.own_id, sizeof(f->a.own_id), "%s", station_id(0, 1).text);
    f->a.own_events = 600; /* more than one turn holds */
    ledger_want_turn(f->a.ledger);
    f->want = 500;
    until(f, has_applied);
    assert_int_equal(f->a.own_events, 100);
    ledger_want_turn(f->a.ledger);
    f->want = 600;
    check_all(f);
}

static bool has_restarted(void *ctx)
{
    struct ledger_metrics metrics;

    ledger_metrics(((struct fixture *)ctx)->a.ledger, &metrics);
    return metrics.relay_restarts >= 2;
}

static bool has_restarted_or_applied(void *ctx)
{
    return has_restarted(ctx) || has_applied(ctx);
}

/* The broker refuses records for a while: nothing later may pass, nothing may be given up. */
static void l3_after_a_failed_delivery_the_relay_begins_at_the_lowest_row(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};

    open_a(f);
    send_round(f, 2);
    check_all(f);
    assert_int_equal(station_limit(brokers(), TOPIC_BLAST_EVENTS, 100, &err), 0);
    while (!has_restarted(f)) { /* the limit holds some time after the broker has said so */
        send_round(f, 2);
        until(f, has_restarted_or_applied);
    }
    assert_int_equal(station_limit(brokers(), TOPIC_BLAST_EVENTS, 1048576, &err), 0);
    send_round(f, 2);
    check_all(f);
}

/* ---- L4 ---- */

static void l4_events_are_applied_once_by_position(void **state)
{
    static const int64_t log[] = {1, 2, 2, 1, 4, 3, 4, 5, 3};
    struct fixture *f = *state;
    struct ledger_metrics metrics;

    for (size_t i = 0; i < sizeof(log) / sizeof(log[0]); i++) {
        station_event(&f->station, TOPIC_SESSION_EVENTS, station_id(2, 1).text, log[i]);
    }
    open_a(f);
    f->want = 5;
    until(f, has_seen);
    ledger_metrics(f->a.ledger, &metrics);
    assert_int_equal(metrics.waiting_ms, 0);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT max(position) FROM seen"), 5);
    assert_int_equal(f->a.failed, 0);
}

static bool is_waiting(void *ctx)
{
    struct ledger_metrics metrics;

    ledger_metrics(((struct fixture *)ctx)->a.ledger, &metrics);
    return metrics.waiting_ms > 100;
}

static void l4_a_wait_for_a_missing_position_shows(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    station_event(&f->station, TOPIC_SESSION_EVENTS, station_id(2, 1).text, 1);
    station_event(&f->station, TOPIC_SESSION_EVENTS, station_id(2, 1).text, 3);
    until(f, is_waiting);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT count(*) FROM seen"), 1);
    station_event(&f->station, TOPIC_SESSION_EVENTS, station_id(2, 1).text, 2);
    station_event(&f->station, TOPIC_SESSION_EVENTS, station_id(2, 1).text, 3);
    f->want = 3;
    until(f, has_seen);
    assert_false(is_waiting(f));
}

static void l4_a_new_reader_of_a_limited_log_begins_with_the_first_it_finds(void **state)
{
    struct fixture *f = *state;

    for (int64_t position = 900; position < 905; position++) {
        station_event(&f->station, TOPIC_WEBHOOK_EVENTS, station_id(1, 1).text, position);
    }
    open_a(f);
    f->want = 5;
    until(f, has_seen);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT min(position) FROM seen"), 900);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT last_position FROM input_offset WHERE "
                                            "topic = 'wa.webhook.events.v1' AND partition = 1"),
                     904);
}

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
    return testkit_pg_int(&((struct fixture *)ctx)->db,
                          "SELECT count(*) FROM pg_locks WHERE NOT granted") > 0;
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

/* ---- L9 ---- */

static void l9_a_turn_holds_at_most_500_events(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++) {
        station_command(&f->station, station_id(0, 1).text, NULL);
    }
    f->a.events_per_command = 15;
    open_a(f);
    f->want = 1500;
    check_all(f);
    assert_true(f->a.turn_events <= LEDGER_EVENTS_MAX);
    assert_true(f->a.turn_events > LEDGER_EVENTS_MAX / 2);
    assert_int_equal(f->a.limit_hits, 0);
}

static bool has_committed(void *ctx)
{
    struct fixture *f = ctx;

    return f->a.committed >= f->want;
}

static void a_turn_that_stages_nothing_is_committed_too(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    f->want = f->a.committed + 1;
    f->a.touches = 1;
    ledger_want_turn(f->a.ledger);
    until(f, has_committed);
    assert_int_equal(f->a.failed, 0);
}

static bool is_dry(void *ctx)
{
    return ledger_relay_is_dry(((struct fixture *)ctx)->a.ledger);
}

/* The owner before us was waiting for deliveries, and took their rows away as we began to read. */
static void l3_rows_that_the_owner_before_deletes_are_not_waited_for(void **state)
{
    struct fixture *f = *state;
    struct ledger_stream *stream;
    int takes;

    open_a(f);
    send_round(f, 1);
    check_all(f);
    takes = tally_takes(&f->a);
    stream = ledger_stream_find(f->a.ledger, TOPIC_BLAST_EVENTS, 0);
    assert_int_equal(stream->next, 3);
    ledger_relay_open(stream, 3, 1);
    ledger_relay_run(f->a.ledger);
    until(f, is_dry);
    assert_int_equal(tally_takes(&f->a), takes);
    send_round(f, 1);
    check_all(f);
}

/* ---- O1, dead letters, bounds, reading within a turn, draining ---- */

static void o1_a_repeated_command_gets_the_first_answer(void **state)
{
    struct fixture *f = *state;
    struct uuid id = station_id(0, 1);
    struct uuid command = uuid_v5("command");

    station_command(&f->station, id.text, command.text); /* twice in one turn */
    station_command(&f->station, id.text, command.text);
    open_a(f);
    f->want = 2;
    until(f, has_answered);
    station_command(&f->station, id.text, NULL);
    station_command(&f->station, id.text, command.text); /* and later */
    f->want = 4;
    until(f, has_answered);
    assert_int_equal(f->a.n_replies, 4);
    assert_string_equal(f->a.replies[0].verdict, "{\"n\":1}");
    assert_string_equal(f->a.replies[1].verdict, "{\"n\":1}");
    assert_string_equal(f->a.replies[3].command_id, command.text);
    assert_string_equal(f->a.replies[3].verdict, "{\"n\":1}");
    f->want = 2;
    check_all(f);
    tally_close(&f->a); /* and by another process */
    f->a = (struct tally){0};
    station_command(&f->station, id.text, command.text);
    open_a(f);
    f->want = 1;
    until(f, has_answered);
    assert_string_equal(tally_verdict(&f->a, command.text), "{\"n\":1}");
    assert_int_equal(f->a.commands, 0);
}

static bool has_dead(void *ctx)
{
    struct fixture *f = ctx;

    return f->station.dead >= f->want;
}

static void a_record_that_cannot_be_read_is_a_dead_letter_and_the_next_goes_on(void **state)
{
    struct fixture *f = *state;
    struct uuid id = station_id(3, 1);

    station_bytes(&f->station, TOPIC_BLAST_CMD, id.text, "nothing of the sort");
    station_command(&f->station, id.text, NULL);
    station_bytes(&f->station, TOPIC_SESSION_EVENTS, id.text, "");
    station_event(&f->station, TOPIC_SESSION_EVENTS, id.text, 1);
    open_a(f);
    f->want = 2;
    until(f, has_dead);
    assert_true(strlen(f->station.reason) > 0);
    f->want = 1;
    until(f, has_seen);
    check_all(f);
}

static void a_dead_letter_of_a_turn_that_fails_first_counts_once(void **state)
{
    struct fixture *f = *state;
    struct uuid id = station_id(0, 1);
    struct ledger_metrics metrics;

    open_a(f);
    (void)snprintf(f->a.own_id, sizeof(f->a.own_id), "%s", id.text);
    f->a.refuse_turns = 3;
    station_bytes(&f->station, TOPIC_BLAST_CMD, id.text, "nothing of the sort");
    f->want = 1;
    until(f, has_dead);
    station_command(&f->station, id.text, NULL);
    check_all(f);
    ledger_metrics(f->a.ledger, &metrics);
    assert_int_equal(f->a.failed, 3);
    assert_int_equal(metrics.dead_letters, 1);
    assert_int_equal(metrics.records, 2);
    assert_int_equal(f->station.dead, 1);
}

/* A schema that this build does not know. */
static const struct bytes newer = {(const uint8_t *)"\0\0\x0f\xff\xff"
                                                    "abc",
                                   8};

/* The writer numbers its events without a gap: what stands between two that follow each other is
 * none of them. */
static void what_stands_between_two_events_that_follow_each_other_is_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    struct uuid id = station_id(3, 1);

    station_event(&f->station, TOPIC_SESSION_EVENTS, id.text, 1);
    station_wire(&f->station, TOPIC_SESSION_EVENTS, id.text, newer);
    station_wire(&f->station, TOPIC_SESSION_EVENTS, id.text, newer);
    open_a(f);
    until(f, is_waiting); /* nothing tells yet */
    assert_int_equal(f->station.dead, 0);
    station_event(&f->station, TOPIC_SESSION_EVENTS, id.text, 1); /* a repeat tells nothing */
    station_event(&f->station, TOPIC_SESSION_EVENTS, id.text, 2);
    f->want = 2;
    until(f, has_seen);
    until(f, has_dead);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT next_offset FROM input_offset WHERE "
                                            "topic = 'wa.session.events.v1' AND partition = 3"),
                     5);
    assert_int_equal(f->station.dead, 2);
    assert_non_null(strstr(f->station.reason, "is not known here"));
}

static void an_event_of_a_newer_schema_stops_its_partition_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct uuid id = station_id(3, 1);

    station_event(&f->station, TOPIC_SESSION_EVENTS, id.text, 1);
    station_wire(&f->station, TOPIC_SESSION_EVENTS, id.text, newer);
    station_event(&f->station, TOPIC_SESSION_EVENTS, id.text, 3);
    open_a(f);
    until(f, is_waiting);
    station_command(&f->station, id.text, NULL);
    f->want = 1;
    check_all(f);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT next_offset FROM input_offset WHERE "
                                            "topic = 'wa.session.events.v1' AND partition = 3"),
                     1);
    assert_int_equal(f->station.dead, 0);
}

static void input_is_bounded_and_all_of_it_comes(void **state)
{
    struct fixture *f = *state;
    struct tally_options with = options(f, "tally-1");

    send_round(f, 100);
    with.buffer_records_max = 10;
    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    until(f, is_a_live);
    check_all(f);
}

static void a_service_may_read_within_the_transaction(void **state)
{
    struct fixture *f = *state;

    f->a.asks = true;
    open_a(f);
    send_round(f, 5);
    check_all(f);
}

static void on_drained(void *ctx)
{
    ((struct fixture *)ctx)->a.drained++;
}

static bool is_drained(void *ctx)
{
    return ((struct fixture *)ctx)->a.drained > 0;
}

static void draining_leaves_an_empty_outbox_and_the_rest_for_the_next(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    send_round(f, 20);
    ledger_drain(f->a.ledger, 5000, on_drained, f);
    until(f, is_drained);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT count(*) FROM outbox"), 0);
    tally_close(&f->a);
    f->a = (struct tally){0};
    open_a(f);
    check_all(f);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(l1_positions_have_no_gaps_and_follow_the_order_of_commits),
        SERVER_TEST(l1_a_counter_in_memory_is_never_trusted),
        SERVER_TEST(l1_l2_every_transaction_waits_for_the_owner_row_exclusively),
        SERVER_TEST(l3_rows_leave_the_outbox_only_when_they_are_in_the_log),
        SERVER_TEST(l3_after_a_failed_delivery_the_relay_begins_at_the_lowest_row),
        SERVER_TEST(l9_what_does_not_fit_into_a_turn_waits_for_the_next),
        SERVER_TEST(l4_events_are_applied_once_by_position),
        SERVER_TEST(l4_a_wait_for_a_missing_position_shows),
        SERVER_TEST(l4_a_new_reader_of_a_limited_log_begins_with_the_first_it_finds),
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
        SERVER_TEST(l9_a_turn_holds_at_most_500_events),
        SERVER_TEST(l3_rows_that_the_owner_before_deletes_are_not_waited_for),
        SERVER_TEST(a_turn_that_stages_nothing_is_committed_too),
        SERVER_TEST(o1_a_repeated_command_gets_the_first_answer),
        SERVER_TEST(a_record_that_cannot_be_read_is_a_dead_letter_and_the_next_goes_on),
        SERVER_TEST(a_dead_letter_of_a_turn_that_fails_first_counts_once),
        SERVER_TEST(what_stands_between_two_events_that_follow_each_other_is_a_dead_letter),
        SERVER_TEST(an_event_of_a_newer_schema_stops_its_partition_and_nothing_else),
        SERVER_TEST(input_is_bounded_and_all_of_it_comes),
        SERVER_TEST(a_service_may_read_within_the_transaction),
        SERVER_TEST(draining_leaves_an_empty_outbox_and_the_rest_for_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
