#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "loop/loop_internal.h"

struct loop_fd {
    uv_poll_t uv;
    loop_fd_cb *fn;
    void *ctx;
    unsigned wanted;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_fd *fd = uv->data;
    unsigned ready = 0;

    if (status < 0) {
        ready = LOOP_READ | LOOP_WRITE;
    } else {
        ready |= (events & UV_READABLE) != 0 ? LOOP_READ : 0;
        ready |= (events & UV_WRITABLE) != 0 ? LOOP_WRITE : 0;
    }
    fd->fn(fd, ready, fd->ctx);
}

int loop_fd_new(struct loop *loop, int fd, loop_fd_cb *fn, void *ctx, struct loop_fd **out,
                struct err *err)
{
    struct loop_fd *made = mem_new0(sizeof(*made));
    int rc = loop_check_uv(uv_poll_init(&loop->uv, &made->uv, fd), "watching a descriptor", err);

    if (rc < 0) {
        free(made);
        return rc;
    }
    made->uv.data = made;
    made->fn = fn;
    made->ctx = ctx;
    *out = made;
    return 0;
}

void loop_fd_want(struct loop_fd *fd, unsigned events)
{
    int uv_events = ((events & LOOP_READ) != 0 ? UV_READABLE : 0) |
                    ((events & LOOP_WRITE) != 0 ? UV_WRITABLE : 0);

    if (events == fd->wanted) {
        return;
    }
    fd->wanted = events;
    if (events == 0) {
        (void)uv_poll_stop(&fd->uv);
    } else {
        (void)uv_poll_start(&fd->uv, uv_events, on_poll);
    }
}

static void on_closed(uv_handle_t *uv)
{
    free(uv->data);
}

void loop_fd_close(struct loop_fd **fd)
{
    struct loop_fd *gone = *fd;

    if (gone != NULL) {
        *fd = NULL;
        uv_close((uv_handle_t *)&gone->uv, on_closed);
    }
}
