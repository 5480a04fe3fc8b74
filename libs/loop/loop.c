#include "loop/loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/loop_internal.h"

struct loop_signal {
    uv_signal_t uv;
    loop_signal_cb *fn;
    void *ctx;
    struct loop_signal *next;
};

struct work {
    uv_work_t uv;
    struct loop *loop;
    loop_work_cb *work;
    loop_work_cb *done;
    void *ctx;
};

int loop_check_uv(int rc, const char *what, struct err *err)
{
    char text[96];

    if (rc >= 0) {
        return 0;
    }
    return err_set(err, ERR_SYSTEM, "%s: %s", what, uv_strerror_r(rc, text, sizeof(text)));
}

/* ---- deferred calls ---- */

/* Those that wait now. What they defer comes behind timers and descriptors, or a call that defers
 * itself again would keep these waiting for ever. */
static void run_deferred(struct loop *loop)
{
    size_t n = loop->n_deferred;

    for (size_t i = 0; i < n; i++) {
        struct loop_deferred call = loop->deferred[i];

        call.fn(call.ctx);
    }
    loop->n_deferred -= n;
    if (loop->n_deferred == 0) {
        (void)uv_idle_stop(&loop->idle);
    } else {
        memmove(loop->deferred, loop->deferred + n, loop->n_deferred * sizeof(*loop->deferred));
    }
}

static void on_idle(uv_idle_t *uv)
{
    (void)uv;
}

static void on_prepare(uv_prepare_t *uv)
{
    struct loop *loop = uv->data;

    run_deferred(loop);
    if (loop->stopping || loop->is_over ||
        (loop->is_done != NULL && loop->is_done(loop->is_done_ctx))) {
        (void)uv_idle_start(&loop->idle, on_idle); /* a timer made it so: do not wait now */
    }
}

static void on_check(uv_check_t *uv)
{
    run_deferred(uv->data);
}

void loop_defer(struct loop *loop, loop_defer_cb *fn, void *ctx)
{
    loop->deferred =
        mem_room(loop->deferred, loop->n_deferred, &loop->cap_deferred, sizeof(*loop->deferred));
    loop->deferred[loop->n_deferred++] = (struct loop_deferred){fn, ctx};
    (void)uv_idle_start(&loop->idle, on_idle);
}

void loop_free_later(struct loop *loop, void *p)
{
    loop_defer(loop, free, p);
}

/* ---- life ---- */

int loop_new(struct loop **out, struct err *err)
{
    struct loop *loop = mem_new0(sizeof(*loop));
    int rc = loop_check_uv(uv_loop_init(&loop->uv), "event loop", err);

    if (rc < 0) {
        free(loop);
        return rc;
    }
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_check_init(&loop->uv, &loop->check);
    (void)uv_idle_init(&loop->uv, &loop->idle);
    loop->prepare.data = loop->check.data = loop;
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    (void)uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    loop_timers_init(loop);
    *out = loop;
    return 0;
}

void loop_free(struct loop **loop)
{
    struct loop *gone = *loop;

    if (gone == NULL) {
        return;
    }
    do { /* what is deferred may begin work, and a thread still holds what its work was given */
        run_deferred(gone);
        while (gone->n_working > 0) {
            (void)uv_run(&gone->uv, UV_RUN_ONCE);
        }
    } while (gone->n_deferred > 0);
    loop_timers_done(gone);
    uv_close((uv_handle_t *)&gone->prepare, NULL);
    uv_close((uv_handle_t *)&gone->check, NULL);
    uv_close((uv_handle_t *)&gone->idle, NULL);
    for (struct loop_signal *signal = gone->signals; signal != NULL; signal = signal->next) {
        uv_close((uv_handle_t *)&signal->uv, NULL);
    }
    (void)uv_run(&gone->uv, UV_RUN_NOWAIT);
    if (uv_loop_close(&gone->uv) != 0) {
        uv_print_all_handles(&gone->uv, stderr);
        assert(false && "a handle of this loop was never closed");
    }
    while (gone->signals != NULL) {
        struct loop_signal *signal = gone->signals;

        gone->signals = signal->next;
        free(signal);
    }
    free(gone->deferred);
    free(gone);
    *loop = NULL;
}

/* One turn; false when nothing is left to wait for. */
static bool turn(struct loop *loop)
{
    bool alive = uv_run(&loop->uv, UV_RUN_ONCE) != 0;

    run_deferred(loop); /* what close callbacks, which libuv runs last, left */
    return alive || uv_loop_alive(&loop->uv) != 0;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping && turn(loop)) {
    }
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    (void)uv_idle_start(&loop->idle, on_idle); /* do not wait */
}

static void on_limit(struct loop_timer *timer, void *ctx)
{
    (void)ctx;
    timer->loop->is_over = true;
}

int loop_run_until(struct loop *loop, bool (*is_done)(void *ctx), void *ctx, int64_t timeout_ms)
{
    struct loop_timer limit = {0};
    bool done = is_done(ctx);

    uv_update_time(&loop->uv);
    loop_timer_start(loop, &limit, timeout_ms, on_limit, NULL);
    loop->is_over = false;
    loop->is_done = is_done;
    loop->is_done_ctx = ctx;
    while (!done && !loop->is_over && turn(loop)) {
        done = is_done(ctx);
    }
    loop->is_done = NULL;
    loop->is_over = false;
    loop_timer_stop(&limit);
    return done ? 1 : 0;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

/* ---- threads of the pool, signals ---- */

static void on_work(uv_work_t *uv)
{
    struct work *work = uv->data;

    work->work(work->ctx);
}

static void on_work_done(uv_work_t *uv, int status)
{
    struct work *work = uv->data;

    (void)status; /* never cancelled */
    work->loop->n_working--;
    work->done(work->ctx);
    free(work);
}

void loop_work(struct loop *loop, loop_work_cb *work, loop_work_cb *done, void *ctx)
{
    struct work *request = mem_new0(sizeof(*request));

    *request = (struct work){.loop = loop, .work = work, .done = done, .ctx = ctx};
    loop->n_working++;
    request->uv.data = request;
    (void)uv_queue_work(&loop->uv, &request->uv, on_work, on_work_done);
}

static void on_signal(uv_signal_t *uv, int number)
{
    struct loop_signal *signal = uv->data;

    if (signal->fn != NULL) {
        signal->fn(number, signal->ctx);
    }
}

void loop_on_signal(struct loop *loop, int number, loop_signal_cb *fn, void *ctx)
{
    struct loop_signal *signal = mem_new0(sizeof(*signal));

    signal->fn = fn;
    signal->ctx = ctx;
    signal->next = loop->signals;
    loop->signals = signal;
    (void)uv_signal_init(&loop->uv, &signal->uv);
    signal->uv.data = signal;
    (void)uv_signal_start(&signal->uv, on_signal, number);
    uv_unref((uv_handle_t *)&signal->uv);
}

void loop_off_signal(struct loop *loop, const void *ctx)
{
    for (struct loop_signal *signal = loop->signals; signal != NULL; signal = signal->next) {
        if (signal->ctx == ctx) {
            signal->fn = NULL;
        }
    }
}
