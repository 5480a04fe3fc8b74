/* loop: one event loop per thread (wraps libuv): readiness of descriptors, timers, work for later.
 *
 * All calls belong to the thread that runs the loop, except those of loop_wake.h that say
 * otherwise. No callback runs before the call that set it returns; none runs after the object was
 * stopped or closed. A callback may close its own object: memory goes at the end of the turn. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct loop;
struct loop_fd;
struct uv_loop_s;

/* Gives *@out (loop_free). -ERR_SYSTEM when the system has no descriptors left. */
NODISCARD int loop_new(struct loop **out, struct err *err);

/* Waits for loop_work under way, runs what is deferred, ends all that is left of the loop's own and
 * sets *@loop to NULL. Every loop_fd, loop_wake and loop_gate must be closed and every timer
 * stopped before. */
void loop_free(struct loop **loop);

/* Run callbacks until loop_stop, or until nothing is left that could cause one. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* loop_run returns at the end of this turn */

/* Run until @is_done(@ctx) says true: 1; or until @timeout_ms went by: 0. For tests and start-up.
 */
NODISCARD int loop_run_until(struct loop *loop, bool (*is_done)(void *ctx), void *ctx,
                             int64_t timeout_ms);

int64_t loop_now_ms(const struct loop *loop); /* monotonic, read once per turn */

/* ---- for later ---- */

typedef void loop_defer_cb(void *ctx);

/* Call @fn(@ctx) once, at the end of this turn, when nothing else is on the stack: this is how an
 * object frees itself from within its own callback. Calls run in the order in which they were
 * deferred; one that a deferred call defers waits for the timers and descriptors that are ready.
 * Cannot be taken back. */
void loop_defer(struct loop *loop, loop_defer_cb *fn, void *ctx);
void loop_free_later(struct loop *loop, void *p); /* free(@p) at the end of this turn */

typedef void loop_work_cb(void *ctx);

/* Run @work(@ctx) on a thread of libuv's pool, then @done(@ctx) on the loop. For long computations
 * and blocking calls; the two share nothing but @ctx. Keeps the loop running until done. */
void loop_work(struct loop *loop, loop_work_cb *work, loop_work_cb *done, void *ctx);

typedef void loop_signal_cb(int number, void *ctx);

/* Call @fn for each arrival of signal @number until loop_free. Does not keep the loop running. */
void loop_on_signal(struct loop *loop, int number, loop_signal_cb *fn, void *ctx);
/* No more calls with @ctx; the signals are ignored from then on, until loop_free. */
void loop_off_signal(struct loop *loop, const void *ctx);

/* ---- timers: in the caller's memory; all-zero is a stopped one ---- */

struct loop_timer;
typedef void loop_timer_cb(struct loop_timer *timer, void *ctx);

struct loop_timer {
    struct loop *loop;
    loop_timer_cb *fn;
    void *ctx;
    int64_t due_ms; /* loop_now_ms() at which it runs */
    size_t at;      /* 1 + place in the loop's heap; 0 when stopped */
};

/* Call @fn(@timer, @ctx) once, @delay_ms (0 or more) from now. Starting it again moves it. The
 * memory must stay until it ran or was stopped. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_ms,
                      loop_timer_cb *fn, void *ctx);
void loop_timer_stop(struct loop_timer *timer); /* fine on a stopped one */
bool loop_timer_is_running(const struct loop_timer *timer);

/* ---- descriptors ---- */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/* @events: what is ready now, LOOP_READ and LOOP_WRITE; both when the descriptor is in error, so
 * that the next read or write shows it. */
typedef void loop_fd_cb(struct loop_fd *fd, unsigned events, void *ctx);

/* Watch @fd (non-blocking; the caller's, who closes it after loop_fd_close) for nothing yet. Gives
 * *@out. -ERR_SYSTEM when it cannot be watched (a plain file, or watched already). */
NODISCARD int loop_fd_new(struct loop *loop, int fd, loop_fd_cb *fn, void *ctx,
                          struct loop_fd **out, struct err *err);
void loop_fd_want(struct loop_fd *fd, unsigned events); /* level-triggered; 0 pauses */
void loop_fd_close(struct loop_fd **fd); /* at once, sets *@fd to NULL; NULL is fine */

#endif
