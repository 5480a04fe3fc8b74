#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/uuid.h"
#include "http/http_internal.h"

enum { THREADS_DEFAULT = 64, OPTION_TEXT_MAX = 64 };

/* ---- one request ---- */

static void take_headers(struct http_request *r)
{
    size_t n = (size_t)r->info->num_headers;

    r->headers.at = arena_array0(&r->arena, n + 1, sizeof(*r->headers.at));
    for (size_t i = 0; i < n; i++) {
        r->headers.at[i] =
            (struct http_pair){r->info->http_headers[i].name, r->info->http_headers[i].value};
    }
    r->headers.n = n;
}

static void take_id(struct http_request *r)
{
    const char *given = http_header(r, "X-Request-Id");
    struct uuid own;

    if (!http_is_request_id(given)) {
        own = uuid_v7(clock_wall_ms());
        given = own.text;
    }
    (void)snprintf(r->id, sizeof(r->id), "%s", given);
}

static void answer_preflight(struct http_request *r)
{
    http_answer_header(r, "Allow", http_methods_text(&r->arena, r->match.allowed));
    if (r->server->cors_origin != NULL) {
        http_answer_header(r, "Access-Control-Allow-Methods",
                           http_methods_text(&r->arena, r->match.allowed));
        http_answer_header(r, "Access-Control-Allow-Headers",
                           "Authorization, Content-Type, Idempotency-Key, X-Request-Id");
        http_answer_header(r, "Access-Control-Max-Age", "600");
    }
    http_answer(r, 204, NULL, (struct bytes){NULL, 0});
}

static void answer_unrouted(struct http_request *r, enum http_found found)
{
    if (found == HTTP_NO_PATH) {
        http_fail(r, 404, "NOT_FOUND", "No such endpoint");
        return;
    }
    if (strcmp(r->info->request_method, "OPTIONS") == 0) {
        answer_preflight(r);
        return;
    }
    http_answer_header(r, "Allow", http_methods_text(&r->arena, r->match.allowed));
    http_fail(r, 405, "METHOD_NOT_ALLOWED", "This endpoint takes %s",
              http_methods_text(&r->arena, r->match.allowed));
}

/* False when the request may not go on; it is answered then. */
static bool check_request(struct http_request *r, const char *const *prefixes)
{
    struct err err = {0};
    const char *path = r->info->local_uri_raw;

    r->family = http_family_find(prefixes, r->server->app->n_families, path);
    if (http_check_path(path, &err) < 0 || http_check_lines(r->info, &err) < 0 ||
        http_check_headers(&r->headers, &r->framing, &err) < 0 ||
        http_parse_query(&r->arena, r->info->query_string, &r->query, &err) < 0) {
        http_fail(r, 400, "INVALID_REQUEST", "%s", err.text);
        return false;
    }
    return true;
}

static const char *const *family_prefixes(struct http_request *r)
{
    size_t n = r->server->app->n_families;
    const char **prefixes = arena_array0(&r->arena, n, sizeof(*prefixes));

    for (size_t i = 0; i < n; i++) {
        prefixes[i] = r->server->app->families[i].prefix;
    }
    return prefixes;
}

static void serve(struct http_request *r, bool is_draining)
{
    const struct http_app *app = r->server->app;
    const struct http_problem draining = {503, "UNAVAILABLE", "The service is ending", 1};
    enum http_found found;

    if (!check_request(r, family_prefixes(r))) {
        return;
    }
    if (is_draining) {
        http_fail_with(r, &draining);
        return;
    }
    found = http_route_find(app->routes, app->n_routes, http_method_of(r->info->request_method),
                            r->info->local_uri_raw, &r->arena, &r->match);
    if (found != HTTP_FOUND) {
        answer_unrouted(r, found);
        return;
    }
    r->family = r->match.route->family;
    if (app->admit == NULL || app->admit(r, r->match.route, app->ctx)) {
        r->match.route->handle(r, app->ctx);
    }
    if (r->status == 0) {
        http_fail(r, 500, "INTERNAL_ERROR", "The endpoint gave no answer");
    }
}

