/* http: a server of routes (wraps civetweb). Plain HTTP/1.1, one request per connection; TLS is for
 * the reverse proxy in front.
 *
 * Each request runs on a thread of its own, which its handler may block; its stack is about 100
 * KiB, so large buffers belong into the request's arena. Before the handler the server checks
 * framing and path, finds the route, and asks `admit`; whatever is wrong is answered in the
 * envelope of the family that the path belongs to. A body has a size limit, a wall clock deadline
 * and a lowest rate; a connection that falls behind loses its reading side and is answered 408.
 * Every request has an id (taken from X-Request-Id when it is a clean one), which is in the answer
 * and in all log lines of its thread. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/mem.h"
#include "http/http_router.h"

struct buf;
struct err;
struct http_request;
struct http_server;
struct json_t;

enum {
    HTTP_BODY_MAX = 256 * 1024,    /* bytes, unless the route says otherwise */
    HTTP_HEADER_BYTES_MAX = 16384, /* request line and headers */
    HTTP_THREADS_MAX = 2048,
    HTTP_ANSWER_HEADERS_MAX = 16
};

/* What went wrong, before a family renders it. */
struct http_problem {
    int status;
    const char *code;    /* for programs, "INVALID_REQUEST" */
    const char *message; /* for people: what and where; never a secret */
    int retry_after_s;   /* 0: no Retry-After */
};

struct http_family {
    const char *name;
    const char *prefix; /* "/api/blast-control"; "" for the last one, which takes the rest */
    struct json_t *(*render)(const struct http_problem *problem); /* gives a new reference */
};

/* How a request went; @path is without its query. */
struct http_done {
    const char *method;
    const char *path;
    int status;
    int64_t us; /* from request to answer */
    size_t bytes_out;
    const struct http_route *route; /* NULL: none */
};

struct http_app {
    const struct http_route *routes;
    size_t n_routes;
    const struct http_family *families;
    size_t n_families;
    /* Runs before the handler of a route. False: it has answered (http_fail), the handler is not
     * called. May be NULL. */
    bool (*admit)(struct http_request *request, const struct http_route *route, void *ctx);
    /* After the answer: for the access log. May be NULL. */
    void (*done)(const struct http_request *request, const struct http_done *done, void *ctx);
    void *ctx; /* for these and the handlers */
};

struct http_options {
    const char *bind;           /* NULL: 127.0.0.1 */
    int port;                   /* 0: any free one, see http_server_port */
    unsigned threads;           /* 0: 64; a websocket holds one */
    unsigned websockets;        /* at most so many at once; 0: half of the threads */
    unsigned websockets_each;   /* of one owner (http_ws_events); 0: half of those */
    int64_t deadline_ms;        /* for the body of one request; 0: 10000 */
    int64_t upload_deadline_ms; /* for routes whose body_max is over HTTP_BODY_MAX; 0: 600000 */
    int64_t min_rate;           /* bytes of body a second, after the first 5 s; 0: 1024 */
    const char *cors_origin;    /* for Access-Control-Allow-Origin; NULL or "": no CORS */
    int64_t ws_ping_ms;         /* a ping to a websocket so often; 0: 20000 */
    int64_t ws_quiet_ms;        /* a websocket unheard for so long is gone; 0: 60000 */
};

/* Serve. Borrows @app until http_server_stop. Gives *@out. -ERR_SYSTEM: the port is taken. */
NODISCARD int http_server_start(const struct http_options *options, const struct http_app *app,
                                struct http_server **out, struct err *err);
int http_server_port(const struct http_server *server);

/* Answer new requests 503, close websockets (1001), wait up to @timeout_ms for what runs, then end.
 * Sets *@owner to NULL; NULL is fine. Not from a handler. Returns how many were cut off. */
unsigned http_server_stop(struct http_server **owner, int64_t timeout_ms);

/* ---- in a handler; texts are borrowed until it returns ---- */

