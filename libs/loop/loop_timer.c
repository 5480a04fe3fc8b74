/* Timers: a binary heap of the callers' structs, ordered by due time; ties run in heap order. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "loop/loop.h"
#include "loop/loop_internal.h"

static void put(struct loop *loop, size_t at, struct loop_timer *timer)
{
    loop->heap[at] = timer;
    timer->at = at + 1;
}

static void sift_up(struct loop *loop, size_t at)
{
    struct loop_timer *timer = loop->heap[at];

    while (at > 0 && loop->heap[(at - 1) / 2]->due_ms > timer->due_ms) {
        put(loop, at, loop->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(loop, at, timer);
}

static void sift_down(struct loop *loop, size_t at)
{
    struct loop_timer *timer = loop->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < loop->n_heap && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms) {
            child++;
        }
        if (child >= loop->n_heap || loop->heap[child]->due_ms >= timer->due_ms) {
            break;
        }
        put(loop, at, loop->heap[child]);
        at = child;
    }
    put(loop, at, timer);
}

static void on_alarm(uv_timer_t *uv);

static void arm(struct loop *loop)
{
    int64_t now = loop_now_ms(loop);

    if (loop->n_heap == 0) {
        (void)uv_timer_stop(&loop->alarm);
        return;
    }
    now = loop->heap[0]->due_ms > now ? loop->heap[0]->due_ms - now : 0;
    (void)uv_timer_start(&loop->alarm, on_alarm, (uint64_t)now, 0);
}

static void take_out(struct loop *loop, size_t at)
{
    struct loop_timer *last = loop->heap[--loop->n_heap];

    loop->heap[at]->at = 0;
    if (at < loop->n_heap) {
        put(loop, at, last);
        sift_down(loop, at);
        sift_up(loop, last->at - 1);
    }
}

static void on_alarm(uv_timer_t *uv)
{
    struct loop *loop = uv->data;
    int64_t now = loop_now_ms(loop);
    size_t most = loop->n_heap; /* one that starts itself anew with 0 ms waits for the next turn */

    while (most-- > 0 && loop->n_heap > 0 && loop->heap[0]->due_ms <= now) {
        struct loop_timer *timer = loop->heap[0];

        take_out(loop, 0);
        timer->fn(timer, timer->ctx);
    }
    arm(loop);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_ms,
                      loop_timer_cb *fn, void *ctx)
{
    assert(delay_ms >= 0);
    loop_timer_stop(timer);
    loop->heap = mem_room(loop->heap, loop->n_heap, &loop->cap_heap, sizeof(struct loop_timer *));
    *timer = (struct loop_timer){
        .loop = loop, .fn = fn, .ctx = ctx, .due_ms = loop_now_ms(loop) + delay_ms};
    put(loop, loop->n_heap++, timer);
    sift_up(loop, timer->at - 1);
    if (timer->at == 1) {
        arm(loop);
    }
}

void loop_timer_stop(struct loop_timer *timer)
{
    bool first = timer->at == 1;

    if (timer->at == 0) {
        return;
    }
    take_out(timer->loop, timer->at - 1);
    if (first) {
        arm(timer->loop);
    }
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
    return timer->at != 0;
}

void loop_timers_init(struct loop *loop)
{
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    loop->alarm.data = loop;
}

void loop_timers_done(struct loop *loop)
{
    assert(loop->n_heap == 0); /* a timer still running would be left in freed memory */
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    free(loop->heap);
    loop->heap = NULL;
}
