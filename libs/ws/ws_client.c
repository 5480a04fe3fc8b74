/* The client's side of opening: url, look-up, connect, request and response heads. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "ws/ws_internal.h"

enum { HOST_MAX = 254, PORT_MAX = 6 };

struct url {
    char host[HOST_MAX]; /* without brackets */
    char port[PORT_MAX];
    char path[WS_HTTP_PATH_MAX];
    char authority[HOST_MAX + PORT_MAX + 4]; /* for the Host header */
    bool is_tls;
};

/* A look-up on a thread of the pool; lives until it is done, even if nobody waits any more. */
struct lookup {
    struct ws *ws; /* NULL: nobody */
    char host[HOST_MAX];
    char port[PORT_MAX];
    struct addrinfo *found;
    int rc;
};

struct ws_dial {
    struct url url;
    char *origin;
    const struct ws_tls *tls;
    struct lookup *lookup;
    struct addrinfo *addresses;
    struct addrinfo *next; /* to be tried */
    struct loop_fd *watch; /* of the connect under way */
    int fd;
};

/* ---- url ---- */

static int put_part(char *out, size_t size, struct bytes part)
{
    if (part.n == 0 || part.n >= size || memchr(part.p, '\0', part.n) != NULL) {
        return -ERR_INVALID;
    }
    for (size_t i = 0; i < part.n; i++) {
        if (part.p[i] <= ' ' || part.p[i] == 0x7f) {
            return -ERR_INVALID;
        }
    }
    memcpy(out, part.p, part.n);
    out[part.n] = '\0';
    return 0;
}

/* @text: host[:port] or [v6][:port] */
static int parse_authority(struct bytes text, struct url *url)
{
    struct bytes host = text;
    const uint8_t *end;
    int64_t port = 0;

    if (text.n > 0 && text.p[0] == '[') {
        end = memchr(text.p, ']', text.n);
        if (end == NULL) {
            return -ERR_INVALID;
        }
        host = (struct bytes){text.p + 1, (size_t)(end - text.p) - 1};
        end++;
    } else {
        end = memchr(text.p, ':', text.n);
        end = end == NULL ? text.p + text.n : end;
        host.n = (size_t)(end - text.p);
    }
    if (put_part(url->host, sizeof(url->host), host) < 0 || strchr(url->host, '@') != NULL) {
        return -ERR_INVALID;
    }
    if (end == text.p + text.n) {
        (void)strncpy(url->port, url->is_tls ? "443" : "80", sizeof(url->port) - 1);
        return 0;
    }
    if (*end != ':' ||
        put_part(url->port, sizeof(url->port),
                 (struct bytes){end + 1, (size_t)(text.p + text.n - end) - 1}) < 0 ||
        !text_to_int(url->port, 1, 65535, &port)) {
        return -ERR_INVALID;
    }
    return 0;
}

static int parse_url(const char *text, struct url *url, struct err *err)
{
    const char *rest = text;
    size_t n;

    if (strncasecmp(text, "ws://", 5) == 0) {
        rest = text + 5;
    } else if (strncasecmp(text, "wss://", 6) == 0) {
        rest = text + 6;
        url->is_tls = true;
    } else {
        return err_set(err, ERR_INVALID, "the url begins with neither ws:// nor wss://");
    }
    n = strcspn(rest, "/?#");
    if (parse_authority((struct bytes){(const uint8_t *)rest, n}, url) < 0 ||
        put_part(url->authority, sizeof(url->authority), (struct bytes){(const uint8_t *)rest, n}) <
            0) {
        return err_set(err, ERR_INVALID, "the url has no usable host and port");
    }
    rest += n;
    n = strcspn(rest, "#");
    if (n == 0) {
        (void)strncpy(url->path, "/", sizeof(url->path) - 1);
    } else if (rest[0] != '/' || put_part(url->path, sizeof(url->path),
                                          (struct bytes){(const uint8_t *)rest, n}) < 0) {
        return err_set(err, ERR_INVALID, "the url has no usable path");
    }
    return 0;
}

