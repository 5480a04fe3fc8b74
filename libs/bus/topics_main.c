/* kentongan-topics: makes the topics that Kentongan needs and checks those that are there, and
 * says how far behind their readers are. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "bus/bus_admin.h"
#include "bus/bus_lag.h"

enum { EXIT_USAGE = 2, DEFAULT_WAIT_MS = 5000, WAIT_MAX_S = 3600, REPLICAS_MAX = 100 };

struct arguments {
    const char *brokers;
    int64_t wait_ms;
    int64_t replicas;
    bool is_check_only;
    bool is_lag;
    char **services; /* end with NULL */
};

static const char usage[] =
    "usage: kentongan-topics [--brokers LIST] [--wait SECONDS] [--replicas N] [--check]\n"
    "       kentongan-topics [--brokers LIST] [--wait SECONDS] --lag SERVICE...\n"
    "\n"
    "Makes the topics of Kentongan that are not there yet and checks the others; or says how far\n"
    "behind services are, a line of service, topic and records for each topic that they read.\n"
    "\n"
    "  --brokers LIST   host:port,... (default: KAFKA_BROKERS)\n"
    "  --wait SECONDS   how long to wait until a broker answers (default 5)\n"
    "  --replicas N     of each partition of a topic that is made (default 1)\n"
    "  --check          make nothing\n"
    "  --lag            of these services, such as tracker\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all topics are as they should be, 1 they are not or no broker answers, 2 "
    "wrong\n"
    "arguments.\n";

static int wrong(const char *what)
{
    (void)fprintf(stderr, "kentongan-topics: %s (see --help)\n", what);
    return EXIT_USAGE;
}

/* 0 to go on, else the exit status plus one. */
static int read_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"brokers", required_argument, NULL, 'b'},
        {"wait", required_argument, NULL, 'w'},
        {"replicas", required_argument, NULL, 'r'},
        {"check", no_argument, NULL, 'c'},
        {"lag", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int64_t seconds;
    int option;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'b') {
            out->brokers = optarg;
        } else if (option == 'w' && text_to_int(optarg, 0, WAIT_MAX_S, &seconds)) {
            out->wait_ms = seconds * 1000;
        } else if (option == 'r' && text_to_int(optarg, 1, REPLICAS_MAX, &out->replicas)) {
            continue;
        } else if (option == 'c') {
            out->is_check_only = true;
        } else if (option == 'l') {
            out->is_lag = true;
        } else if (option == 'h') {
            (void)fputs(usage, stdout);
            return EXIT_SUCCESS + 1;
        } else {
            return wrong(option == 'w'   ? "--wait: 0 to 3600 seconds"
                         : option == 'r' ? "--replicas: 1 to 100"
                                         : "wrong arguments") +
                   1;
        }
    }
    out->services = argv + optind;
    if (out->is_lag ? optind == argc : optind < argc) {
        return wrong(out->is_lag ? "--lag: of which services?" : "takes no other arguments") + 1;
    }
    if (out->brokers == NULL || out->brokers[0] == '\0') {
        return wrong("--brokers or KAFKA_BROKERS must say where Kafka is") + 1;
    }
    return 0;
}

static int report_lag(const struct arguments *arguments, struct buf *report, struct err *err)
{
    int rc = 0;

    for (char **service = arguments->services; *service != NULL && rc == 0; service++) {
        int64_t lag[TOPIC_COUNT];

        rc = bus_lag(arguments->brokers, *service, (int)arguments->wait_ms, lag, err);
        for (int topic = 0; topic < TOPIC_COUNT && rc == 0; topic++) {
            if (lag[topic] >= 0) {
                buf_addf(report, "%s %s %lld\n", *service, topics[topic].name,
                         (long long)lag[topic]);
            }
        }
    }
    return rc;
}

static int run(const struct arguments *arguments, struct buf *report, struct err *err)
{
    struct bus_admin *admin = NULL;
    int rc = bus_admin_new(arguments->brokers, &admin, err);

    if (rc == 0) {
        rc = bus_admin_wait(admin, arguments->wait_ms, err);
    }
    if (rc == 0 && arguments->is_lag) {
        rc = report_lag(arguments, report, err);
        bus_admin_free(&admin);
        return rc;
    }
    if (rc == 0 && !arguments->is_check_only) {
        rc = bus_admin_create(admin, (int)arguments->replicas, report, err);
    }
    if (rc == 0) {
        rc = bus_admin_check(admin, report, err);
    }
    bus_admin_free(&admin);
    return rc;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .brokers = getenv("KAFKA_BROKERS"), /* NOLINT(concurrency-mt-unsafe): one thread */
        .wait_ms = DEFAULT_WAIT_MS,
        .replicas = 1,
    };
    struct buf report = {0};
    struct err err = {0};
    int rc = read_arguments(argc, argv, &arguments);

    if (rc != 0) {
        return rc - 1;
    }
    rc = run(&arguments, &report, &err);
    (void)fputs(buf_text(&report), rc < 0 ? stderr : stdout);
    buf_done(&report);
    if (rc < 0) {
        (void)fprintf(stderr, "kentongan-topics: %s (%s)\n", err.text, arguments.brokers);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
