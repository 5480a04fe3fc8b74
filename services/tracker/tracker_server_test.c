/* The tracker as a process, against real servers (KENTONGAN_TEST_PG, KENTONGAN_TEST_KAFKA,
 * KENTONGAN_TEST_REDIS): what is on the log is in the tables, once, also when it came twice, came
 * early, or the tracker was killed; it is announced; and it comes out the same when it is built
 * again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "bus/bus_codec.h"
#include "bus/bus_key.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "ledger/ledger_station.h"
#include "loop/loop.h"
#include "testkit/testkit.h"
#include "testkit/testkit_pg.h"
#include "tracker/log_tester.h"
#include "tracker/migrate_tester.h"

enum { WAIT_MS = 60000, SESSIONS = 5, ENV_MAX = 16, OUTPUT_MAX = 2000 };

static const int64_t noon_us = INT64_C(1757246400000000);

struct fixture {
    struct testkit_pg db;
    struct loop *loop;
    struct cache *cache;
    struct station station;
    struct log logs[SESSIONS];
    size_t sent[SESSIONS]; /* of each log */
    int64_t positions[TOPIC_COUNT][LEDGER_PARTITIONS];
    char env[ENV_MAX][256];
    char *environment[ENV_MAX + 1];
    char role[64];
    pid_t tracker;
    pid_t other; /* a rebuild under way */
    int64_t want_events;
    int64_t want_recipients; /* of the upload that the create names */
    int announced;
    char last_line[128];
};

/* ---- processes ---- */

static void env(struct fixture *f, const char *name, const char *value)
{
    size_t n = 0;

    while (f->environment[n] != NULL) {
        n++;
    }
    assert_true(n < ENV_MAX);
    (void)snprintf(f->env[n], sizeof(f->env[n]), "%s=%s", name, value);
    f->environment[n] = f->env[n];
}

static void env_drop_last(struct fixture *f)
{
    size_t n = 0;

    while (f->environment[n + 1] != NULL) {
        n++;
    }
    f->environment[n] = NULL;
}

static pid_t spawn(struct fixture *f, const char *argument, const char *output)
{
    char program[] = TRACKER;
    char arg[32] = "";
    char *argv[] = {program, argument != NULL ? arg : NULL, NULL};
    posix_spawn_file_actions_t files;
    pid_t pid = 0;

    (void)snprintf(arg, sizeof(arg), "%s", argument != NULL ? argument : "");
    assert_int_equal(posix_spawn_file_actions_init(&files), 0);
    if (output != NULL) {
        assert_int_equal(
            posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600),
            0);
    }
    assert_int_equal(posix_spawn(&pid, program, &files, NULL, argv, f->environment), 0);
    (void)posix_spawn_file_actions_destroy(&files);
    return pid;
}

static void start(struct fixture *f)
{
    f->tracker = spawn(f, NULL, NULL);
}

static int end(pid_t *pid, int signal)
{
    int status = 0;

    assert_int_equal(kill(*pid, signal), 0);
    assert_int_equal(waitpid(*pid, &status, 0), *pid);
    *pid = 0;
    return status;
}

/* ---- the log ---- */

static const char *key_of(const struct log_record *record)
{
    switch (record->topic) {
    case TOPIC_SESSION_EVENTS:
        return ((const struct session_event *)record->data)->aggregate_id;
    case TOPIC_BLAST_EVENTS:
        return ((const struct blast_event *)record->data)->session_uuid;
    case TOPIC_MESSAGE_EVENTS:
        return ((const struct message_event *)record->data)->session_uuid;
    case TOPIC_WEBHOOK_EVENTS:
        return ((const struct webhook_event *)record->data)->session_uuid;
    default:
        return ((const struct blast_recipients *)record->data)->session_uuid;
    }
}

/* Where the ledger of the writer would put it; recipients have no position. */
static void set_position(const struct log_record *record, int64_t position)
{
    switch (record->topic) {
    case TOPIC_SESSION_EVENTS:
        ((struct session_event *)record->data)->position = position;
        break;
    case TOPIC_BLAST_EVENTS:
        ((struct blast_event *)record->data)->position = position;
        break;
    case TOPIC_MESSAGE_EVENTS:
        ((struct message_event *)record->data)->position = position;
        break;
    case TOPIC_WEBHOOK_EVENTS:
        ((struct webhook_event *)record->data)->position = position;
        break;
    default:
        break;
    }
}

