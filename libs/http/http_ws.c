/* Websockets: civetweb's own reader takes frames of any size and cannot be told to stop, so after
 * the handshake the socket is served here, framed by wslay. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <wslay/wslay.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "http/http_internal.h"

enum {
    QUEUED_MAX = 256 * 1024, /* bytes that wait for a peer that does not read */
    QUEUED_FRAMES_MAX = 256, /* pongs and other frames that do; empty ones count no bytes */
    HEARD_MAX = 16 * 1024,   /* bytes taken from the socket before anything else has its turn */
    CLOSE_MS = 2000,         /* for the peer's own close frame */
    KEY_TEXT = 24,           /* base64 of 16 bytes */
    GOING_AWAY = 1001,
    PROTOCOL_ERROR = 1002,
    TOO_SLOW = 1008
};

struct http_ws {
    struct http_request *request;
    const struct http_ws_events *events;
    wslay_event_context_ptr wslay;
    int fd;                /* civetweb's */
    int wake_fd;           /* eventfd */
    atomic_bool is_ending; /* the server stops */
    bool is_broken;        /* the socket failed */
    bool is_closing;
    bool said_close;
    int close_code;
    int64_t close_by_ms;
    int64_t heard_ms;
    size_t heard_n;  /* bytes since the last turn of anything else */
    int64_t ping_ms; /* when the next is due */
    int64_t turn_ms; /* when the next is due */
};

/* ---- handshake ---- */

static int check_upgrade(const struct http_request *request, struct err *err)
{
    const char *key = http_header(request, "Sec-WebSocket-Key");
    const char *version = http_header(request, "Sec-WebSocket-Version");
    struct buf raw = {0};
    bool is_key = key != NULL && strlen(key) == KEY_TEXT &&
                  text_unbase64(&raw, key, KEY_TEXT, TEXT_BASE64) == 0 && raw.n == 16;

    buf_done(&raw);
    if (!http_has_word(http_header(request, "Upgrade"), "websocket") ||
        !http_has_word(http_header(request, "Connection"), "upgrade") || !is_key) {
        return err_set(err, ERR_INVALID, "A WebSocket upgrade is wanted here");
    }
    if (version == NULL || strcmp(version, "13") != 0) {
        return err_set(err, ERR_INVALID, "WebSocket version 13 is wanted here");
    }
    return 0;
}

/* Browsers say whose page it is that wants a websocket, and hold it to nothing: that is up to us.
 * Others send no Origin. */
static int check_origin(const struct http_request *request, struct err *err)
{
    if (http_origin_may(http_header(request, "Origin"), http_header(request, "Host"),
                        request->server->cors_origin)) {
        return 0;
    }
    return err_set(err, ERR_REFUSED, "Pages of this origin may not open a WebSocket here");
}

static void shake_hands(struct http_request *request)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    struct buf text = {0};
    struct buf accept = {0};

    buf_addf(&text, "%s%s", http_header(request, "Sec-WebSocket-Key"), magic);
    (void)EVP_Digest(text.p, text.n, digest, &digest_n, EVP_sha1(), NULL);
    text_base64(&accept, (struct bytes){digest, digest_n}, TEXT_BASE64);
    http_answer_header(request, "Upgrade", "websocket");
    http_answer_header(request, "Connection", "Upgrade");
    http_answer_header(request, "Sec-WebSocket-Accept", buf_text(&accept));
    request->status = 101;
    buf_clear(&text);
    http_head(request, 101, NULL, 0, &text);
    http_send(request, &text);
    buf_done(&text);
    buf_done(&accept);
}

/* ---- wslay's callbacks ---- */

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *to, size_t n, int flags, void *ctx)
{
    struct http_ws *ws = ctx;
    ssize_t got;

    (void)flags;
    if (ws->heard_n >= HEARD_MAX) { /* wslay would go on for as long as the peer does */
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    got = recv(ws->fd, to, n, MSG_DONTWAIT);
    if (got > 0) {
        ws->heard_ms = clock_mono_ms();
        ws->heard_n += (size_t)got;
        return got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
    } else {
        ws->is_broken = true;
        wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
    }
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *from, size_t n, int flags,
                       void *ctx)
{
    struct http_ws *ws = ctx;
    ssize_t sent = send(ws->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)flags;
    if (sent >= 0) {
        ws->request->bytes_out += (size_t)sent;
        return sent;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
    } else {
        ws->is_broken = true;
        wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
    }
    return -1;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *ctx)
{
    struct http_ws *ws = ctx;

    (void)wslay;
    if (arg->opcode == WSLAY_TEXT_FRAME && ws->events->text != NULL && !ws->is_closing) {
        char *text = mem_strndup((const char *)arg->msg, arg->msg_length);

        ws->events->text(ws, (struct bytes){(const uint8_t *)text, arg->msg_length},
                         ws->events->ctx);
        free(text);
    }
}

static int open_wslay(struct http_ws *ws)
{
    const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_message};

    if (wslay_event_context_server_init(&ws->wslay, &callbacks, ws) != 0) {
        return -1;
    }
    wslay_event_config_set_max_recv_msg_length(ws->wslay, HTTP_WS_MESSAGE_MAX);
    return 0;
}