int ws_url_check(const char *text, struct err *err)
{
    struct url url = {0};

    return parse_url(text, &url, err);
}

/* ---- connect: one address after another ---- */

static void try_next(struct ws *ws, const struct err *last);

static void end_try(struct ws_dial *dial)
{
    loop_fd_close(&dial->watch);
    if (dial->fd >= 0) {
        (void)close(dial->fd);
        dial->fd = -1;
    }
}

static void connected(struct ws *ws)
{
    struct ws_dial *dial = ws->dial;
    struct err err = {0};
    int fd = dial->fd;
    int on = 1;
    int rc = 0;

    loop_fd_close(&dial->watch);
    dial->fd = -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (dial->url.is_tls) {
        rc = ws_tls_attach(dial->tls, fd, dial->url.host, &ws->ssl, &err);
        if (rc < 0) {
            (void)close(fd);
        }
    }
    if (rc == 0) {
        rc = ws_take_fd(ws, fd, &err);
    }
    if (rc < 0) {
        ws_fail(ws, &err);
    }
}

static void on_connect(struct loop_fd *watch, unsigned events, void *ctx)
{
    struct ws *ws = ctx;
    struct err err = {0};
    int error = 0;
    socklen_t n = sizeof(error);

    (void)watch;
    (void)events;
    (void)getsockopt(ws->dial->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error == 0) {
        connected(ws);
        return;
    }
    (void)err_set(&err, ERR_EXTERNAL, "connecting to %s port %s: errno %d", ws->dial->url.host,
                  ws->dial->url.port, error);
    end_try(ws->dial);
    try_next(ws, &err);
}

static void try_next(struct ws *ws, const struct err *last)
{
    struct ws_dial *dial = ws->dial;
    struct err err = *last;

    while (dial->next != NULL) {
        struct addrinfo *address = dial->next;

        dial->next = address->ai_next;
        dial->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (dial->fd >= 0 && (connect(dial->fd, address->ai_addr, address->ai_addrlen) == 0 ||
                              errno == EINPROGRESS)) {
            if (loop_fd_new(ws->loop, dial->fd, on_connect, ws, &dial->watch, &err) == 0) {
                loop_fd_want(dial->watch, LOOP_WRITE);
                return;
            }
        } else {
            (void)err_set(&err, ERR_EXTERNAL, "connecting to %s port %s: errno %d", dial->url.host,
                          dial->url.port, errno);
        }
        end_try(dial);
    }
    ws_fail(ws, &err);
}

/* ---- look-up ---- */

static void look_up(void *ctx)
{
    struct lookup *lookup = ctx;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};

    lookup->rc = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
}

static void on_looked_up(void *ctx)
{
    struct lookup *lookup = ctx;
    struct ws *ws = lookup->ws;
    struct err err = {0};

    if (ws == NULL) {
        if (lookup->rc == 0) {
            freeaddrinfo(lookup->found);
        }
    } else {
        (void)err_set(&err, ERR_EXTERNAL, "looking up %s: %s", lookup->host,
                      gai_strerror(lookup->rc));
        ws->dial->lookup = NULL;
        ws->dial->addresses = ws->dial->next = lookup->found;
        try_next(ws, &err);
    }
    free(lookup);
}

static void start_lookup(struct ws *ws)
{
    struct lookup *lookup = mem_new0(sizeof(*lookup));

    memcpy(lookup->host, ws->dial->url.host, sizeof(lookup->host));
    memcpy(lookup->port, ws->dial->url.port, sizeof(lookup->port));
    lookup->ws = ws;
    ws->dial->lookup = lookup;
    loop_work(ws->loop, look_up, on_looked_up, lookup);
}