static void send(struct fixture *f, const struct log_record *record)
{
    struct buf wire = {0};
    struct err err = {0};

    if (bus_encode(record->topic, record->data, &wire, &err) != 0) {
        fail_msg("%s", err.text);
    }
    station_wire(&f->station, record->topic, key_of(record), buf_bytes(&wire));
    buf_done(&wire);
}

static void count(struct fixture *f, const struct log_record *record)
{
    const struct blast_recipients *chunk = record->data;

    if (record->topic != TOPIC_BLAST_RECIPIENTS) {
        f->want_events++;
    } else if (strcmp(chunk->upload_id, "u1") == 0) {
        f->want_recipients += (int64_t)chunk->recipients.n;
    }
}

/* Everything of log @i that was not sent; every seventh twice, and a later one before an earlier
 * one that follows again, as a relay may do (L3). */
static void send_rest(struct fixture *f, int i)
{
    struct log *log = &f->logs[i];
    size_t from = f->sent[i];

    for (size_t at = from; at < log->n; at++) {
        int partition = bus_partition(key_of(&log->at[at]));

        set_position(&log->at[at], ++f->positions[log->at[at].topic][partition]);
        count(f, &log->at[at]);
    }
    for (size_t at = from; at < log->n; at++) {
        if (at % 7 == 0) {
            send(f, &log->at[at]);
        } else if (at % 11 == 0 && at + 1 < log->n) {
            send(f, &log->at[at + 1]);
        }
        send(f, &log->at[at]);
    }
    f->sent[i] = log->n;
}

/* ---- waiting ---- */

static const char named_recipients[] = "SELECT count(*) FROM proj.blast_recipients "
                                       "WHERE upload_id = 'u1'";

/* Recipients come by a topic of their own, and none waits for the other. */
static bool all_is_there(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM proj.events") == f->want_events &&
           testkit_pg_int(&f->db, named_recipients) == f->want_recipients;
}

static void wait_for_all(struct fixture *f)
{
    if (loop_run_until(f->loop, all_is_there, f, WAIT_MS) != 1) {
        fail_msg("%lld events, want %lld; %lld recipients, want %lld",
                 (long long)testkit_pg_int(&f->db, "SELECT count(*) FROM proj.events"),
                 (long long)f->want_events, (long long)testkit_pg_int(&f->db, named_recipients),
                 (long long)f->want_recipients);
    }
}

static bool other_has_ended(void *ctx)
{
    struct fixture *f = ctx;
    int status = 0;

    if (waitpid(f->other, &status, WNOHANG) != f->other) {
        return false;
    }
    f->other = WIFEXITED(status) ? -1 - WEXITSTATUS(status) : -1000;
    return true;
}

/* Run the tracker with @argument beside the live one; its exit status. Its output is in @out. */
static int run_beside(struct fixture *f, const char *argument, char out[OUTPUT_MAX])
{
    char path[] = "/tmp/kentongan-tracker-test.XXXXXX";
    int fd = mkstemp(path);
    ssize_t n;

    assert_true(fd >= 0);
    f->other = spawn(f, argument, path);
    assert_int_equal(loop_run_until(f->loop, other_has_ended, f, WAIT_MS), 1);
    n = read(fd, out, OUTPUT_MAX - 1);
    out[n < 0 ? 0 : n] = '\0';
    (void)close(fd);
    (void)unlink(path);
    return -1 - (int)f->other;
}

/* ---- life ---- */

static void on_line(struct bytes message, void *ctx)
{
    struct fixture *f = ctx;

    f->announced++;
    (void)snprintf(f->last_line, sizeof(f->last_line), "%.*s", (int)message.n,
                   (const char *)message.p);
}

/* A role with the rights of tracker and a password of this test's own. */
static void make_role(struct fixture *f)
{
    char sql[256];

    (void)snprintf(f->role, sizeof(f->role), "kt_tracker_%d", (int)getpid());
    (void)snprintf(sql, sizeof(sql), "CREATE ROLE %s LOGIN PASSWORD 'of-this-test' IN ROLE tracker",
                   f->role);
    testkit_pg_run(&f->db, sql);
}

