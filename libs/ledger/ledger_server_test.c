/* Against a real PostgreSQL and Kafka: KENTONGAN_TEST_PG, KENTONGAN_TEST_KAFKA. One ledger in
 * this process; who owns a partition is in ledger_owner_test.c, what needs processes that die in
 * ledger_crash_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus_key.h"
#include "ledger/ledger_internal.h"
#include "ledger/ledger_tester.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

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

/* The linker puts this before every producer's (CMakeLists.txt). */
static int refusals;

/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the linker's names */
int __real_bus_producer_send(struct bus_producer *producer, const struct bus_send *send,
                             struct err *err);
int __wrap_bus_producer_send(struct bus_producer *producer, const struct bus_send *send,
                             struct err *err);

int __wrap_bus_producer_send(struct bus_producer *producer, const struct bus_send *send,
                             struct err *err)
{
    if (refusals > 0) {
        refusals--;
        return err_set(err, ERR_CLOSED, "broken");
    }
    return __real_bus_producer_send(producer, send, err);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

static void l3_a_producer_that_breaks_with_nothing_under_way_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct ledger_metrics metrics;

    open_a(f);
    station_command(&f->station, station_id(0, 1).text, NULL);
    refusals = 3;
    f->want = 1;
    check_all(f);
    ledger_metrics(f->a.ledger, &metrics);
    assert_int_equal(metrics.relay_restarts, 3);
}

static bool is_swept_late(void *ctx)
{
    struct fixture *f = ctx;

    return loop_now_ms(f->loop) >= f->late_ms;
}

static void l3_what_is_delivered_during_a_sweep_is_swept_too(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    f->a.ledger->relay.is_sweeping = true; /* its answer is slow */
    station_command(&f->station, station_id(0, 1).text, NULL);
    f->want = 1;
    until(f, has_applied);
    f->late_ms = loop_now_ms(f->loop) + 100; /* the next sweep was due meanwhile */
    until(f, is_swept_late);
    f->a.ledger->relay.is_sweeping = false;
    until(f, is_outbox_empty);
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

static bool has_said_all(void *ctx)
{
    struct fixture *f = ctx;

    if (f->a.own_events > 0) {
        ledger_want_turn(f->a.ledger);
    }
    return f->a.own_events == 0;
}

static void l9_what_was_promised_has_room_however_large_the_rest_is(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    (void)snprintf(f->a.own_id, sizeof(f->a.own_id), "%s", station_id(0, 1).text);
    f->a.own_events = 60;
    f->a.own_bytes = 200000; /* by which a turn is full long before it has 500 */
    f->a.own_promised = 20;
    ledger_want_turn(f->a.ledger);
    f->want = 20; /* and what beside them fits */
    until(f, has_applied);
    assert_int_equal(f->a.limit_hits, 0);
    assert_in_range(f->a.turn_events, 40, 50); /* 20 more than there was room for beside them */
    until(f, has_said_all);
    f->want = 60;
    check_all(f);
}

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

static void a_command_whose_id_no_index_takes_is_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    struct uuid id = station_id(3, 1);
    char longest[65];
    char longer[66];

    memset(longest, 'x', sizeof(longest));
    memset(longer, 'x', sizeof(longer));
    longest[64] = longer[65] = '\0';
    station_command(&f->station, id.text, longest);
    station_command(&f->station, id.text, longer);
    open_a(f);
    f->want = 1;
    until(f, has_dead);
    assert_string_equal(f->station.reason, "command_id is too long");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(l1_positions_have_no_gaps_and_follow_the_order_of_commits),
        SERVER_TEST(l1_a_counter_in_memory_is_never_trusted),
        SERVER_TEST(l1_l2_every_transaction_waits_for_the_owner_row_exclusively),
        SERVER_TEST(l3_rows_leave_the_outbox_only_when_they_are_in_the_log),
        SERVER_TEST(l3_after_a_failed_delivery_the_relay_begins_at_the_lowest_row),
        SERVER_TEST(l3_a_producer_that_breaks_with_nothing_under_way_is_replaced),
        SERVER_TEST(l3_what_is_delivered_during_a_sweep_is_swept_too),
        SERVER_TEST(l9_what_does_not_fit_into_a_turn_waits_for_the_next),
        SERVER_TEST(l9_what_was_promised_has_room_however_large_the_rest_is),
        SERVER_TEST(l4_events_are_applied_once_by_position),
        SERVER_TEST(l4_a_wait_for_a_missing_position_shows),
        SERVER_TEST(l4_a_new_reader_of_a_limited_log_begins_with_the_first_it_finds),
        SERVER_TEST(l9_a_turn_holds_at_most_500_events),
        SERVER_TEST(l3_rows_that_the_owner_before_deletes_are_not_waited_for),
        SERVER_TEST(a_turn_that_stages_nothing_is_committed_too),
        SERVER_TEST(o1_a_repeated_command_gets_the_first_answer),
        SERVER_TEST(a_record_that_cannot_be_read_is_a_dead_letter_and_the_next_goes_on),
        SERVER_TEST(a_command_whose_id_no_index_takes_is_a_dead_letter),
        SERVER_TEST(a_dead_letter_of_a_turn_that_fails_first_counts_once),
        SERVER_TEST(what_stands_between_two_events_that_follow_each_other_is_a_dead_letter),
        SERVER_TEST(an_event_of_a_newer_schema_stops_its_partition_and_nothing_else),
        SERVER_TEST(input_is_bounded_and_all_of_it_comes),
        SERVER_TEST(a_service_may_read_within_the_transaction),
        SERVER_TEST(draining_leaves_an_empty_outbox_and_the_rest_for_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
