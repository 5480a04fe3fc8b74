#include "loop/loop_wake.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/loop.h"

/* ---- wake ---- */

struct loop_wake {
    struct loop *loop;
    struct loop_fd *watch;
    int fd;
    loop_wake_cb *fn;
    void *ctx;
};

const uint64_t loop_wake_payload = 1;

static void on_event(struct loop_fd *fd, unsigned events, void *ctx)
{
    struct loop_wake *wake = ctx;
    uint64_t count;

    (void)fd;
    (void)events;
    if (read(wake->fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
        wake->fn(wake->ctx);
    }
}

int loop_wake_new(struct loop *loop, loop_wake_cb *fn, void *ctx, struct loop_wake **out,
                  struct err *err)
{
    struct loop_wake *wake = mem_new0(sizeof(*wake));
    int rc;

    *wake = (struct loop_wake){.loop = loop, .fn = fn, .ctx = ctx};
    wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake->fd < 0) {
        rc = err_set(err, ERR_SYSTEM, "eventfd: errno %d", errno);
        goto out;
    }
    rc = loop_fd_new(loop, wake->fd, on_event, wake, &wake->watch, err);
    if (rc < 0) {
        goto out;
    }
    loop_fd_want(wake->watch, LOOP_READ);
    *out = wake;
    wake = NULL;
out:
    if (wake != NULL && wake->fd >= 0) {
        (void)close(wake->fd);
    }
    free(wake);
    return rc;
}

void loop_wake_signal(struct loop_wake *wake)
{
    ssize_t n;

    do { /* EAGAIN means that the counter is full: a wake-up is on its way anyhow */
        n = write(wake->fd, &loop_wake_payload, LOOP_WAKE_SIZE);
    } while (n < 0 && errno == EINTR);
}

int loop_wake_fd(const struct loop_wake *wake)
{
    return wake->fd;
}

void loop_wake_close(struct loop_wake **wake)
{
    struct loop_wake *gone = *wake;

    if (gone == NULL) {
        return;
    }
    *wake = NULL;
    loop_fd_close(&gone->watch);
    (void)close(gone->fd);
    loop_free_later(gone->loop, gone);
}

/* ---- gate ---- */

enum call_state { CALL_WAITING, CALL_RUNNING, CALL_DONE, CALL_REFUSED };

struct call {
    loop_gate_cb *fn;
    void *ctx;
    struct call *next;
    enum call_state state;
};

struct loop_gate {
    struct loop *loop;
    struct loop_wake *wake;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct call *first;
    struct call **last;
    bool shut;
};

static void set_state(struct loop_gate *gate, struct call *call, enum call_state state)
{
    (void)pthread_mutex_lock(&gate->lock);
    call->state = state;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

static struct call *take_call(struct loop_gate *gate)
{
    struct call *call;

    (void)pthread_mutex_lock(&gate->lock);
    call = gate->first;
    if (call != NULL) {
        gate->first = call->next;
        if (gate->first == NULL) {
            gate->last = &gate->first;
        }
        call->state = CALL_RUNNING;
    }
    (void)pthread_mutex_unlock(&gate->lock);
    return call;
}

static void on_calls(void *ctx)
{
    struct loop_gate *gate = ctx;
    struct call *call;

    while ((call = take_call(gate)) != NULL) {
        call->fn(call->ctx);
        set_state(gate, call, CALL_DONE);
    }
}

int loop_gate_new(struct loop *loop, struct loop_gate **out, struct err *err)
{
    struct loop_gate *gate = mem_new0(sizeof(*gate));
    int rc = loop_wake_new(loop, on_calls, gate, &gate->wake, err);

    if (rc < 0) {
        free(gate);
        return rc;
    }
    gate->loop = loop;
    gate->last = &gate->first;
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->changed, NULL);
    *out = gate;
    return 0;
}

int loop_gate_call(struct loop_gate *gate, loop_gate_cb *fn, void *ctx)
{
    struct call call = {.fn = fn, .ctx = ctx};

    (void)pthread_mutex_lock(&gate->lock);
    if (gate->shut) {
        (void)pthread_mutex_unlock(&gate->lock);
        return -ERR_CLOSED;
    }
    *gate->last = &call;
    gate->last = &call.next;
    loop_wake_signal(gate->wake);
    while (call.state == CALL_WAITING || call.state == CALL_RUNNING) {
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    }
    (void)pthread_mutex_unlock(&gate->lock);
    return call.state == CALL_DONE ? 0 : -ERR_CLOSED;
}

void loop_gate_shut(struct loop_gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->shut = true;
    for (struct call *call = gate->first; call != NULL; call = call->next) {
        call->state = CALL_REFUSED;
    }
    gate->first = NULL;
    gate->last = &gate->first;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void gate_free(void *ctx)
{
    struct loop_gate *gate = ctx;

    (void)pthread_mutex_destroy(&gate->lock);
    (void)pthread_cond_destroy(&gate->changed);
    free(gate);
}

void loop_gate_close(struct loop_gate **gate)
{
    struct loop_gate *gone = *gate;

    if (gone == NULL) {
        return;
    }
    *gate = NULL;
    loop_gate_shut(gone);
    loop_wake_close(&gone->wake);
    loop_defer(gone->loop, gate_free, gone);
}