static void make_environment(struct fixture *f)
{
    env(f, "PATH", "/usr/bin");
    env(f, "DB_HOST", testkit_pg_text(&f->db, "SELECT host(inet_server_addr())"));
    env(f, "DB_PORT", testkit_pg_text(&f->db, "SELECT inet_server_port()"));
    env(f, "DB_NAME", f->db.name);
    env(f, "DB_USER", f->role);
    env(f, "DB_PASS", "of-this-test");
    env(f, "KAFKA_BROKERS", testkit_env("KENTONGAN_TEST_KAFKA"));
    env(f, "KAFKA_TOPIC_PREFIX", station_prefix());
    env(f, "KAFKA_SESSION_TIMEOUT_MS", "6000");
    env(f, "REDIS_URL", testkit_env("KENTONGAN_TEST_REDIS"));
    env(f, "LOG_LEVEL", "warn");
}

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));
    struct cache_options redis = {.url = testkit_env("KENTONGAN_TEST_REDIS")};
    struct cache_listener listener = {.message = on_line, .ctx = f};
    struct err err = {0};

    testkit_pg_open(&f->db);
    tracker_migrate(&f->db);
    make_role(f);
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    if (station_open(&f->station, f->loop, testkit_env("KENTONGAN_TEST_KAFKA"), &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(cache_new(f->loop, &redis, &f->cache, NULL), 0);
    (void)cache_subscribe(f->cache, cache_channel_applied().text, &listener);
    for (int i = 0; i < SESSIONS; i++) {
        log_make(&f->logs[i], uuid_v5("%s:session:%d", station_prefix(), i).text,
                 uuid_v5("%s:blast:%d", station_prefix(), i).text, noon_us);
        log_add_random(&f->logs[i], (uint64_t)i);
    }
    make_environment(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char sql[128];

    if (f->tracker != 0) {
        (void)end(&f->tracker, SIGKILL);
    }
    station_close(&f->station);
    for (int i = 0; i < SESSIONS; i++) {
        log_done(&f->logs[i]);
    }
    (void)snprintf(sql, sizeof(sql), "DROP ROLE %s", f->role);
    testkit_pg_run(&f->db, sql);
    testkit_pg_close(&f->db);
    return 0;
}

/* ---- tests: one story ---- */

static void what_is_on_the_log_is_in_the_tables_once(void **state)
{
    struct fixture *f = *state;

    send_rest(f, 0);
    send_rest(f, 1);
    start(f);
    wait_for_all(f);
    assert_int_equal(
        testkit_pg_int(&f->db,
                       "SELECT count(*) FROM proj.sessions WHERE state = 'RECONNECTING' AND "
                       "applied_seq = 12"),
        2);
    assert_int_equal(
        testkit_pg_int(&f->db, "SELECT count(*) FROM proj.messages WHERE blast_id IS NOT NULL"),
        12);
}

static bool has_line(void *ctx)
{
    struct fixture *f = ctx;
    char want[128];

    (void)snprintf(want, sizeof(want), "%s 13", f->logs[0].session);
    return strcmp(f->last_line, want) == 0;
}

struct got {
    bool is_done;
    char text[32];
};

static void on_applied(int rc, const struct cache_reply *reply, void *ctx)
{
    struct got *got = ctx;

    got->is_done = true;
    (void)snprintf(got->text, sizeof(got->text), "%s",
                   rc == 0 && reply->kind == CACHE_TEXT ? (const char *)reply->text.p : "-");
}

static bool got_it(void *ctx)
{
    return ((struct got *)ctx)->is_done;
}

static void what_is_applied_is_announced(void **state)
{
    struct fixture *f = *state;
    struct cache_key key = cache_key_applied(f->logs[0].session);
    struct got got = {0};

    log_add_rename(&f->logs[0], 13, "A");
    send_rest(f, 0);
    assert_int_equal(loop_run_until(f->loop, has_line, f, WAIT_MS), 1);
    cache_get(f->cache, key.text, on_applied, &got);
    assert_int_equal(loop_run_until(f->loop, got_it, &got, WAIT_MS), 1);
    assert_string_equal(got.text, "13");
    wait_for_all(f);
}

static bool some_events_are_there(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM proj.events") > f->want_events / 3;
}

static void a_killed_tracker_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;

    send_rest(f, 2);
    send_rest(f, 3);
    assert_int_equal(loop_run_until(f->loop, some_events_are_there, f, WAIT_MS), 1);
    (void)end(&f->tracker, SIGKILL);
    start(f);
    wait_for_all(f);
}

static bool tracker_has_ended(void *ctx)
{
    struct fixture *f = ctx;
    int status = 0;

    if (waitpid(f->tracker, &status, WNOHANG) != f->tracker) {
        return false;
    }
    f->tracker = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 137);
    return true;
}

