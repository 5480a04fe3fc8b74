#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/http_internal.h"
#include "http/http_json.h"

enum {
    DRAIN_MS = 2000 /* for what is left of a body that nobody wants */
};

const char *http_method_name(const struct http_request *request)
{
    return request->info->request_method;
}

const char *http_path(const struct http_request *request)
{
    return request->info->local_uri_raw;
}

const char *http_param(const struct http_request *request, const char *name)
{
    return http_pairs_find(&request->match.params, name, false);
}

const char *http_query(const struct http_request *request, const char *name)
{
    return http_pairs_find(&request->query, name, false);
}

static int by_name_and_value(const void *a, const void *b)
{
    const struct http_pair *one = a;
    const struct http_pair *two = b;
    int order = strcmp(one->name, two->name);

    return order != 0 ? order : strcmp(one->value, two->value);
}

void http_query_canonical(const struct http_request *request, struct buf *out)
{
    size_t n = request->query.n;
    struct http_pair *sorted = mem_array0(n + 1, sizeof(*sorted));

    if (n > 0) {
        memcpy(sorted, request->query.at, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), by_name_and_value);
    }
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%zu:%s=%zu:%s\n", strlen(sorted[i].name), sorted[i].name,
                 strlen(sorted[i].value), sorted[i].value);
    }
    free(sorted);
}

const char *http_header(const struct http_request *request, const char *name)
{
    return http_pairs_find(&request->headers, name, true);
}

const char *http_header_all(const struct http_request *request, const char *name,
                            struct arena *arena)
{
    const char *all = NULL;

    for (size_t i = 0; i < request->headers.n; i++) {
        const struct http_pair *header = &request->headers.at[i];

        if (strcasecmp(header->name, name) == 0) {
            all = all == NULL ? header->value : arena_printf(arena, "%s, %s", all, header->value);
        }
    }
    return all;
}

const char *http_remote(const struct http_request *request)
{
    return request->info->remote_addr;
}

const struct http_route *http_route_of(const struct http_request *request)
{
    return request->match.route;
}

struct arena *http_arena(struct http_request *request)
{
    return &request->arena;
}

void http_set_data(struct http_request *request, void *data)
{
    request->data = data;
}

void *http_data(const struct http_request *request)
{
    return request->data;
}

/* ---- body ---- */

static size_t body_max(const struct http_request *request)
{
    const struct http_route *route = request->match.route;
    size_t max = 0;

    if (route != NULL) {
        max = request->is_json ? route->json_max : route->body_max;
    }
    return max != 0 ? max : HTTP_BODY_MAX;
}

static bool is_upload(const struct http_request *request)
{
    return body_max(request) > HTTP_BODY_MAX;
}

/* A peer that asked waits for this line before it sends the body. */
static void say_continue(struct http_request *request)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const char *expect = http_header(request, "Expect");

    if (!request->said_continue && expect != NULL && request->body_read == 0) {
        (void)mg_write(request->conn, line, sizeof(line) - 1);
    }
    request->said_continue = true;
}

static bool has_body_left(const struct http_request *request)
{
    return !request->body_at_end && !request->body_failed &&
           (request->framing.is_chunked || request->body_read < request->framing.content_length);
}

/* One mg_read under the watch. */
static int64_t read_some(struct http_request *request, void *to, size_t n, int64_t ms,
                         struct err *err)
{
    int got;

    http_watch_begin(request, ms, true);
    got = mg_read(request->conn, to, n);
    http_watch_end(request);
    if (got > 0) {
        request->body_read += got;
        atomic_fetch_add(&request->watch_bytes, got);
        return got;
    }
    request->body_at_end = true;
    if (atomic_load(&request->was_cut)) {
        request->body_failed = true;
        return err_set(err, ERR_TIMEOUT, "the body came too slowly: %lld bytes",
                       (long long)request->body_read);
    }
    if (got == 0 && request->framing.is_chunked) {
        return 0;
    }
    request->body_failed = true; /* civetweb waits 5 s for a byte, then gives up like this */
    return err_set(err, ERR_CLOSED, "the body ended after %lld bytes%s",
                   (long long)request->body_read,
                   request->framing.is_chunked ? ", or has a malformed chunk there" : "");
}

int64_t http_read(struct http_request *request, void *to, size_t n, struct err *err)
{
    const struct http_options *options = &request->server->options;
    int64_t limit = (int64_t)body_max(request);
    int64_t ms = is_upload(request) ? options->upload_deadline_ms : options->deadline_ms;
    int64_t took = (clock_mono_us() - request->began_us) / 1000;
    int64_t got;

    if (request->framing.content_length > limit) {
        return err_set(err, ERR_LIMIT, "the body is %lld bytes, at most %lld are taken",
                       (long long)request->framing.content_length, (long long)limit);
    }
    if (!has_body_left(request)) {
        return request->body_failed ? err_set(err, ERR_CLOSED, "the body ended early") : 0;
    }
    say_continue(request);
    if (n > (size_t)(limit - request->body_read) + 1) {
        n = (size_t)(limit - request->body_read) + 1;
    }
    got = read_some(request, to, n, ms - took, err);
    if (got > 0 && request->body_read > limit) {
        return err_set(err, ERR_LIMIT, "the body is over %lld bytes", (long long)limit);
    }
    return got;
}

int http_json(struct http_request *request, struct json_t **out, struct err *err)
{
    struct buf body = {0};
    int64_t got = 1;
    int rc = 0;

    if (request->json != NULL) {
        *out = request->json;
        return 0;
    }
    request->is_json = true;
    while (got > 0) {
        enum { STEP = 16 * 1024 };

        got = http_read(request, buf_room(&body, STEP), STEP, err);
        if (got > 0) {
            buf_used(&body, (size_t)got);
        }
    }
    rc = got < 0 ? (int)got : http_json_parse(buf_bytes(&body), &request->json, err);
    buf_wipe(&body); /* it may be a password */
    if (rc == 0) {
        *out = request->json;
    }
    return rc;
}

void http_request_drain(struct http_request *request)
{
    char waste[16384];
    int64_t until = clock_mono_ms() + DRAIN_MS;

    if (!request->said_continue && http_header(request, "Expect") != NULL) {
        return; /* it waits for a word and will see the answer instead */
    }
    while (has_body_left(request) && clock_mono_ms() < until) {
        if (read_some(request, waste, sizeof(waste), until - clock_mono_ms(), NULL) <= 0) {
            break;
        }
    }
}

void http_request_done(struct http_request *request)
{
    json_decref(request->json);
    arena_done(&request->arena);
}