/* ---- the loop of one websocket ---- */

static void ping_if_due(struct http_ws *ws, int64_t now_ms)
{
    const struct wslay_event_msg ping = {WSLAY_PING, NULL, 0};

    if (now_ms >= ws->ping_ms && !ws->is_closing) {
        ws->ping_ms = now_ms + ws->request->server->options.ws_ping_ms;
        (void)wslay_event_queue_msg(ws->wslay, &ping);
    }
}

/* wslay sends a close frame before all others, so it is queued when they are out. True when it was
 * queued now. */
static bool say_close(struct http_ws *ws)
{
    if (!ws->is_closing || ws->said_close || wslay_event_get_queued_msg_count(ws->wslay) > 0) {
        return false;
    }
    ws->said_close = true;
    (void)wslay_event_queue_close(ws->wslay, (uint16_t)ws->close_code, NULL, 0);
    return true;
}

/* A peer that sends pings and reads no pongs would have us keep them all. It is heard no more. */
static void close_if_crowded(struct http_ws *ws)
{
    if (wslay_event_get_queued_msg_count(ws->wslay) > QUEUED_FRAMES_MAX) {
        http_ws_close(ws, TOO_SLOW);
        wslay_event_shutdown_read(ws->wslay);
    }
}

static void turn_if_due(struct http_ws *ws, int64_t now_ms, bool was_woken)
{
    bool is_due = now_ms >= ws->turn_ms;

    if (!ws->is_closing && (was_woken || is_due)) {
        ws->turn_ms = ws->events->turn_ms > 0 ? now_ms + ws->events->turn_ms : INT64_MAX;
        ws->events->turn(ws, ws->events->ctx);
    }
}

/* When a peer that says nothing any more counts as gone. */
static int64_t gone_at_ms(const struct http_ws *ws)
{
    return ws->heard_ms + ws->request->server->options.ws_quiet_ms;
}

