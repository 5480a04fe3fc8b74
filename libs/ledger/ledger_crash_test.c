/* Against a real PostgreSQL and Kafka: KENTONGAN_TEST_PG, KENTONGAN_TEST_KAFKA. The service runs in
 * processes of its own, which end at named points, are killed, or stand still and come back. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "ledger/ledger_station.h"
#include "ledger/ledger_tally.h"
#include "loop/loop.h"
#include "testkit/testkit.h"
#include "testkit/testkit_pg.h"

enum { WAIT_MS = 40000, AGAIN_MS = 4000, KILLS = 6 };

extern char **environ;

struct fixture {
    struct testkit_pg db;
    struct loop *loop;
    struct station station;
    pid_t a;
    pid_t b;
    int status; /* of the last that ended */
    int64_t want;
};

static const char *brokers(void)
{
    const char *text = getenv("KENTONGAN_TEST_KAFKA"); /* NOLINT(concurrency-mt-unsafe) */

    if (text == NULL || text[0] == '\0') {
        fail_msg("KENTONGAN_TEST_KAFKA is not set: this test needs a Kafka, see tests/run");
    }
    return text;
}

static pid_t serve(struct fixture *f, const char *instance, const char *crash_at)
{
    char words[8][TESTKIT_PG_CONNINFO_MAX];
    const char *const from[] = {"ledger_crash_test", "serve",  f->db.conninfo, brokers(),
                                station_prefix(),    instance, "2500",         crash_at};
    char *argv[9] = {NULL};
    pid_t pid = 0;

    for (size_t i = 0; i < 8; i++) {
        (void)snprintf(words[i], sizeof(words[i]), "%s", from[i]);
        argv[i] = words[i];
    }
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    return pid;
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

static void end_process(pid_t *pid)
{
    if (*pid > 0) {
        (void)kill(*pid, SIGKILL);
        (void)waitpid(*pid, NULL, 0);
        *pid = 0;
    }
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    end_process(&f->a);
    end_process(&f->b);
    station_close(&f->station);
    loop_free(&f->loop);
    testkit_pg_close(&f->db);
    free(f);
    return 0;
}

static void until(struct fixture *f, bool (*is_done)(void *ctx))
{
    if (loop_run_until(f->loop, is_done, f, WAIT_MS) != 1) {
        fail_msg("waited in vain: applied %lld of %lld, repeats %lld, early %lld, broken %lld",
                 (long long)f->station.applied, (long long)f->want, (long long)f->station.repeats,
                 (long long)f->station.early, (long long)f->station.broken);
    }
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

static bool has_a_ended(void *ctx)
{
    struct fixture *f = ctx;

    return f->a == 0 || waitpid(f->a, &f->status, WNOHANG) == f->a;
}

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

static void check_all(struct fixture *f)
{
    until(f, has_applied);
    until(f, is_outbox_empty);
    assert_int_equal(f->station.applied, f->want);
    assert_int_equal(f->station.broken, 0);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT sum(n)::bigint FROM tally"), f->want);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT sum(next_offset)::bigint FROM input_offset "
                                            "WHERE topic = 'wa.blast.cmd.v1'"),
                     f->want);
}

/* ---- named points ---- */

static void crash_and_go_on(struct fixture *f, const char *point)
{
    bool has_ended = false;

    f->a = serve(f, "tally-1", point);
    send_round(f, 5);
    for (int i = 0; i < WAIT_MS / AGAIN_MS && !has_ended; i++) {
        has_ended = loop_run_until(f->loop, has_a_ended, f, AGAIN_MS) == 1;
        if (!has_ended) { /* a slow start finds all there is, and takes it in one turn */
            send_round(f, 1);
        }
    }
    assert_true(has_ended);
    assert_true(WIFEXITED(f->status));
    assert_int_equal(WEXITSTATUS(f->status), 137);
    f->a = serve(f, "tally-1", "");
    send_round(f, 5);
    check_all(f);
}

static void a_crash_before_a_commit_costs_nothing(void **state)
{
    crash_and_go_on(*state, "tally.before.commit@2");
}

