#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/http_internal.h"

enum { ANSWER_MS = 30 * 1000, MESSAGE_MAX = 512 };

static const struct {
    int status;
    const char *text;
} reasons[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Payload Too Large"},
    {422, "Unprocessable Entity"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return status >= 500 ? "Internal Server Error" : "Error";
}

static void add_date(struct buf *out)
{
    char text[64];
    struct tm tm;
    time_t now = (time_t)(clock_wall_ms() / 1000);

    if (gmtime_r(&now, &tm) != NULL &&
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0) {
        buf_addf(out, "Date: %s\r\n", text);
    }
}

void http_head(const struct http_request *request, int status, const char *type, size_t n,
               struct buf *out)
{
    buf_addf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    add_date(out);
    if (status != 101) {
        buf_add_str(out, "Connection: close\r\n");
    }
    if (type != NULL) {
        buf_addf(out, "Content-Type: %s\r\n", type);
    }
    if (status != 101 && status != 204) {
        buf_addf(out, "Content-Length: %zu\r\n", n);
    }
    buf_addf(out,
             "X-Request-Id: %s\r\n"
             "X-Content-Type-Options: nosniff\r\n",
             request->id);
    if (request->server->cors_origin != NULL) {
        buf_addf(out,
                 "Access-Control-Allow-Origin: %s\r\n"
                 "Access-Control-Expose-Headers: X-Request-Id, X-Total-Count, Retry-After\r\n",
                 request->server->cors_origin);
    }
    for (size_t i = 0; i < request->n_extra; i++) {
        buf_addf(out, "%s: %s\r\n", request->extra[i].name, request->extra[i].value);
    }
    buf_add_str(out, "\r\n");
}

void http_send(struct http_request *request, const struct buf *bytes)
{
    http_watch_begin(request, ANSWER_MS, false);
    (void)mg_write(request->conn, bytes->p, bytes->n);
    http_watch_end(request);
    request->bytes_out += bytes->n;
}

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
    if (request->n_extra < HTTP_ANSWER_HEADERS_MAX && strpbrk(value, "\r\n") == NULL) {
        request->extra[request->n_extra].name = arena_strdup(&request->arena, name);
        request->extra[request->n_extra++].value = arena_strdup(&request->arena, value);
    }
}

void http_answer(struct http_request *request, int status, const char *type, struct bytes body)
{
    struct buf out = {0};

    if (request->status != 0) {
        return; /* the first answer stands */
    }
    request->status = status;
    http_head(request, status, type, body.n, &out);
    if (strcmp(request->info->request_method, "HEAD") != 0) {
        buf_add(&out, body.p, body.n);
    }
    http_send(request, &out);
    buf_done(&out);
}

void http_answer_json(struct http_request *request, int status, struct json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    json_decref(body);
    http_answer_header(request, "Cache-Control", "no-store");
    http_answer(request, status, "application/json; charset=utf-8",
                (struct bytes){(const uint8_t *)text, text != NULL ? strlen(text) : 0});
    free(text);
}

void http_fail_with(struct http_request *request, const struct http_problem *problem)
{
    const struct http_family *family = &request->server->app->families[request->family];
    char seconds[16];

    if (problem->retry_after_s > 0) {
        (void)snprintf(seconds, sizeof(seconds), "%d", problem->retry_after_s);
        http_answer_header(request, "Retry-After", seconds);
    }
    http_answer_json(request, problem->status, family->render(problem));
}

void http_fail(struct http_request *request, int status, const char *code, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    struct http_problem problem = {status, code, message, 0};
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    http_fail_with(request, &problem);
}

void http_fail_body(struct http_request *request, const struct err *err)
{
    if (err->code == -ERR_LIMIT && request->json == NULL) {
        http_fail(request, 413, "PAYLOAD_TOO_LARGE", "%s", err->text);
    } else if (err->code == -ERR_TIMEOUT) {
        http_fail(request, 408, "REQUEST_TIMEOUT", "%s", err->text);
    } else {
        http_fail(request, 400, "INVALID_REQUEST", "%s", err->text);
    }
}
