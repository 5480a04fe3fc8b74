#include "ws/ws.h"

#include <assert.h>
#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "ws/ws_internal.h"

enum {
    READ_SIZE = 16384, /* a whole TLS record, so that none stays behind inside OpenSSL */
    READS_PER_TURN = 8,
    END_TIMEOUT_MS = 5000, /* for a peer to take the last bytes */
};

/* ---- wslay's callbacks: it reads from ws->chunk and writes into ws->out ---- */

static ssize_t on_wslay_recv(wslay_event_context_ptr wslay, uint8_t *p, size_t n, int flags,
                             void *ctx)
{
    struct ws *ws = ctx;
    size_t part = ws->chunk.n < n ? ws->chunk.n : n;

    (void)flags;
    if (part == 0 || ws->phase != WS_OPEN) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(p, ws->chunk.p, part);
    ws->chunk.p += part;
    ws->chunk.n -= part;
    return (ssize_t)part;
}

static ssize_t on_wslay_send(wslay_event_context_ptr wslay, const uint8_t *p, size_t n, int flags,
                             void *ctx)
{
    struct ws *ws = ctx;

    (void)wslay;
    (void)flags;
    buf_add(&ws->out, p, n);
    return (ssize_t)n;
}

static int on_wslay_mask(wslay_event_context_ptr wslay, uint8_t *p, size_t n, void *ctx)
{
    (void)wslay;
    (void)ctx;
    return RAND_bytes(p, (int)n) == 1 ? 0 : -1;
}

static void on_wslay_message(wslay_event_context_ptr wslay,
                             const struct wslay_event_on_msg_recv_arg *arg, void *ctx)
{
    struct ws *ws = ctx;

    (void)wslay;
    if (ws->phase != WS_OPEN) {
        return;
    }
    if (arg->opcode == WSLAY_TEXT_FRAME) {
        struct err err = {0};

        (void)err_set(&err, ERR_INVALID, "a text message");
        (void)wslay_event_queue_close(ws->wslay, WSLAY_CODE_UNSUPPORTED_DATA, NULL, 0);
        (void)wslay_event_send(ws->wslay);
        ws_end(ws, &err);
    } else if (arg->opcode == WSLAY_BINARY_FRAME && ws->handlers != NULL) {
        ws->handlers->on_message(ws, (struct bytes){arg->msg, arg->msg_length}, ws->ctx);
    }
}

static const struct wslay_event_callbacks wslay_callbacks = {
    .recv_callback = on_wslay_recv,
    .send_callback = on_wslay_send,
    .genmask_callback = on_wslay_mask,
    .on_msg_recv_callback = on_wslay_message,
};

/* ---- life ---- */

struct ws *ws_new(struct loop *loop, size_t message_max, bool is_server)
{
    struct ws *ws = mem_new0(sizeof(*ws));

    ws->loop = loop;
    ws->fd = -1;
    ws->message_max = message_max == 0 ? WS_MESSAGE_MAX : message_max;
    ws->is_server = is_server;
    return ws;
}

static void free_ws(void *ctx)
{
    struct ws *ws = ctx;

    wslay_event_context_free(ws->wslay);
    buf_done(&ws->in);
    buf_done(&ws->out);
    free(ws->why);
    free(ws);
}

/* Let go of everything outside; only the memory stays. */
static void drop(struct ws *ws)
{
    ws->phase = WS_DEAD;
    loop_timer_stop(&ws->timeout);
    ws_dial_stop(ws);
    ws_server_forget(ws);
    loop_fd_close(&ws->watch);
    ws_tls_detach(&ws->ssl);
    if (ws->fd >= 0) {
        (void)close(ws->fd);
        ws->fd = -1;
    }
    buf_done(&ws->in);
    buf_done(&ws->out);
    ws->out_at = 0;
    ws->chunk = (struct bytes){0};
}

void ws_fail(struct ws *ws, const struct err *why)
{
    bool was_given = !ws->is_server || ws->server == NULL;

    if (ws->phase == WS_DEAD) {
        return;
    }
    drop(ws);
    if (!was_given) { /* nobody knows it yet */
        loop_defer(ws->loop, free_ws, ws);
    } else if (ws->handlers != NULL) {
        ws->handlers->on_closed(ws, why, ws->ctx);
    }
}

void ws_set_handlers(struct ws *ws, const struct ws_handlers *handlers, void *ctx)
{
    ws->handlers = handlers;
    ws->ctx = ctx;
}

/* ---- writing ---- */

static ssize_t write_some(struct ws *ws, struct err *err)
{
    ssize_t n;

    if (ws->ssl != NULL) {
        return ws_tls_write(ws->ssl, ws->out.p + ws->out_at, ws_unsent(ws), err);
    }
    n = send(ws->fd, ws->out.p + ws->out_at, ws_unsent(ws), MSG_NOSIGNAL);
    if (n >= 0) {
        return n;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return WS_IO_WANT_WRITE;
    }
    (void)err_set(err, ERR_CLOSED, "writing: errno %d", errno);
    return WS_IO_ERROR;
}

