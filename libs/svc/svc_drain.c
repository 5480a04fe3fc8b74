#include "svc/svc_drain.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "svc/svc_exit.h"

/* a signal that follows sooner is a repetition of the first, not an order to hurry */
enum { REPEAT_MS = 1000 };

struct svc_drain {
    struct loop *loop;
    int64_t timeout_ms;
    svc_drain_cb *fn;
    void *ctx;
    bool has_begun;
    int64_t begun_ms;
    struct loop_timer deadline;
};

static void on_deadline(struct loop_timer *timer, void *ctx)
{
    const struct svc_drain *drain = ctx;

    (void)timer;
    log_error("drain deadline passed", LOG_INT("ms", drain->timeout_ms));
    _exit(SVC_EXIT_DRAIN_TIMEOUT);
}

static void on_signal(int number, void *ctx)
{
    struct svc_drain *drain = ctx;

    if (drain->has_begun && loop_now_ms(drain->loop) - drain->begun_ms >= REPEAT_MS) {
        log_warn("second signal: ending now", LOG_INT("signal", number));
        _exit(SVC_EXIT_DRAIN_TIMEOUT);
    }
    if (drain->has_begun) {
        return;
    }
    log_info("signal: draining", LOG_INT("signal", number));
    svc_drain_begin(drain);
}

struct svc_drain *svc_drain_new(struct loop *loop, int64_t timeout_ms, svc_drain_cb *fn, void *ctx)
{
    struct svc_drain *drain = mem_new0(sizeof(*drain));

    drain->loop = loop;
    drain->timeout_ms = timeout_ms;
    drain->fn = fn;
    drain->ctx = ctx;
    loop_on_signal(loop, SIGTERM, on_signal, drain);
    loop_on_signal(loop, SIGINT, on_signal, drain);
    return drain;
}

void svc_drain_begin(struct svc_drain *drain)
{
    if (!drain->has_begun) {
        drain->has_begun = true;
        drain->begun_ms = loop_now_ms(drain->loop);
        loop_timer_start(drain->loop, &drain->deadline, drain->timeout_ms, on_deadline, drain);
        drain->fn(drain->ctx);
    }
}

void svc_drain_free(struct svc_drain **drain)
{
    if (*drain != NULL) {
        loop_off_signal((*drain)->loop, *drain);
        loop_timer_stop(&(*drain)->deadline);
        free(*drain);
        *drain = NULL;
    }
}