/* Wait for the socket, a wake or the next due time. True when woken. */
static bool wait_for_work(struct http_ws *ws, int64_t now_ms)
{
    struct pollfd fds[2] = {{ws->fd, 0, 0}, {ws->wake_fd, POLLIN, 0}};
    int64_t quiet_at_ms = gone_at_ms(ws);
    int64_t due = ws->ping_ms < quiet_at_ms ? ws->ping_ms : quiet_at_ms;
    uint64_t count;

    if (ws->is_closing && ws->close_by_ms < due) {
        due = ws->close_by_ms;
    }
    if (!ws->is_closing && ws->turn_ms < due) {
        due = ws->turn_ms;
    }
    if (wslay_event_want_read(ws->wslay)) {
        fds[0].events |= POLLIN;
    }
    if (wslay_event_want_write(ws->wslay)) {
        fds[0].events |= POLLOUT;
    }
    (void)poll(fds, 2, due > now_ms ? (int)(due - now_ms) : 0);
    if ((fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        ws->is_broken = true;
    }
    return (fds[1].revents & POLLIN) != 0 && read(ws->wake_fd, &count, sizeof(count)) > 0;
}

static bool is_over(const struct http_ws *ws, int64_t now_ms)
{
    return ws->is_broken || now_ms > gone_at_ms(ws) ||
           (ws->is_closing && now_ms >= ws->close_by_ms) ||
           (!wslay_event_want_read(ws->wslay) && !wslay_event_want_write(ws->wslay));
}

/* A frame that wslay cannot even read. It has queued a close frame without a code, which says less
 * than ours; it never sends, so unless something else is half out ours may go. */
static void complain(struct http_ws *ws)
{
    static const uint8_t frame[] = {0x88, 2, PROTOCOL_ERROR >> 8, PROTOCOL_ERROR & 0xff};

    if (!ws->is_broken && !wslay_event_get_close_sent(ws->wslay) &&
        wslay_event_get_queued_msg_count(ws->wslay) <= 1) {
        (void)send(ws->fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

static void run(struct http_ws *ws)
{
    int64_t now_ms = clock_mono_ms();
    bool was_woken = true;

    ws->heard_ms = now_ms;
    ws->ping_ms = now_ms + ws->request->server->options.ws_ping_ms;
    while (!is_over(ws, now_ms)) {
        if (atomic_load(&ws->is_ending)) {
            http_ws_close(ws, GOING_AWAY);
        }
        ping_if_due(ws, now_ms);
        turn_if_due(ws, now_ms, was_woken);
        if (wslay_event_send(ws->wslay) != 0) {
            break;
        }
        close_if_crowded(ws);
        if (say_close(ws) && wslay_event_send(ws->wslay) != 0) {
            break;
        }
        if (wslay_event_get_close_sent(ws->wslay) && !ws->is_closing) { /* the peer broke a rule */
            ws->is_closing = true;
            ws->said_close = true;
            ws->close_by_ms = now_ms + CLOSE_MS;
        }
        if (is_over(ws, now_ms)) {
            break;
        }
        was_woken = wait_for_work(ws, now_ms);
        if (ws->is_broken) {
            break;
        }
        ws->heard_n = 0;
        if (wslay_event_recv(ws->wslay) != 0) {
            complain(ws);
            break;
        }
        now_ms = clock_mono_ms();
    }
}

/* ---- interface ---- */

/* Under the server's lock. */
static unsigned count_of_owner(const struct http_server *server, int64_t owner)
{
    unsigned n = 0;

    for (const struct http_request *r = server->active; r != NULL; r = r->next) {
        n += owner != 0 && r->ws != NULL && r->ws->events->owner == owner ? 1 : 0;
    }
    return n;
}

static int enter(struct http_ws *ws, struct err *err)
{
    struct http_server *server = ws->request->server;
    int rc = 0;

    (void)pthread_mutex_lock(&server->lock);
    if (server->n_websockets >= server->options.websockets) {
        rc = err_set(err, ERR_LIMIT, "Too many WebSockets are open");
    } else if (count_of_owner(server, ws->events->owner) >= server->options.websockets_each) {
        rc = err_set(err, ERR_LIMIT, "Too many WebSockets of yours are open");
    } else {
        server->n_websockets++;
        ws->request->ws = ws;
        atomic_store(&ws->is_ending, server->is_draining);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

static void leave(struct http_ws *ws)
{
    struct http_server *server = ws->request->server;

    (void)pthread_mutex_lock(&server->lock);
    server->n_websockets--;
    ws->request->ws = NULL;
    (void)pthread_mutex_unlock(&server->lock);
}

int http_ws_run(struct http_request *request, const struct http_ws_events *events,
                void (*ready)(struct http_ws *ws, void *ctx),
                void (*gone)(struct http_ws *ws, void *ctx), struct err *err)
{
    struct http_ws ws = {.request = request, .events = events, .wake_fd = -1};
    int rc = check_upgrade(request, err);

    if (rc == 0) {
        rc = check_origin(request, err);
    }
    if (rc < 0) {
        return rc;
    }
    ws.fd = http_socket_of(request);
    ws.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ws.fd < 0 || ws.wake_fd < 0 || open_wslay(&ws) != 0) {
        rc = err_set(err, ERR_EXTERNAL, "no socket for a WebSocket");
    } else {
        rc = enter(&ws, err);
    }
    if (rc == 0) {
        shake_hands(request);
        ready(&ws, events->ctx);
        run(&ws);
        gone(&ws, events->ctx);
        leave(&ws);
    }
    if (ws.wslay != NULL) {
        wslay_event_context_free(ws.wslay);
    }
    if (ws.wake_fd >= 0) {
        (void)close(ws.wake_fd);
    }
    return rc;
}

void http_ws_wake(struct http_ws *ws)
{
    const uint64_t one = 1;

    if (write(ws->wake_fd, &one, sizeof(one)) < 0) {
        /* full means that it will wake anyway */
    }
}

void http_ws_end(struct http_ws *ws)
{
    atomic_store(&ws->is_ending, true);
    http_ws_wake(ws);
}

void http_ws_send_json(struct http_ws *ws, struct json_t *frame)
{
    char *text = json_dumps(frame, JSON_COMPACT);

    json_decref(frame);
    if (text != NULL && !ws->is_closing) {
        const struct wslay_event_msg message = {WSLAY_TEXT_FRAME, (const uint8_t *)text,
                                                strlen(text)};

        if (wslay_event_get_queued_msg_length(ws->wslay) > QUEUED_MAX) {
            http_ws_close(ws, TOO_SLOW);
        } else {
            (void)wslay_event_queue_msg(ws->wslay, &message);
        }
    }
    free(text);
}

void http_ws_turn_in(struct http_ws *ws, int64_t ms)
{
    int64_t due = clock_mono_ms() + ms;

    ws->turn_ms = due < ws->turn_ms ? due : ws->turn_ms;
}

void http_ws_close(struct http_ws *ws, int code)
{
    if (!ws->is_closing) {
        ws->is_closing = true;
        ws->close_code = code;
        ws->close_by_ms = clock_mono_ms() + CLOSE_MS;
    }
}