/* True when the server is draining. */
static bool enter(struct http_request *r)
{
    struct http_server *server = r->server;
    bool is_draining;

    (void)pthread_mutex_lock(&server->lock);
    r->next = server->active;
    if (server->active != NULL) {
        server->active->prev = r;
    }
    server->active = r;
    server->n_active++;
    is_draining = server->is_draining;
    (void)pthread_mutex_unlock(&server->lock);
    return is_draining;
}

static void leave(struct http_request *r)
{
    struct http_server *server = r->server;

    (void)pthread_mutex_lock(&server->lock);
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        server->active = r->next;
    }
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    server->n_active--;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

static void note(const struct http_request *r)
{
    const struct http_server *server = r->server;
    size_t at = r->match.route != NULL ? (size_t)(r->match.route - server->app->routes)
                                       : server->app->n_routes;
    int64_t us = clock_mono_us() - r->began_us;

    if (r->status / 100 < 6) {
        metric_add(server->metrics[at].by_class[r->status / 100], 1);
    }
    if (r->status != 101) {
        metric_observe_us(server->metrics[at].seconds, us);
    }
    if (server->app->done != NULL) {
        const struct http_done done = {
            r->info->request_method, r->info->local_uri_raw, r->status, us, r->bytes_out,
            r->match.route};

        server->app->done(r, &done, server->app->ctx);
    }
}

/* civetweb's "handle everything" hook: nothing of its own handling (files, uploads) ever runs. */
static int on_begin(struct mg_connection *conn)
{
    struct http_request r = {.conn = conn, .info = mg_get_request_info(conn)};
    struct log_field fields[] = {LOG_STR("request", r.id), {0}};

    http_note_answer(conn);
    r.server = mg_get_user_data(mg_get_context(conn));
    r.began_us = clock_mono_us();
    take_headers(&r);
    take_id(&r);
    fields[0].text = r.id;
    log_context(fields);
    serve(&r, enter(&r));
    note(&r);
    http_request_drain(&r);
    leave(&r);
    log_context(NULL);
    http_request_done(&r);
    return -1; /* handled; and do not read what is left of the body, however much it is */
}

static int on_log(const struct mg_connection *conn, const char *message)
{
    (void)conn;
    log_debug("civetweb", LOG_STR("text", message));
    return 1; /* said; civetweb prints nothing itself */
}

/* ---- the server ---- */

static void make_metrics(struct http_server *server)
{
    const struct http_app *app = server->app;

    server->metrics = mem_array0(app->n_routes + 1, sizeof(*server->metrics));
    for (size_t i = 0; i <= app->n_routes; i++) {
        const char *pattern = i < app->n_routes ? app->routes[i].pattern : "none";
        unsigned bit = i < app->n_routes ? (unsigned)app->routes[i].method : 0;
        const char *method = bit == HTTP_GET    ? "GET"
                             : bit == HTTP_POST ? "POST"
                             : bit == HTTP_PUT  ? "PUT"
                             : bit != 0         ? "DELETE"
                                                : "any";

        server->metrics[i].seconds =
            metric_histogram_for("kentongan_http_request_seconds", "From request to answer",
                                 "method=\"%s\",route=\"%s\"", method, pattern);
        for (int class = 0; class < 6; class ++) {
            server->metrics[i].by_class[class] = metric_counter_for(
                "kentongan_http_answers_total", "Answers by class of status",
                "method=\"%s\",route=\"%s\",class=\"%dxx\"", method, pattern, class);
        }
    }
}