const char *http_method_name(const struct http_request *request); /* never NULL */
const char *http_path(const struct http_request *request);        /* never NULL; no query */
/* A {name} of the route's pattern, a member of the query, the first header line of that name; NULL:
 * there is none. */
const char *http_param(const struct http_request *request, const char *name);
const char *http_query(const struct http_request *request, const char *name);
const char *http_header(const struct http_request *request, const char *name);
/* Append all of the query, the same for the same members in whatever order. */
void http_query_canonical(const struct http_request *request, struct buf *out);
/* All lines of that name, in order, with commas between; NULL: none. Memory of @arena. */
const char *http_header_all(const struct http_request *request, const char *name,
                            struct arena *arena);
const char *http_remote(const struct http_request *request); /* the peer's address; never NULL */
const struct http_route *http_route_of(const struct http_request *request); /* in `done`: or NULL */
struct arena *http_arena(struct http_request *request); /* reset when the handler returns */

/* Something of the application's that lives as long as the request: who it is. NULL until set. */
void http_set_data(struct http_request *request, void *data);
void *http_data(const struct http_request *request);

/* Read up to @n bytes of the body. Returns how many, 0 at its end. -ERR_LIMIT: over the route's
 * limit; -ERR_TIMEOUT: deadline or rate; -ERR_CLOSED: the peer left. Blocks. */
NODISCARD int64_t http_read(struct http_request *request, void *to, size_t n, struct err *err);

/* The whole body as JSON, whatever its Content-Type; empty counts as {}. The route's json_max
 * holds. *@out is an object, borrowed until the handler returns. Errors as http_read, and
 * -ERR_INVALID saying where. */
NODISCARD int http_json(struct http_request *request, struct json_t **out, struct err *err);

/* ---- answers: exactly one ---- */

void http_answer_header(struct http_request *request, const char *name, const char *value);
void http_answer(struct http_request *request, int status, const char *type, struct bytes body);
void http_answer_json(struct http_request *request, int status, struct json_t *body); /* takes */

/* A problem in the family's envelope. */
void http_fail(struct http_request *request, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void http_fail_with(struct http_request *request, const struct http_problem *problem);

/* The answer to what http_read or http_json returned: 413, 408 or 400. */
void http_fail_body(struct http_request *request, const struct err *err);

const char *http_reason(int status); /* "Not Found" */

/* ---- websockets ---- */

struct http_ws;

enum { HTTP_WS_MESSAGE_MAX = 4096 /* bytes of a frame or message from the peer */ };

struct http_ws_events {
    /* At once, after http_ws_wake, and every @turn_ms (0: never by itself). On the request's
     * thread. */
    void (*turn)(struct http_ws *ws, void *ctx);
    /* A text message (NUL behind it). May be NULL: what comes is dropped. */
    void (*text)(struct http_ws *ws, struct bytes text, void *ctx);
    int64_t turn_ms;
    int64_t owner; /* whose it is, for websockets_each; 0: nobody's */
    void *ctx;
};

/* Shake hands and run until either side closes; returns then. @ready(@ws) is called before the
 * first turn and @gone(@ws) after the last: between them other threads may say http_ws_wake.
 * Instead of an answer, in the handler. Nothing was answered yet on failure: -ERR_INVALID: no
 * proper upgrade; -ERR_REFUSED: a browser's page of another origin than cors_origin and this host;
 * -ERR_LIMIT: too many are open, of all or of the owner. */
NODISCARD int http_ws_run(struct http_request *request, const struct http_ws_events *events,
                          void (*ready)(struct http_ws *ws, void *ctx),
                          void (*gone)(struct http_ws *ws, void *ctx), struct err *err);

void http_ws_wake(struct http_ws *ws); /* any thread, between ready and gone */
void http_ws_send_json(struct http_ws *ws, struct json_t *frame); /* in a turn; takes @frame */
void http_ws_turn_in(struct http_ws *ws, int64_t ms); /* in a turn: the next one so soon */
void http_ws_close(struct http_ws *ws, int code);     /* in a turn; 1000: normal */

#endif
