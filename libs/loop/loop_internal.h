/* loop_internal: what the files of this folder share. */
#ifndef LOOP_LOOP_INTERNAL_H
#define LOOP_LOOP_INTERNAL_H

#include <uv.h>

#include "loop/loop.h"

struct loop_deferred {
    loop_defer_cb *fn;
    void *ctx;
};

struct loop_signal;

struct loop {
    uv_loop_t uv;
    bool stopping;
    bool (*is_done)(void *ctx); /* of loop_run_until */
    void *is_done_ctx;
    bool is_over; /* its time is */

    /* deferred calls: run before and after each wait; idle runs while there are any, so that the
     * wait between them is none */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    struct loop_deferred *deferred;
    size_t n_deferred;
    size_t cap_deferred;

    /* timers: a binary heap by due time, the earliest armed in the one uv timer */
    uv_timer_t alarm;
    struct loop_timer **heap;
    size_t n_heap;
    size_t cap_heap;

    struct loop_signal *signals;
    size_t n_working; /* loop_work under way */
};

/* -ERR_SYSTEM with libuv's text for a negative @rc, 0 otherwise. */
int loop_check_uv(int rc, const char *what, struct err *err);

void loop_timers_init(struct loop *loop);
void loop_timers_done(struct loop *loop);

#endif
