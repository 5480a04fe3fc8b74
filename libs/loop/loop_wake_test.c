#include "loop/loop_wake.h"

#include <pthread.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

struct sink {
    struct loop *loop;
    struct loop_gate *gate;
    struct loop_wake *wake;
    size_t n;
    int number;
};

static void on_wake(void *ctx)
{
    struct sink *sink = ctx;

    sink->n++;
    loop_wake_close(&sink->wake);
}

static void bytes_written_by_another_library_wake_the_loop(void **state)
{
    struct sink sink = {0};

    (void)state;
    assert_int_equal(loop_new(&sink.loop, NULL), 0);
    assert_int_equal(loop_wake_new(sink.loop, on_wake, &sink, &sink.wake, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(loop_wake_fd(sink.wake), &loop_wake_payload, LOOP_WAKE_SIZE),
                         LOOP_WAKE_SIZE);
    }
    loop_run(sink.loop);
    assert_int_equal(sink.n, 1);
    loop_free(&sink.loop);
}

static void add_one(void *ctx)
{
    ((struct sink *)ctx)->number++;
}

static void shut_it(void *ctx)
{
    struct sink *sink = ctx;

    loop_gate_shut(sink->gate);
    loop_stop(sink->loop);
}

static void *call_often(void *ctx)
{
    struct sink *sink = ctx;

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(loop_gate_call(sink->gate, add_one, sink), 0);
    }
    assert_int_equal(loop_gate_call(sink->gate, shut_it, sink), 0);
    assert_int_equal(loop_gate_call(sink->gate, add_one, sink), -ERR_CLOSED);
    return NULL;
}

static void a_thread_has_work_done_on_the_loop_until_the_gate_shuts(void **state)
{
    struct sink sink = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(loop_new(&sink.loop, NULL), 0);
    assert_int_equal(loop_gate_new(sink.loop, &sink.gate, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_often, &sink), 0);
    loop_run(sink.loop);
    (void)pthread_join(thread, NULL);
    assert_int_equal(sink.number, 1000);
    loop_gate_close(&sink.gate);
    loop_free(&sink.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_written_by_another_library_wake_the_loop),
        cmocka_unit_test(a_thread_has_work_done_on_the_loop_until_the_gate_shuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
