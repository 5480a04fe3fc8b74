/* Against a real PostgreSQL and Kafka: KENTONGAN_TEST_PG, KENTONGAN_TEST_KAFKA. The service runs in
 * processes of its own, which end at named points, are killed, or stand still and come back. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "ledger/ledger_tester.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

enum { AGAIN_MS = 4000, KILLS = 6 };

extern char **environ;

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

static void end_process(pid_t *pid)
{
    if (*pid > 0) {
        (void)kill(*pid, SIGKILL);
        (void)waitpid(*pid, NULL, 0);
        *pid = 0;
    }
}

static int tear_down_all(void **state)
{
    struct fixture *f = *state;

    end_process(&f->served[0]);
    end_process(&f->served[1]);
    return tear_down(state);
}

static bool has_a_ended(void *ctx)
{
    struct fixture *f = ctx;

    return f->served[0] == 0 || waitpid(f->served[0], &f->status, WNOHANG) == f->served[0];
}

static void check_with_offsets(struct fixture *f)
{
    check_all(f);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT sum(next_offset)::bigint FROM input_offset "
                                            "WHERE topic = 'wa.blast.cmd.v1'"),
                     f->want);
}

/* ---- named points ---- */

static void crash_and_go_on(struct fixture *f, const char *point)
{
    bool has_ended = false;

    f->served[0] = serve(f, "tally-1", point);
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
    f->served[0] = serve(f, "tally-1", "");
    send_round(f, 5);
    check_with_offsets(f);
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
        f->served[0] = serve(f, "tally-1", "");
        send_round(f, 20);
        /* somewhere between taking over and being done */
        (void)!loop_run_until(f->loop, has_applied, f, 300 + testkit_below(&random, 1200));
        end_process(&f->served[0]);
    }
    f->served[0] = serve(f, "tally-1", "");
    check_with_offsets(f);
}

/* ---- two owners ---- */

static void an_owner_that_stood_still_does_no_harm_when_it_comes_back(void **state)
{
    struct fixture *f = *state;
    int64_t epochs;

    f->served[0] = serve(f, "tally-1", "");
    send_round(f, 5);
    until(f, has_applied);
    epochs = testkit_pg_int(&f->db, "SELECT sum(epoch)::bigint FROM partition_owner");
    send_round(f, 50);
    (void)!loop_run_until(f->loop, has_applied, f, 20);
    assert_int_equal(kill(f->served[0], SIGSTOP), 0);
    f->served[1] = serve(f, "tally-2", "");
    send_round(f, 5);
    until(f, has_applied); /* the other took all of it over */
    assert_true(testkit_pg_int(&f->db, "SELECT sum(epoch)::bigint FROM partition_owner") >=
                epochs + 6);
    send_round(f, 20);
    assert_int_equal(kill(f->served[0], SIGCONT), 0);
    send_round(f, 20);
    check_with_offsets(f);
}

static void sigterm_drains_and_the_next_process_goes_on(void **state)
{
    struct fixture *f = *state;

    f->served[0] = serve(f, "tally-1", "");
    send_round(f, 10);
    until(f, has_applied);
    send_round(f, 10);
    assert_int_equal(kill(f->served[0], SIGTERM), 0);
    until(f, has_a_ended);
    assert_int_equal(f->status, 0);
    assert_true(is_outbox_empty(f));
    f->served[0] = serve(f, "tally-1", "");
    check_with_offsets(f);
}

#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(a_crash_before_a_commit_costs_nothing),
        PROCESS_TEST(a_crash_after_a_commit_costs_nothing),
        PROCESS_TEST(a_crash_before_publishing_costs_nothing),
        PROCESS_TEST(l3_l4_a_crash_after_publishing_repeats_rows_that_readers_drop),
        PROCESS_TEST(a_crash_before_deleting_costs_nothing),
        PROCESS_TEST(a_crash_after_deleting_costs_nothing),
        PROCESS_TEST(a_crash_before_taking_over_costs_nothing),
        PROCESS_TEST(a_crash_after_taking_over_costs_an_epoch),
        PROCESS_TEST(kills_at_any_moment_cost_nothing),
        PROCESS_TEST(an_owner_that_stood_still_does_no_harm_when_it_comes_back),
        PROCESS_TEST(sigterm_drains_and_the_next_process_goes_on),
    };

    if (argc == 8 && strcmp(argv[1], "serve") == 0) {
        return tally_serve(argv + 2);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
