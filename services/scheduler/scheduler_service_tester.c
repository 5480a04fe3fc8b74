/* The life of a station: topics and a database of its own, and the service as a process. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "bus/bus_admin.h"
#include "bus/bus_consumer.h"
#include "bus/bus_key.h"
#include "bus/bus_producer.h"
#include "domain/ids.h"
#include "scheduler/scheduler.h"
#include "scheduler/scheduler_tester.h"
#include "testkit/testkit.h"

enum { BROKER_WAIT_MS = 20000 };

static char prefix[48];

static void make_topics(const char *brokers)
{
    static int count;
    struct bus_admin *admin = NULL;
    struct buf report = {0};
    struct err err = {0};
    int rc;

    (void)snprintf(prefix, sizeof(prefix), "sc%d-%d.", (int)getpid(), ++count);
    rc = bus_set_topic_prefix(prefix, &err);
    if (rc == 0) {
        rc = bus_admin_new(brokers, &admin, &err);
    }
    if (rc == 0) {
        rc = bus_admin_wait(admin, BROKER_WAIT_MS, &err);
    }
    if (rc == 0) {
        rc = bus_admin_create(admin, 1, &report, &err);
    }
    if (rc < 0) {
        fail_msg("%s", err.text);
    }
    buf_done(&report);
    bus_admin_free(&admin);
}

static void make_database(struct station *station)
{
    testkit_pg_open(&station->db);
    testkit_pg_run(&station->db, "CREATE SCHEMA scheduler; SET search_path = scheduler");
    testkit_pg_run_file(&station->db, MIGRATIONS "/include/ledger_tables.sql");
    testkit_pg_run_file(&station->db, MIGRATIONS "/deploy/scheduler_tables.sql");
}

/* The value of @name in a conninfo, as NAME=value for the service. */
static void set_from(struct station *station, const char *variable_name, const char *name)
{
    const char *at = strstr(station->db.conninfo, name);
    const char *next;
    char value[96];

    for (next = at; next != NULL; next = strstr(next + 1, name)) {
        at = next; /* the last one counts */
    }
    if (at == NULL) {
        return;
    }
    at += strlen(name);
    (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, " "), at);
    station_set(station, variable_name, value);
}

void station_open(struct station *station, struct loop *loop)
{
    const char *brokers = testkit_env("KENTONGAN_TEST_KAFKA");
    struct uuid session;

    *station = (struct station){.loop = loop, .way = STATION_SEND};
    session = session_uuid(STATION_USER_ID, "sales");
    memcpy(station->session, session.text, UUID_TEXT_MAX);
    station->partition = bus_partition(session.text);
    make_topics(brokers);
    make_database(station);
    station_open_bus(station, brokers);
    station_set(station, "KAFKA_BROKERS", brokers);
    station_set(station, "REDIS_URL", testkit_env("KENTONGAN_TEST_REDIS"));
    set_from(station, "DB_HOST", "host=");
    set_from(station, "DB_PORT", "port=");
    set_from(station, "DB_NAME", "dbname=");
    set_from(station, "DB_USER", "user=");
    set_from(station, "DB_PASS", "password=");
    station_set(station, "KAFKA_SESSION_TIMEOUT_MS", "6000");
    station_set(station, "ACCOUNT_RATE_PER_MIN", "0");
    station_set(station, "BLAST_MESSAGE_DELAY_MS", "0");
    station_set(station, "BLAST_CONTACT_DELAY_MS", "0");
    station_set(station, "LOG_LEVEL", "warn");
}

void station_close(struct station *station)
{
    station_kill(station);
    bus_producer_close(&station->producer);
    bus_consumer_close(&station->consumer, NULL, NULL);
    testkit_pg_close(&station->db);
    for (size_t i = 0; i < station->n_blasts; i++) {
        free(station->blasts[i].times);
        free(station->blasts[i].message);
    }
}

void station_set(struct station *station, const char *name, const char *value)
{
    size_t n = strlen(name);
    size_t i = 0;

    while (i < station->n_env && !(strncmp(station->env[i], name, n) == 0 && //
                                   station->env[i][n] == '=')) {
        i++;
    }
    assert(i < sizeof(station->env) / sizeof(station->env[0]));
    (void)snprintf(station->env[i], sizeof(station->env[i]), "%s=%s", name, value);
    station->n_env = i == station->n_env ? i + 1 : station->n_env;
}

void station_start(struct station *station)
{
    char program[] = "/proc/self/exe";
    char word[] = "service";
    char *argv[] = {program, word, prefix, NULL};
    char *env[sizeof(station->env) / sizeof(station->env[0]) + 1] = {0};
    pid_t pid;

    for (size_t i = 0; i < station->n_env; i++) {
        env[i] = station->env[i];
    }
    for (size_t i = 0; i < station->n_blasts; i++) {
        station->blasts[i].was_restarted = true;
    }
    pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execve(program, argv, env);
        _exit(127);
    }
    station->service = pid;
}

static int end_service(struct station *station, int signal_number)
{
    int status = 0;

    if (station->service == 0) {
        return 0;
    }
    (void)kill(station->service, signal_number);
    (void)waitpid(station->service, &status, 0);
    station->service = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void station_kill(struct station *station)
{
    (void)end_service(station, SIGKILL);
}

int station_stop(struct station *station)
{
    return end_service(station, SIGTERM);
}

bool station_is_service(int argc, char **argv, int *status)
{
    int rc;

    if (argc != 3 || strcmp(argv[1], "service") != 0) {
        return false;
    }
    rc = bus_set_topic_prefix(argv[2], NULL);
    assert(rc == 0);
    *status = scheduler_main(1, argv);
    return true;
}