/* Each crash point of the ledger that a reader passes. */
static void a_crash_around_a_commit_costs_nothing(void **state)
{
    static const char *const points[] = {"tracker.before.commit", "tracker.after.commit"};
    struct fixture *f = *state;
    int64_t sequence = 13;

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        (void)end(&f->tracker, SIGTERM);
        env(f, "KENTONGAN_CRASH_AT", points[i]);
        start(f);
        for (int step = 0; step < 3; step++) {
            log_add_rename(&f->logs[2], sequence++, points[i]);
            log_add_rename(&f->logs[3], sequence - 1, points[i]);
            send_rest(f, 2);
            send_rest(f, 3);
        }
        env_drop_last(f);
        assert_int_equal(loop_run_until(f->loop, tracker_has_ended, f, WAIT_MS), 1);
        start(f);
        wait_for_all(f);
    }
    assert_int_equal(
        testkit_pg_int(&f->db,
                       "SELECT count(*) FROM proj.sessions WHERE name = 'tracker.after.commit' "
                       "AND applied_seq = 18"),
        2);
}

static bool is_held_up(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM pg_locks WHERE NOT granted AND "
                                  "relation = 'proj.message_states'::regclass") > 0;
}

/* A turn is open, and more waits behind it. */
static void a_signal_in_the_midst_of_work_loses_nothing(void **state)
{
    struct fixture *f = *state;
    int status = 0;

    testkit_pg_run(&f->db, "BEGIN; LOCK TABLE proj.message_states IN ACCESS EXCLUSIVE MODE");
    for (int i = 0; i < SESSIONS - 1; i++) {
        log_add_random(&f->logs[i], 100 + (uint64_t)i);
        send_rest(f, i);
    }
    assert_int_equal(loop_run_until(f->loop, is_held_up, f, WAIT_MS), 1);
    assert_false(all_is_there(f));
    assert_int_equal(kill(f->tracker, SIGTERM), 0);
    testkit_pg_run(&f->db, "COMMIT");
    assert_int_equal(waitpid(f->tracker, &status, 0), f->tracker);
    f->tracker = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    start(f);
    wait_for_all(f);
}

static bool is_dead_lettered(void *ctx)
{
    return ((struct fixture *)ctx)->station.dead == 2;
}

static void what_cannot_be_read_becomes_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    struct blast_recipients chunk = {
        .blast_id = "no uuid", .upload_id = "u", .session_uuid = f->logs[0].session};
    struct log_record senseless = {TOPIC_BLAST_RECIPIENTS, &chunk};

    station_bytes(&f->station, TOPIC_BLAST_RECIPIENTS, f->logs[0].session, "no record");
    send(f, &senseless);
    assert_int_equal(loop_run_until(f->loop, is_dead_lettered, f, WAIT_MS), 1);
    assert_non_null(strstr(f->station.reason, "blast_id is not a uuid"));
    log_add_rename(&f->logs[0], 14, "B");
    send_rest(f, 0);
    wait_for_all(f);
}

static void a_comparison_with_the_log_finds_what_differs(void **state)
{
    struct fixture *f = *state;
    char out[OUTPUT_MAX];

    assert_int_equal(run_beside(f, "--compare", out), 0);
    assert_non_null(strstr(out, "{\"equal\":true,"));
    assert_non_null(strstr(out, "\"sessions\":{\"live\":4,\"rebuilt\":4,\"differing\":0}"));
    testkit_pg_run(&f->db,
                   "UPDATE proj.sessions SET name = 'tampered'; DELETE FROM proj.blast_recipients "
                   "WHERE message_index = 0");
    assert_int_equal(run_beside(f, "--compare", out), 70);
    assert_non_null(strstr(out, "{\"equal\":false,"));
    assert_non_null(strstr(out, "\"sessions\":{\"live\":4,\"rebuilt\":4,\"differing\":8}"));
    assert_int_equal(
        testkit_pg_int(&f->db, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'proj%' AND "
                               "nspname NOT IN ('proj', 'proj_tools')"),
        0);
}

