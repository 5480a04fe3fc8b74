/* http_internal: what the files of this folder share. */
#ifndef HTTP_HTTP_INTERNAL_H
#define HTTP_HTTP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <civetweb.h>

#include "base/buf.h"
#include "http/http.h"

struct metric;

/* Under way from before the handler until after the answer; in the server's list. */
struct http_request {
    struct http_request *next;
    struct http_request *prev;
    struct http_server *server;
    struct mg_connection *conn;
    const struct mg_request_info *info;
    struct arena arena;
    struct http_pairs headers;
    struct http_pairs query;
    struct http_match match;
    struct http_framing framing;
    unsigned family;
    char id[65];
    void *data;
    int64_t began_us;

    /* body */
    int64_t body_read;
    bool body_at_end;
    bool body_failed;
    bool said_continue;
    bool is_json; /* read as a whole */
    struct json_t *json;

    /* answer */
    int status; /* 0 until answered */
    size_t bytes_out;
    struct http_pair extra[HTTP_ANSWER_HEADERS_MAX];
    size_t n_extra;

    /* The watch (http_watch.c): while watch_until_ms is not 0, the socket is cut when that time is
     * past or less than the lowest rate came in. */
    atomic_int_fast64_t watch_until_ms;
    atomic_int_fast64_t watch_since_ms;
    atomic_int_fast64_t watch_bytes;
    atomic_int watch_how;   /* SHUT_RD or SHUT_RDWR */
    int64_t watch_ended_ms; /* 0: it never began */
    atomic_bool was_cut;

    struct http_ws *ws; /* while one runs; under the server's lock */
};

struct http_route_metrics {
    struct metric *seconds;
    struct metric *by_class[6]; /* answers of 1xx to 5xx */
};

struct http_server {
    struct mg_context *mg;
    const struct http_app *app;
    struct http_options options;
    char *cors_origin;
    struct http_route_metrics *metrics; /* one for each route, and one for what has none */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a request ended, or `stopping` was set */
    struct http_request *active;
    unsigned n_active;
    unsigned n_websockets;
    bool is_draining; /* under the lock */
    bool stopping;    /* under the lock: the watch ends */
    pthread_t watch;
};

/* ---- http_early.c: callbacks of civetweb ---- */

enum { HTTP_HEADER_SECONDS = 5 }; /* for request line and headers */

int http_on_error(struct mg_connection *conn, int status, const char *text);
void http_on_closing(const struct mg_connection *conn);
void http_note_answer(const struct mg_connection *conn); /* the two above need not */

/* Header lines that civetweb takes for something else. -ERR_INVALID says which. */
NODISCARD int http_check_lines(const struct mg_request_info *info, struct err *err);

/* ---- http_watch.c ---- */

/* The socket of @request's connection, which stays open while it is active; -1 if not found. */
int http_socket_of(const struct http_request *request);

/* From now until http_watch_end: cut after @ms, or below the lowest rate when @is_reading. */
void http_watch_begin(struct http_request *request, int64_t ms, bool is_reading);
void http_watch_end(struct http_request *request);
void *http_watch_run(void *server_arg);

/* ---- http_request.c ---- */

void http_request_drain(struct http_request *request); /* so that the peer reads the answer */
void http_request_done(struct http_request *request);

/* ---- http_answer.c ---- */

/* Status line and headers of an answer with @n bytes of @type (NULL: none). */
void http_head(const struct http_request *request, int status, const char *type, size_t n,
               struct buf *out);
void http_send(struct http_request *request, const struct buf *bytes);

/* ---- http_ws.c ---- */

void http_ws_end(struct http_ws *ws); /* going away; under the server's lock */

#endif