/* Write what the system takes. False when the connection is over. */
static bool flush(struct ws *ws)
{
    struct err err = {0};
    ssize_t n = 0;

    ws->tls_wants_read = false;
    while (ws_unsent(ws) > 0 && (n = write_some(ws, &err)) > 0) {
        ws->out_at += (size_t)n;
    }
    if (n == WS_IO_ERROR || n == WS_IO_END) {
        ws_fail(ws, &err);
        return false;
    }
    ws->tls_wants_read = n == WS_IO_WANT_READ;
    if (ws_unsent(ws) > 0) {
        return true;
    }
    buf_done(&ws->out); /* most connections are idle most of the time */
    ws->out_at = 0;
    if (ws->phase == WS_ENDING) {
        ws_fail(ws, ws->why);
        return false;
    }
    return true;
}

static void on_deferred_flush(void *ctx)
{
    struct ws *ws = ctx;

    ws->flush_is_deferred = false;
    if (ws->phase != WS_DEAD && flush(ws)) {
        ws_want(ws);
    }
}

static void flush_later(struct ws *ws)
{
    if (!ws->flush_is_deferred) {
        ws->flush_is_deferred = true;
        loop_defer(ws->loop, on_deferred_flush, ws);
    }
}

static void on_end_timeout(struct loop_timer *timer, void *ctx)
{
    struct ws *ws = ctx;

    (void)timer;
    ws_fail(ws, ws->why);
}

void ws_end(struct ws *ws, const struct err *why)
{
    if (ws->phase != WS_DEAD && ws->phase != WS_ENDING) {
        ws->phase = WS_ENDING;
        ws->why = mem_dup(why, sizeof(*why));
        loop_timer_start(ws->loop, &ws->timeout, END_TIMEOUT_MS, on_end_timeout, ws);
        flush_later(ws);
    }
}

int ws_send(struct ws *ws, struct bytes message, struct err *err)
{
    struct wslay_event_msg msg = {WSLAY_BINARY_FRAME, message.p, message.n};

    if (ws->phase != WS_OPEN) {
        return err_set(err, ERR_CLOSED, "the websocket is not open");
    }
    if (message.n > WS_UNSENT_MAX || ws_unsent(ws) > WS_UNSENT_MAX - message.n) {
        return err_set(err, ERR_LIMIT, "over %d bytes wait to be sent", WS_UNSENT_MAX);
    }
    if (wslay_event_queue_msg(ws->wslay, &msg) != 0 || wslay_event_send(ws->wslay) != 0) {
        return err_set(err, ERR_CLOSED, "the websocket is closing");
    }
    flush_later(ws);
    return 0;
}

size_t ws_unsent(const struct ws *ws)
{
    return ws->out.n - ws->out_at;
}

/* ---- reading ---- */

static ssize_t read_some(struct ws *ws, uint8_t *p, size_t n, struct err *err)
{
    ssize_t got;

    if (ws->ssl != NULL) {
        return ws_tls_read(ws->ssl, p, n, err);
    }
    got = recv(ws->fd, p, n, 0);
    if (got > 0) {
        return got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return WS_IO_WANT_READ;
    }
    (void)err_set(err, ERR_CLOSED,
                  got == 0 ? "the other side closed the connection" : "the connection was reset");
    return got == 0 ? WS_IO_END : WS_IO_ERROR;
}

/* Why wslay reads no further, after what it did about it. */
static void end_of_messages(struct ws *ws)
{
    struct err err = {0};

    (void)wslay_event_send(ws->wslay); /* its close frame */
    if (wslay_event_get_close_received(ws->wslay) != 0) {
        (void)err_set(&err, ERR_CLOSED, "the other side closed with code %u",
                      (unsigned)wslay_event_get_status_code_received(ws->wslay));
    } else if (wslay_event_get_status_code_sent(ws->wslay) == WSLAY_CODE_MESSAGE_TOO_BIG) {
        (void)err_set(&err, ERR_LIMIT, "a message over %zu bytes", ws->message_max);
    } else {
        (void)err_set(&err, ERR_INVALID, "a malformed websocket frame");
    }
    ws_end(ws, &err);
}

static void feed(struct ws *ws, struct bytes chunk)
{
    int rc;

    ws->chunk = chunk;
    rc = wslay_event_recv(ws->wslay);
    ws->chunk = (struct bytes){0};
    if (ws->phase != WS_OPEN) {
        return;
    }
    if (rc != 0 || wslay_event_get_read_enabled(ws->wslay) == 0) {
        end_of_messages(ws);
    } else if (wslay_event_want_write(ws->wslay) != 0) { /* pongs */
        if (ws_unsent(ws) > WS_UNSENT_MAX || wslay_event_send(ws->wslay) != 0) {
            struct err err = {0};

            (void)err_set(&err, ERR_LIMIT, "over %d bytes wait to be sent", WS_UNSENT_MAX);
            ws_fail(ws, &err);
            return;
        }
        flush_later(ws);
    }
}