static void a_rebuild_takes_the_place_while_events_come(void **state)
{
    struct fixture *f = *state;
    char out[OUTPUT_MAX];

    send_rest(f, 4);
    log_add_rename(&f->logs[1], 13, "C");
    send_rest(f, 1);
    assert_int_equal(run_beside(f, "--rebuild", out), 0);
    assert_int_equal(
        testkit_pg_int(&f->db, "SELECT count(*) FROM proj.sessions WHERE name = 'tampered'"), 0);
    assert_int_equal(
        testkit_pg_int(&f->db, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'proj%' AND "
                               "nspname NOT IN ('proj', 'proj_tools')"),
        0);
    log_add_rename(&f->logs[0], 15, "after"); /* the live tracker finds the new tables */
    send_rest(f, 0);
    wait_for_all(f);
    assert_int_equal(
        testkit_pg_int(&f->db, "SELECT count(*) FROM proj.sessions WHERE name = 'after'"), 1);
    assert_int_equal(
        testkit_pg_int(&f->db, "SELECT count(*) FROM proj.messages WHERE blast_id IS NOT NULL"),
        (int64_t)SESSIONS * 6);
    assert_int_equal(run_beside(f, "--compare", out), 0);
}

/* The swap is one transaction: whoever looks finds the old tables or the new ones. */
static void a_rebuild_that_ends_at_its_swap_leaves_whole_tables(void **state)
{
    static const char *const points[] = {"tracker.before.swap", "tracker.after.swap"};
    struct fixture *f = *state;
    char out[OUTPUT_MAX];

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        env(f, "KENTONGAN_CRASH_AT", points[i]);
        assert_int_equal(run_beside(f, "--rebuild", out), 137);
        env_drop_last(f);
        assert_int_equal(run_beside(f, "--compare", out), 0);
    }
}

static bool are_swept(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM proj.blast_recipients "
                                  "WHERE upload_id = 'u2'") == 0;
}

/* Each log has an upload "u2" that no create names. After a week it goes; the log still has it, and
 * so has a rebuild, but no query can reach it. */
static void an_upload_that_no_blast_names_is_swept(void **state)
{
    struct fixture *f = *state;
    int64_t sequences[SESSIONS] = {16, 14, 19, 19, 13};
    int64_t before = testkit_pg_int(&f->db, named_recipients);
    char out[OUTPUT_MAX];

    assert_int_equal(before, (int64_t)SESSIONS * 6);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT count(*) FROM proj.blast_recipients "
                                            "WHERE upload_id = 'u2'"),
                     (int64_t)SESSIONS * 6);
    testkit_pg_run(&f->db, "UPDATE proj.blast_uploads SET received_at = now() - interval '8 days'");
    (void)end(&f->tracker, SIGTERM);
    start(f);
    for (int i = 0; i < SESSIONS; i++) { /* sweeping follows what happens */
        log_add_rename(&f->logs[i], sequences[i], "swept");
        send_rest(f, i);
    }
    wait_for_all(f);
    assert_int_equal(loop_run_until(f->loop, are_swept, f, WAIT_MS), 1);
    assert_int_equal(testkit_pg_int(&f->db, named_recipients), before);
    assert_int_equal(run_beside(f, "--compare", out), 0);
    assert_non_null(
        strstr(out, "\"blast_recipients\":{\"live\":30,\"rebuilt\":30,\"differing\":0}"));
}

static void a_signal_ends_it_in_order(void **state)
{
    struct fixture *f = *state;
    int status = end(&f->tracker, SIGTERM);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_the_log_is_in_the_tables_once),
        cmocka_unit_test(what_is_applied_is_announced),
        cmocka_unit_test(a_killed_tracker_goes_on_where_it_was),
        cmocka_unit_test(a_crash_around_a_commit_costs_nothing),
        cmocka_unit_test(a_signal_in_the_midst_of_work_loses_nothing),
        cmocka_unit_test(what_cannot_be_read_becomes_a_dead_letter),
        cmocka_unit_test(a_comparison_with_the_log_finds_what_differs),
        cmocka_unit_test(a_rebuild_takes_the_place_while_events_come),
        cmocka_unit_test(a_rebuild_that_ends_at_its_swap_leaves_whole_tables),
        cmocka_unit_test(an_upload_that_no_blast_names_is_swept),
        cmocka_unit_test(a_signal_ends_it_in_order),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