static void fill_options(struct http_server *server, const struct http_options *given)
{
    struct http_options *o = &server->options;

    *o = *given;
    o->bind = given->bind != NULL ? given->bind : "127.0.0.1";
    o->threads = given->threads != 0 ? given->threads : THREADS_DEFAULT;
    o->websockets = given->websockets != 0 ? given->websockets : (o->threads + 1) / 2;
    o->websockets_each =
        given->websockets_each != 0 ? given->websockets_each : (o->websockets + 1) / 2;
    o->deadline_ms = given->deadline_ms != 0 ? given->deadline_ms : 10000;
    o->upload_deadline_ms = given->upload_deadline_ms != 0 ? given->upload_deadline_ms : 600000;
    o->ws_ping_ms = given->ws_ping_ms != 0 ? given->ws_ping_ms : 20000;
    o->ws_quiet_ms = given->ws_quiet_ms != 0 ? given->ws_quiet_ms : 60000;
    o->min_rate = given->min_rate != 0 ? given->min_rate : 1024;
    if (given->cors_origin != NULL && given->cors_origin[0] != 0) {
        server->cors_origin = mem_strdup(given->cors_origin);
    }
}

static int start_civetweb(struct http_server *server, struct err *err)
{
    char address[OPTION_TEXT_MAX];
    char threads[OPTION_TEXT_MAX];
    char header_bytes[OPTION_TEXT_MAX];
    char header_ms[OPTION_TEXT_MAX];
    const char *options[] = {"listening_ports",
                             address,
                             "num_threads",
                             threads,
                             "max_request_size",
                             header_bytes,
                             "request_timeout_ms",
                             header_ms,
                             "enable_keep_alive",
                             "no",
                             "decode_url",
                             "no",
                             "decode_query_string",
                             "no",
                             "enable_directory_listing",
                             "no",
                             "tcp_nodelay",
                             "1",
                             "connection_queue",
                             "128",
                             NULL};
    struct mg_callbacks callbacks = {.begin_request = on_begin,
                                     .http_error = http_on_error,
                                     .connection_close = http_on_closing,
                                     .log_message = on_log};

    (void)snprintf(address, sizeof(address), "%s:%d", server->options.bind, server->options.port);
    (void)snprintf(threads, sizeof(threads), "%u", server->options.threads);
    (void)snprintf(header_ms, sizeof(header_ms), "%d", HTTP_HEADER_SECONDS * 1000);
    (void)snprintf(header_bytes, sizeof(header_bytes), "%d", HTTP_HEADER_BYTES_MAX);
    (void)mg_init_library(MG_FEATURES_DEFAULT);
    server->mg = mg_start(&callbacks, server, options);
    if (server->mg == NULL) {
        return err_set(err, ERR_SYSTEM, "cannot listen on %s (taken, or not ours to use)", address);
    }
    return 0;
}

static void server_free(struct http_server *server)
{
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->lock);
    free(server->cors_origin);
    free(server->metrics);
    free(server);
}

int http_server_start(const struct http_options *options, const struct http_app *app,
                      struct http_server **out, struct err *err)
{
    struct http_server *server = mem_new0(sizeof(*server));
    pthread_condattr_t attr;
    int rc;

    server->app = app;
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    fill_options(server, options);
    make_metrics(server);
    rc = start_civetweb(server, err);
    if (rc < 0) {
        server_free(server);
        return rc;
    }
    if (pthread_create(&server->watch, NULL, http_watch_run, server) != 0) {
        mg_stop(server->mg);
        server_free(server);
        return err_set(err, ERR_SYSTEM, "no thread to watch connections");
    }
    *out = server;
    return 0;
}

int http_server_port(const struct http_server *server)
{
    struct mg_server_port port;

    return mg_get_server_ports(server->mg, 1, &port) == 1 ? port.port : 0;
}

unsigned http_server_stop(struct http_server **owner, int64_t timeout_ms)
{
    struct http_server *server = *owner;
    struct timespec until;
    unsigned left;

    if (server == NULL) {
        return 0;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    (void)pthread_mutex_lock(&server->lock);
    server->is_draining = true;
    for (struct http_request *r = server->active; r != NULL; r = r->next) {
        if (r->ws != NULL) {
            http_ws_end(r->ws);
        }
    }
    while (server->n_active > 0 &&
           pthread_cond_timedwait(&server->changed, &server->lock, &until) == 0) {
    }
    left = server->n_active;
    server->stopping = true;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_join(server->watch, NULL);
    mg_stop(server->mg);
    *owner = NULL;
    server_free(server);
    return left;
}
