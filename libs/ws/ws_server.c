/* The server's side: listening, accepting, the upgrade. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "ws/ws_internal.h"

enum {
    BACKLOG = 511,
    ACCEPTS_PER_TURN = 64,
    ACCEPT_PAUSE_MS = 100, /* when the process has no descriptors left */
};

struct ws_server {
    struct loop *loop;
    struct loop_fd *watch;
    int fd;
    uint16_t port;
    char *path_end;
    const struct ws_tls *tls;
    size_t message_max;
    int64_t timeout_ms;
    ws_accept_cb *fn;
    void *ctx;
    struct ws *pending; /* not upgraded yet */
    size_t n_pending;
    struct loop_timer pause;
};

void ws_server_forget(struct ws *ws)
{
    struct ws_server *server = ws->server;

    if (server == NULL) {
        return;
    }
    for (struct ws **at = &server->pending; *at != NULL; at = &(*at)->next_pending) {
        if (*at == ws) {
            *at = ws->next_pending;
            break;
        }
    }
    server->n_pending--;
    ws->server = NULL;
    ws->next_pending = NULL;
    if (ws->phase == WS_OPEN) {
        server->fn(server, ws, server->ctx);
    }
}

static void refuse(struct ws *ws, int status, const char *reason)
{
    struct err err = {0};

    (void)err_set(&err, ERR_REFUSED, "%s", reason);
    ws_http_format_refusal(&ws->out, status, reason);
    ws_end(ws, &err);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

void ws_server_on_head(struct ws *ws)
{
    struct ws_http_head head = {0};
    int rc = ws_http_parse_request(buf_bytes(&ws->in), &head, NULL);

    if (rc == -ERR_LIMIT) {
        refuse(ws, 431, "Request Header Fields Too Large");
    } else if (rc < 0) {
        refuse(ws, 400, "Bad Request");
    } else if (rc == 1 && !ends_with(head.path, ws->server->path_end)) {
        refuse(ws, 404, "Not Found");
    } else if (rc == 1) {
        ws_http_format_switch(&ws->out, head.key);
        ws_opened(ws, (struct bytes){ws->in.p + head.n_bytes, ws->in.n - head.n_bytes});
    }
}

static void on_timeout(struct loop_timer *timer, void *ctx)
{
    struct err err = {0};

    (void)timer;
    (void)err_set(&err, ERR_TIMEOUT, "not upgraded in time");
    ws_fail(ctx, &err);
}

static void take_connection(struct ws_server *server, int fd)
{
    struct ws *ws = ws_new(server->loop, server->message_max, true);
    struct err err = {0};
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ws->server = server;
    ws->next_pending = server->pending;
    server->pending = ws;
    server->n_pending++;
    loop_timer_start(server->loop, &ws->timeout, server->timeout_ms, on_timeout, ws);
    if (server->tls != NULL && ws_tls_attach(server->tls, fd, NULL, &ws->ssl, &err) < 0) {
        (void)close(fd);
        ws_fail(ws, &err);
    } else if (ws_take_fd(ws, fd, &err) < 0) {
        ws_fail(ws, &err);
    }
}

static void on_pause_over(struct loop_timer *timer, void *ctx)
{
    struct ws_server *server = ctx;

    (void)timer;
    loop_fd_want(server->watch, LOOP_READ);
}

static void on_acceptable(struct loop_fd *watch, unsigned events, void *ctx)
{
    struct ws_server *server = ctx;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd;

        if (server->n_pending >= WS_SERVER_PENDING_MAX) {
            fd = -1;
            errno = EMFILE;
        } else {
            fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        }
        if (fd >= 0) {
            take_connection(server, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) { /* no descriptors or memory left */
            loop_fd_want(watch, 0);
            loop_timer_start(server->loop, &server->pause, ACCEPT_PAUSE_MS, on_pause_over, server);
            return;
        }
    }
}

/* A listening socket; gives its descriptor and port. */
static int listen_at(const char *address, uint16_t port, int *out_fd, uint16_t *out_port,
                     struct err *err)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = {.any = {0}};
    socklen_t n = is_v4 ? sizeof(v4) : sizeof(v6);
    int on = 1;
    int fd;

    if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) {
        return err_set(err, ERR_INVALID, "%s is not a numeric address", address);
    }
    if (is_v4) {
        at.v4 = v4;
    } else {
        at.v6 = v6;
    }
    fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (fd < 0 || bind(fd, &at.any, n) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &at.any, &n) != 0) {
        int rc = err_set(err, ERR_SYSTEM, "listening on %s port %u: %s", address, (unsigned)port,
                         errno == EADDRINUSE ? "it is taken" : "not possible");

        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    *out_fd = fd;
    *out_port = ntohs(is_v4 ? at.v4.sin_port : at.v6.sin6_port);
    return 0;
}

int ws_server_new(struct loop *loop, const struct ws_server_config *config, ws_accept_cb *fn,
                  void *ctx, struct ws_server **out, struct err *err)
{
    struct ws_server *server = mem_new0(sizeof(*server));
    int rc = listen_at(config->address, config->port, &server->fd, &server->port, err);

    if (rc < 0) {
        free(server);
        return rc;
    }
    rc = loop_fd_new(loop, server->fd, on_acceptable, server, &server->watch, err);
    if (rc < 0) {
        (void)close(server->fd);
        free(server);
        return rc;
    }
    server->loop = loop;
    server->path_end = mem_strdup(config->path_end);
    server->tls = config->tls;
    server->message_max = config->message_max;
    server->timeout_ms = config->timeout_ms == 0 ? WS_SERVER_TIMEOUT_MS : config->timeout_ms;
    server->fn = fn;
    server->ctx = ctx;
    loop_fd_want(server->watch, LOOP_READ);
    *out = server;
    return 0;
}

uint16_t ws_server_port(const struct ws_server *server)
{
    return server->port;
}

static void free_server(void *ctx)
{
    struct ws_server *server = ctx;

    free(server->path_end);
    free(server);
}

void ws_server_close(struct ws_server **server)
{
    struct ws_server *gone = *server;
    struct err err = {0};

    if (gone == NULL) {
        return;
    }
    *server = NULL;
    (void)err_set(&err, ERR_CLOSED, "the server ends");
    while (gone->pending != NULL) {
        ws_fail(gone->pending, &err);
    }
    loop_timer_stop(&gone->pause);
    loop_fd_close(&gone->watch);
    (void)close(gone->fd);
    loop_defer(gone->loop, free_server, gone);
}