void ws_opened(struct ws *ws, struct bytes rest)
{
    struct buf early = {0};
    int rc = ws->is_server ? wslay_event_context_server_init(&ws->wslay, &wslay_callbacks, ws)
                           : wslay_event_context_client_init(&ws->wslay, &wslay_callbacks, ws);

    if (rc != 0) {
        abort(); /* out of memory */
    }
    wslay_event_config_set_max_recv_msg_length(ws->wslay, ws->message_max);
    loop_timer_stop(&ws->timeout);
    ws_dial_stop(ws);
    buf_add(&early, rest.p, rest.n); /* the owner may close, which frees ws->in */
    buf_done(&ws->in);
    ws->phase = WS_OPEN;
    if (ws->is_server) {
        ws_server_forget(ws); /* and gives it to the owner */
    } else if (ws->handlers->on_open != NULL) {
        ws->handlers->on_open(ws, ws->ctx);
    }
    if (ws->phase == WS_OPEN && early.n > 0) {
        feed(ws, buf_bytes(&early));
    }
    buf_done(&early);
}

static void got_bytes(struct ws *ws, struct bytes bytes)
{
    if (ws->phase == WS_OPEN) {
        feed(ws, bytes);
    } else if (ws->phase == WS_UPGRADE) {
        buf_add(&ws->in, bytes.p, bytes.n);
        if (ws->is_server) {
            ws_server_on_head(ws);
        } else {
            ws_client_on_head(ws);
        }
    }
}

static void read_on(struct ws *ws)
{
    uint8_t bytes[READ_SIZE];
    struct err err = {0};

    for (int i = 0; i < READS_PER_TURN && (ws->phase == WS_OPEN || ws->phase == WS_UPGRADE) &&
                    (!ws->paused || ws->phase == WS_UPGRADE);
         i++) {
        ssize_t n = read_some(ws, bytes, sizeof(bytes), &err);

        if (n == WS_IO_END || n == WS_IO_ERROR) {
            ws_fail(ws, &err);
        }
        if (n <= 0) {
            return;
        }
        got_bytes(ws, (struct bytes){bytes, (size_t)n});
    }
}

/* ---- events ---- */

void ws_want(struct ws *ws)
{
    unsigned events = 0;

    if (ws->watch == NULL || ws->phase == WS_TLS) { /* the handshake says itself */
        return;
    }
    if (ws->phase == WS_UPGRADE || (ws->phase == WS_OPEN && !ws->paused) || ws->tls_wants_read) {
        events |= LOOP_READ;
    }
    if (ws_unsent(ws) > 0 && !ws->tls_wants_read) {
        events |= LOOP_WRITE;
    }
    loop_fd_want(ws->watch, events);
}

static void start_upgrade(struct ws *ws)
{
    ws->phase = WS_UPGRADE;
    if (!ws->is_server) {
        ws_client_start_upgrade(ws);
    }
    if (flush(ws)) {
        ws_want(ws);
    }
}

static void shake_hands(struct ws *ws)
{
    struct err err = {0};
    int rc = ws_tls_handshake(ws->ssl, &err);

    if (rc == 1) {
        start_upgrade(ws);
    } else if (rc == WS_IO_WANT_READ || rc == WS_IO_WANT_WRITE) {
        loop_fd_want(ws->watch, rc == WS_IO_WANT_READ ? LOOP_READ : LOOP_WRITE);
    } else {
        ws_fail(ws, &err);
    }
}

static void on_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    struct ws *ws = ctx;

    (void)fd;
    if (ws->phase == WS_TLS) {
        shake_hands(ws);
        return;
    }
    if ((events & LOOP_READ) != 0) {
        read_on(ws);
    }
    if (ws->phase != WS_DEAD && flush(ws)) {
        ws_want(ws);
    }
}

int ws_take_fd(struct ws *ws, int fd, struct err *err)
{
    int rc = loop_fd_new(ws->loop, fd, on_ready, ws, &ws->watch, err);

    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    ws->fd = fd;
    ws->phase = ws->ssl != NULL ? WS_TLS : WS_UPGRADE;
    if (ws->phase == WS_TLS) {
        loop_fd_want(ws->watch, ws->is_server ? LOOP_READ : LOOP_WRITE);
    } else {
        start_upgrade(ws);
    }
    return 0;
}

void ws_pause(struct ws *ws)
{
    ws->paused = true;
    ws_want(ws);
}

void ws_resume(struct ws *ws)
{
    ws->paused = false;
    ws_want(ws);
}

bool ws_has_unread(const struct ws *ws)
{
    struct pollfd at = {.fd = ws->fd, .events = POLLIN};

    return ws->phase == WS_OPEN && poll(&at, 1, 0) > 0 && (at.revents & POLLIN) != 0;
}

void ws_close(struct ws **ws, unsigned code)
{
    struct ws *gone = *ws;

    if (gone == NULL) {
        return;
    }
    assert(!gone->is_freed);
    *ws = NULL;
    gone->handlers = NULL;
    gone->is_freed = true;
    if (gone->phase == WS_OPEN && code != 0) {
        (void)wslay_event_queue_close(gone->wslay, (uint16_t)code, NULL, 0);
        (void)wslay_event_send(gone->wslay);
        (void)flush(gone);
    }
    if (gone->phase != WS_DEAD) {
        drop(gone);
    }
    loop_defer(gone->loop, free_ws, gone);
}
