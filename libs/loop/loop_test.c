#include "loop/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "loop/loop_backoff.h"
#include "testkit/testkit.h"

struct trace {
    struct loop *loop;
    char text[64];
    size_t n;
};

static void note(struct trace *trace, char c)
{
    assert_true(trace->n + 1 < sizeof(trace->text));
    trace->text[trace->n++] = c;
}

static int set_up(void **state)
{
    struct trace *trace = mem_new0(sizeof(*trace));

    assert_int_equal(loop_new(&trace->loop, NULL), 0);
    *state = trace;
    return 0;
}

static int tear_down(void **state)
{
    struct trace *trace = *state;

    loop_free(&trace->loop);
    assert_null(trace->loop);
    free(trace);
    return 0;
}

static void on_a(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    note(ctx, 'a');
}

static void on_b(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    note(ctx, 'b');
}

static void timers_run_in_order_of_their_time(void **state)
{
    struct trace *trace = *state;
    struct loop_timer timers[3] = {{0}};

    loop_timer_start(trace->loop, &timers[0], 9, on_b, trace);
    loop_timer_start(trace->loop, &timers[1], 3, on_a, trace);
    loop_timer_start(trace->loop, &timers[2], 6, on_b, trace);
    loop_timer_start(trace->loop, &timers[2], 1, on_b, trace); /* moved */
    loop_run(trace->loop);
    assert_string_equal(trace->text, "bab");
    assert_false(loop_timer_is_running(&timers[0]));
}

static void a_stopped_timer_never_runs(void **state)
{
    struct trace *trace = *state;
    struct loop_timer a = {0};
    struct loop_timer b = {0};

    loop_timer_start(trace->loop, &a, 0, on_a, trace);
    loop_timer_start(trace->loop, &b, 2, on_b, trace);
    loop_timer_stop(&a);
    loop_timer_stop(&a);
    loop_run(trace->loop);
    assert_string_equal(trace->text, "b");
}

static void check_heap(const struct loop_timer *timers, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; timers[i].at != 0 && j < n; j++) {
            if (timers[j].at != 0 && timers[j].at == timers[i].at / 2) {
                assert_true(timers[j].due_ms <= timers[i].due_ms); /* parents are due first */
            }
        }
    }
}

static void timers_keep_their_order_whatever_is_stopped(void **state)
{
    enum { N = 500 };
    struct trace *trace = *state;
    struct testkit_random random = {.state = 7};
    struct loop_timer *timers = mem_array0(N, sizeof(*timers));

    for (int round = 0; round < 4000; round++) {
        struct loop_timer *timer = &timers[testkit_below(&random, N)];

        if (loop_timer_is_running(timer) && testkit_below(&random, 2) == 0) {
            loop_timer_stop(timer);
        } else {
            loop_timer_start(trace->loop, timer, testkit_below(&random, 1000000), on_a, trace);
        }
    }
    check_heap(timers, N);
    for (int i = 0; i < N; i++) {
        loop_timer_stop(&timers[i]);
    }
    free(timers);
}

static void on_defer_c(void *ctx)
{
    note(ctx, 'c');
}

static void on_defer_chain(void *ctx)
{
    struct trace *trace = ctx;

    note(trace, 'd');
    loop_defer(trace->loop, on_defer_c, trace);
}

static void on_defer_from_timer(struct loop_timer *timer, void *ctx)
{
    struct trace *trace = ctx;

    (void)timer;
    loop_defer(trace->loop, on_defer_chain, trace);
    note(trace, 't');
}

static void deferred_calls_run_when_the_stack_is_empty(void **state)
{
    struct trace *trace = *state;
    struct loop_timer timer = {0};
    struct loop_timer late = {0};

    loop_timer_start(trace->loop, &timer, 0, on_defer_from_timer, trace);
    loop_timer_start(trace->loop, &late, 5, on_b, trace);
    loop_run(trace->loop);
    assert_string_equal(trace->text, "tdcb");
}

struct pair {
    struct trace *trace;
    struct loop_fd *fd;
    int ends[2];
};

static void on_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    struct pair *pair = ctx;
    char c;

    assert_ptr_equal(fd, pair->fd);
    if ((events & LOOP_WRITE) != 0) {
        note(pair->trace, 'w');
        loop_fd_want(fd, LOOP_READ);
        assert_int_equal(write(pair->ends[1], "x", 1), 1);
    } else {
        assert_int_equal(read(pair->ends[0], &c, 1), 1);
        note(pair->trace, 'r');
        loop_fd_close(&pair->fd);
    }
}

static void a_descriptor_tells_when_it_is_ready_and_closes_itself(void **state)
{
    struct pair pair = {.trace = *state};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.ends), 0);
    assert_int_equal(loop_fd_new(pair.trace->loop, pair.ends[0], on_ready, &pair, &pair.fd, NULL),
                     0);
    loop_fd_want(pair.fd, LOOP_READ | LOOP_WRITE);
    loop_run(pair.trace->loop);
    assert_string_equal(pair.trace->text, "wr");
    assert_null(pair.fd);
    (void)close(pair.ends[0]);
    (void)close(pair.ends[1]);
}

static void on_work(void *ctx)
{
    *(int *)ctx = 42;
}

static void on_work_done(void *ctx)
{
    assert_int_equal(*(int *)ctx, 42);
    *(int *)ctx = 43;
}