static void on_start(void *ctx)
{
    struct ws *ws = ctx;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct err err = {0};

    if (ws->phase != WS_DIALLING) { /* closed in the same turn */
        return;
    }
    if (getaddrinfo(ws->dial->url.host, ws->dial->url.port, &hints, &ws->dial->addresses) != 0) {
        ws->dial->addresses = NULL;
        start_lookup(ws);
        return;
    }
    ws->dial->next = ws->dial->addresses;
    (void)err_set(&err, ERR_EXTERNAL, "no address");
    try_next(ws, &err);
}

static void on_timeout(struct loop_timer *timer, void *ctx)
{
    struct ws *ws = ctx;
    struct err err = {0};
    const char *at = ws->phase == WS_DIALLING ? "connect" : ws->phase == WS_TLS ? "TLS" : "upgrade";

    (void)timer;
    (void)err_set(&err, ERR_TIMEOUT, "not open in time (%s)", at);
    ws_fail(ws, &err);
}

int ws_connect(struct loop *loop, const struct ws_client_config *config,
               const struct ws_handlers *handlers, void *ctx, struct ws **out, struct err *err)
{
    struct ws_dial *dial = mem_new0(sizeof(*dial));
    int rc = parse_url(config->url, &dial->url, err);
    struct ws *ws;

    if (rc == 0 && dial->url.is_tls && config->tls == NULL) {
        rc = err_set(err, ERR_INVALID, "a wss url wants TLS settings");
    }
    if (rc == 0 && config->origin != NULL && strpbrk(config->origin, "\r\n") != NULL) {
        rc = err_set(err, ERR_INVALID, "the origin has more than one line");
    }
    if (rc < 0) {
        free(dial);
        return rc;
    }
    dial->fd = -1;
    dial->origin = mem_strdup(config->origin);
    dial->tls = config->tls;
    ws = ws_new(loop, config->message_max, false);
    ws->dial = dial;
    ws_set_handlers(ws, handlers, ctx);
    loop_timer_start(loop, &ws->timeout,
                     config->timeout_ms == 0 ? WS_CONNECT_TIMEOUT_MS : config->timeout_ms,
                     on_timeout, ws);
    loop_defer(loop, on_start, ws);
    *out = ws;
    return 0;
}

void ws_dial_stop(struct ws *ws)
{
    struct ws_dial *dial = ws->dial;

    if (dial == NULL) {
        return;
    }
    ws->dial = NULL;
    if (dial->lookup != NULL) {
        dial->lookup->ws = NULL;
    }
    end_try(dial);
    if (dial->addresses != NULL) {
        freeaddrinfo(dial->addresses);
    }
    free(dial->origin);
    free(dial);
}

/* ---- upgrade ---- */

void ws_client_start_upgrade(struct ws *ws)
{
    struct ws_http_request request = {.host = ws->dial->url.authority,
                                      .path = ws->dial->url.path,
                                      .origin = ws->dial->origin,
                                      .key = ws->key};
    struct buf key = {0};
    uint8_t raw[16];

    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        abort(); /* no randomness, no keys: nothing of this process can go on */
    }
    text_base64(&key, (struct bytes){raw, sizeof(raw)}, TEXT_BASE64);
    assert(key.n == WS_HTTP_KEY_LEN);
    memcpy(ws->key, key.p, key.n);
    buf_done(&key);
    ws_http_format_request(&ws->out, &request);
}

void ws_client_on_head(struct ws *ws)
{
    struct ws_http_head head = {0};
    struct err err = {0};
    int rc = ws_http_parse_response(buf_bytes(&ws->in), ws->key, &head, &err);

    if (rc == 1) {
        ws_opened(ws, (struct bytes){ws->in.p + head.n_bytes, ws->in.n - head.n_bytes});
    } else if (rc < 0) {
        if (head.status == 408 || head.status == 429 || head.status >= 500) {
            (void)err_set(&err, ERR_EXTERNAL, "the server answered with HTTP status %d",
                          head.status);
        }
        ws_fail(ws, &err);
    }
}
