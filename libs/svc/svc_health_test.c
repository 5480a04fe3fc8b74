#include "testkit/testkit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/metric.h"
#include "loop/loop.h"
#include "svc/svc_drain.h"
#include "svc/svc_exit.h"
#include "svc/svc_health.h"

static void answers_name_what_fails(void **state)
{
    struct loop *loop = NULL;
    struct svc_health *health;
    struct buf body = {0};

    (void)state;
    assert_int_equal(loop_new(&loop, NULL), 0);
    health = svc_health_new(loop);
    assert_int_equal(svc_health_answer(health, false, &body), 200);
    assert_string_equal(buf_text(&body), "{\"status\":\"ok\"}");
    buf_clear(&body);
    assert_int_equal(svc_health_answer(health, true, &body), 503);
    svc_health_set_ready(health, true);
    svc_health_set(health, "kafka", false, "no broker at localhost:9092");
    svc_health_set(health, "redis", true, NULL);
    buf_clear(&body);
    assert_int_equal(svc_health_answer(health, false, &body), 503);
    assert_string_equal(
        buf_text(&body),
        "{\"status\":\"failing\",\"failing\":{\"kafka\":\"no broker at localhost:9092\"}}");
    svc_health_set(health, "kafka", true, NULL);
    buf_clear(&body);
    assert_int_equal(svc_health_answer(health, true, &body), 200);
    buf_done(&body);
    svc_health_free(&health);
    loop_free(&loop);
}

static void the_paths_are_served(void **state)
{
    static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct loop *loop = NULL;
    struct svc_health *health;
    struct buf all = {0};
    ssize_t got;
    int fd;

    (void)state;
    metric_add(metric_counter("t_things_total", "Things"), 41);
    assert_int_equal(loop_new(&loop, NULL), 0);
    health = svc_health_new(loop);
    assert_int_equal(svc_health_listen(health, 0, NULL), 0);
    to.sin_port = htons((uint16_t)svc_health_port(health));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, ask, sizeof(ask) - 1, 0), sizeof(ask) - 1);
    do {
        got = recv(fd, buf_room(&all, 4096), 4096, 0);
        buf_used(&all, got > 0 ? (size_t)got : 0);
    } while (got > 0);
    (void)close(fd);
    assert_non_null(strstr(buf_text(&all), "HTTP/1.1 200 OK"));
    assert_non_null(strstr(buf_text(&all), "\nt_things_total 41\n"));
    assert_non_null(strstr(buf_text(&all), "\nprocess_resident_memory_bytes "));
    buf_done(&all);
    svc_health_free(&health);
    loop_free(&loop);
}

static struct loop *drained_loop;

static void on_drain(void *ctx)
{
    if (*(const bool *)ctx) {
        loop_stop(drained_loop);
    }
}

static void on_again(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    (void)ctx;
    (void)kill(getpid(), SIGTERM);
}

/* The status of a child that signals itself, once more after @again_ms (0: not); @finishes: it
 * stops its loop when told to drain. */
static int status_of_drain(bool finishes, int64_t timeout_ms, int64_t again_ms)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct loop_timer again = {0};
        struct loop_timer first = {0};
        struct svc_drain *drain;

        if (loop_new(&drained_loop, NULL) < 0) {
            _exit(1);
        }
        drain = svc_drain_new(drained_loop, timeout_ms, on_drain, &finishes);
        loop_timer_start(drained_loop, &first, 0, on_again, NULL);
        if (again_ms > 0) {
            loop_timer_start(drained_loop, &again, again_ms, on_again, NULL);
        }
        loop_run(drained_loop);
        svc_drain_free(&drain);
        _exit(SVC_EXIT_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_signal_drains(void **state)
{
    (void)state;
    assert_int_equal(status_of_drain(true, 5000, 0), SVC_EXIT_OK);
    assert_int_equal(status_of_drain(false, 50, 0), SVC_EXIT_DRAIN_TIMEOUT);
    assert_int_equal(status_of_drain(false, 60000, 1200), SVC_EXIT_DRAIN_TIMEOUT);
    assert_int_equal(status_of_drain(false, 200, 20), SVC_EXIT_DRAIN_TIMEOUT); /* by the deadline */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_name_what_fails),
        cmocka_unit_test(a_signal_drains),
        cmocka_unit_test(the_paths_are_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