static void a_crash_after_a_commit_costs_nothing(void **state)
{
    crash_and_go_on(*state, "tally.after.commit");
}

static void a_crash_before_publishing_costs_nothing(void **state)
{
    crash_and_go_on(*state, "tally.before.publish@7");
}

/* The rows stand in the log twice, and the reader drops them. */
static void l3_l4_a_crash_after_publishing_repeats_rows_that_readers_drop(void **state)
{
    struct fixture *f = *state;

    crash_and_go_on(f, "tally.after.publish@5");
    assert_true(f->station.repeats > 0);
}

static void a_crash_before_deleting_costs_nothing(void **state)
{
    crash_and_go_on(*state, "tally.before.delete");
}

static void a_crash_after_deleting_costs_nothing(void **state)
{
    crash_and_go_on(*state, "tally.after.delete");
}

/* Some partitions are taken already, others not. */
static void a_crash_before_taking_over_costs_nothing(void **state)
{
    crash_and_go_on(*state, "tally.before.take@3");
}

static void a_crash_after_taking_over_costs_an_epoch(void **state)
{
    crash_and_go_on(*state, "tally.after.take@5");
}

/* ---- kill -9 ---- */

static void kills_at_any_moment_cost_nothing(void **state)
{
    struct fixture *f = *state;
    struct testkit_random random = {.state = 20250907};

    for (int i = 0; i < KILLS; i++) {
        f->a = serve(f, "tally-1", "");
        send_round(f, 20);
        /* somewhere between taking over and being done */
        (void)!loop_run_until(f->loop, has_applied, f, 300 + testkit_below(&random, 1200));
        end_process(&f->a);
    }
    f->a = serve(f, "tally-1", "");
    check_all(f);
}

/* ---- two owners ---- */

static void an_owner_that_stood_still_does_no_harm_when_it_comes_back(void **state)
{
    struct fixture *f = *state;
    int64_t epochs;

    f->a = serve(f, "tally-1", "");
    send_round(f, 5);
    until(f, has_applied);
    epochs = testkit_pg_int(&f->db, "SELECT sum(epoch)::bigint FROM partition_owner");
    send_round(f, 50);
    (void)!loop_run_until(f->loop, has_applied, f, 20);
    assert_int_equal(kill(f->a, SIGSTOP), 0);
    f->b = serve(f, "tally-2", "");
    send_round(f, 5);
    until(f, has_applied); /* the other took all of it over */
    assert_true(testkit_pg_int(&f->db, "SELECT sum(epoch)::bigint FROM partition_owner") >=
                epochs + 6);
    send_round(f, 20);
    assert_int_equal(kill(f->a, SIGCONT), 0);
    send_round(f, 20);
    check_all(f);
}

static void sigterm_drains_and_the_next_process_goes_on(void **state)
{
    struct fixture *f = *state;

    f->a = serve(f, "tally-1", "");
    send_round(f, 10);
    until(f, has_applied);
    send_round(f, 10);
    assert_int_equal(kill(f->a, SIGTERM), 0);
    until(f, has_a_ended);
    assert_int_equal(f->status, 0);
    assert_true(is_outbox_empty(f));
    f->a = serve(f, "tally-1", "");
    check_all(f);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_crash_before_a_commit_costs_nothing),
        SERVER_TEST(a_crash_after_a_commit_costs_nothing),
        SERVER_TEST(a_crash_before_publishing_costs_nothing),
        SERVER_TEST(l3_l4_a_crash_after_publishing_repeats_rows_that_readers_drop),
        SERVER_TEST(a_crash_before_deleting_costs_nothing),
        SERVER_TEST(a_crash_after_deleting_costs_nothing),
        SERVER_TEST(a_crash_before_taking_over_costs_nothing),
        SERVER_TEST(a_crash_after_taking_over_costs_an_epoch),
        SERVER_TEST(kills_at_any_moment_cost_nothing),
        SERVER_TEST(an_owner_that_stood_still_does_no_harm_when_it_comes_back),
        SERVER_TEST(sigterm_drains_and_the_next_process_goes_on),
    };

    if (argc == 8 && strcmp(argv[1], "serve") == 0) {
        return tally_serve(argv + 2);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