static void work_runs_elsewhere_and_ends_on_the_loop(void **state)
{
    struct trace *trace = *state;
    int number = 0;

    loop_work(trace->loop, on_work, on_work_done, &number);
    loop_run(trace->loop);
    assert_int_equal(number, 43);
}

static void on_term(int number, void *ctx)
{
    struct trace *trace = ctx;

    assert_int_equal(number, SIGTERM);
    note(trace, 's');
    loop_stop(trace->loop);
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static void a_signal_stops_the_loop(void **state)
{
    struct trace *trace = *state;
    struct loop_timer far = {0};

    loop_on_signal(trace->loop, SIGTERM, on_term, trace);
    loop_timer_start(trace->loop, &far, 3600000, on_a, trace);
    (void)raise(SIGTERM);
    loop_run(trace->loop);
    assert_string_equal(trace->text, "s");
    loop_off_signal(trace->loop, trace);
    (void)raise(SIGTERM);
    assert_int_equal(loop_run_until(trace->loop, never, NULL, 1), 0);
    assert_string_equal(trace->text, "s");
    loop_timer_stop(&far);
}

static void backoff_doubles_up_to_its_limit_and_starts_over(void **state)
{
    struct loop_backoff backoff = {.first_ms = 1000, .most_ms = 30000};
    const int64_t want[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(loop_backoff_next_ms(&backoff, 12345), want[i]);
    }
    loop_backoff_reset(&backoff);
    backoff.jitter_percent = 25;
    for (uint32_t i = 0; i < 2000; i += 7) {
        backoff.tries = 2;
        assert_in_range(loop_backoff_next_ms(&backoff, i), 3000, 4000);
    }
}

/* A descriptor that is watched and never ready, so that only timers end a wait. */
struct quiet {
    struct trace *trace;
    int ends[2];
    struct loop_fd *fd;
    struct loop_timer timer;
    bool is_hit;
};

static void on_never_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    (void)fd;
    (void)events;
    (void)ctx;
}

static void on_hit(struct loop_timer *timer, void *ctx)
{
    struct quiet *quiet = ctx;

    (void)timer;
    quiet->is_hit = true;
}

static void on_stop(struct loop_timer *timer, void *ctx)
{
    (void)ctx;
    loop_stop(timer->loop);
}

static bool is_hit(void *ctx)
{
    return ((const struct quiet *)ctx)->is_hit;
}

static void what_a_timer_made_true_is_seen_at_once(void **state)
{
    struct quiet quiet = {.trace = *state};
    struct loop *loop = quiet.trace->loop;
    int64_t before;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, quiet.ends), 0);
    assert_int_equal(loop_fd_new(loop, quiet.ends[0], on_never_ready, NULL, &quiet.fd, NULL), 0);
    loop_fd_want(quiet.fd, LOOP_READ);
    before = clock_mono_ms();
    loop_timer_start(loop, &quiet.timer, 0, on_hit, &quiet);
    assert_int_equal(loop_run_until(loop, is_hit, &quiet, 30000), 1);
    quiet.is_hit = false;
    assert_int_equal(loop_run_until(loop, is_hit, &quiet, 0), 0); /* and so is the end of time */
    loop_timer_start(loop, &quiet.timer, 0, on_stop, &quiet);
    loop_run(loop);
    assert_true(clock_mono_ms() - before < 20000);
    loop_fd_close(&quiet.fd);
    (void)close(quiet.ends[0]);
    (void)close(quiet.ends[1]);
}

/* A call that defers itself again until a timer and a descriptor have had their turn. */
struct busy {
    struct quiet quiet; /* its timer hits */
    bool is_read;
    int n;
};

enum { BUSY_MAX = 1000000 }; /* so that it ends when they never have */

static void on_busy(void *ctx)
{
    struct busy *busy = ctx;

    if (++busy->n < BUSY_MAX && !(busy->is_read && busy->quiet.is_hit)) {
        loop_defer(busy->quiet.trace->loop, on_busy, busy);
    }
}

static void on_busy_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    struct busy *busy = ctx;

    assert_int_equal(events, LOOP_READ);
    busy->is_read = true;
    loop_fd_want(fd, 0);
}

static void a_call_that_defers_itself_again_keeps_nobody_waiting(void **state)
{
    struct busy busy = {.quiet = {.trace = *state}};
    struct quiet *quiet = &busy.quiet;
    struct loop *loop = quiet->trace->loop;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, quiet->ends), 0);
    assert_int_equal(loop_fd_new(loop, quiet->ends[0], on_busy_ready, &busy, &quiet->fd, NULL), 0);
    loop_fd_want(quiet->fd, LOOP_READ);
    assert_int_equal(write(quiet->ends[1], "x", 1), 1);
    loop_timer_start(loop, &quiet->timer, 0, on_hit, quiet);
    loop_defer(loop, on_busy, &busy);
    loop_run(loop);
    loop_fd_close(&quiet->fd);
    (void)close(quiet->ends[0]);
    (void)close(quiet->ends[1]);
    assert_true(busy.is_read && quiet->is_hit);
    assert_true(busy.n < BUSY_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_run_in_order_of_their_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stopped_timer_never_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timers_keep_their_order_whatever_is_stopped, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(deferred_calls_run_when_the_stack_is_empty, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_tells_when_it_is_ready_and_closes_itself,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(work_runs_elsewhere_and_ends_on_the_loop, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_signal_stops_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_timer_made_true_is_seen_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_that_defers_itself_again_keeps_nobody_waiting,
                                        set_up, tear_down),
        cmocka_unit_test(backoff_doubles_up_to_its_limit_and_starts_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
