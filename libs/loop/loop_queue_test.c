#include "loop/loop_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

enum { ITEMS = 20000, THREADS = 3 };

struct item {
    unsigned thread;
    unsigned value;
};

struct sink {
    struct loop *loop;
    struct loop_queue *queue;
    struct loop_gate *gate;
    struct loop_wake *wake;
    unsigned last[THREADS];
    size_t n;
    int number;
};

static void on_item(void *item, void *ctx)
{
    const struct item *came = item;
    struct sink *sink = ctx;

    assert_true(came->value > sink->last[came->thread]); /* in order for each writer */
    sink->last[came->thread] = came->value;
    sink->n++;
}

struct writer {
    struct sink *sink;
    struct item items[ITEMS];
};

static void *write_items(void *ctx)
{
    struct writer *writer = ctx;

    for (size_t i = 0; i < ITEMS; i++) {
        while (loop_queue_push(writer->sink->queue, &writer->items[i]) == -ERR_LIMIT) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static bool all_came(void *ctx)
{
    return ((struct sink *)ctx)->n == (size_t)THREADS * ITEMS;
}

static void items_of_many_threads_all_arrive_in_order(void **state)
{
    struct sink sink = {0};
    struct writer *writers = mem_array0(THREADS, sizeof(*writers));
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(loop_new(&sink.loop, NULL), 0);
    assert_int_equal(loop_queue_new(sink.loop, 100, on_item, &sink, &sink.queue, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i].sink = &sink;
        for (unsigned j = 0; j < ITEMS; j++) {
            writers[i].items[j] = (struct item){i, j + 1};
        }
        assert_int_equal(pthread_create(&threads[i], NULL, write_items, &writers[i]), 0);
    }
    assert_int_equal(loop_run_until(sink.loop, all_came, &sink, 30000), 1);
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    loop_queue_close(&sink.queue);
    loop_free(&sink.loop);
    free(writers);
}

static void a_full_queue_refuses_and_closing_gives_the_rest(void **state)
{
    struct sink sink = {0};
    struct item items[3] = {{0, 1}, {0, 2}, {0, 3}};

    (void)state;
    assert_int_equal(loop_new(&sink.loop, NULL), 0);
    assert_int_equal(loop_queue_new(sink.loop, 2, on_item, &sink, &sink.queue, NULL), 0);
    assert_int_equal(loop_queue_push(sink.queue, &items[0]), 0);
    assert_int_equal(loop_queue_push(sink.queue, &items[1]), 0);
    assert_int_equal(loop_queue_push(sink.queue, &items[2]), -ERR_LIMIT);
    assert_int_equal(loop_queue_length(sink.queue), 2);
    loop_queue_close(&sink.queue);
    assert_int_equal(sink.n, 2);
    loop_free(&sink.loop);
}

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
        cmocka_unit_test(items_of_many_threads_all_arrive_in_order),
        cmocka_unit_test(a_full_queue_refuses_and_closing_gives_the_rest),
        cmocka_unit_test(bytes_written_by_another_library_wake_the_loop),
        cmocka_unit_test(a_thread_has_work_done_on_the_loop_until_the_gate_shuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
