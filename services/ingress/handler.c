#include "ingress/handler.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "ingress/account.h"
#include "ingress/family.h"
#include "ingress/rate.h"
#include "ingress/usecase.h"

const struct actor *actor_of(const struct http_request *request)
{
    return http_data(request);
}

struct asker asker_of(struct http_request *request, void *ctx)
{
    return (struct asker){ctx, actor_of(request), http_arena(request)};
}

static void answer_unauthorized(struct http_request *request)
{
    http_answer_header(request, "WWW-Authenticate", "Bearer");
    http_fail(request, 401, "UNAUTHORIZED", "Invalid or missing authentication token");
}

const char *handler_credential(const struct http_request *request)
{
    const char *header = http_bearer(http_header(request, "Authorization"));
    bool is_socket = http_route_of(request)->access == ACCESS_SOCKET;

    return header == NULL && is_socket ? http_query(request, "token") : header;
}

const char *handler_client(const struct http_request *request, const struct ingress *ingress,
                           char out[CLIENT_MAX])
{
    struct arena arena = {0};

    client_address(http_remote(request), http_header_all(request, "X-Forwarded-For", &arena),
                   &ingress->proxies, out);
    arena_done(&arena);
    return out;
}

void handler_limited(struct http_request *request, int retry_after_s)
{
    const bool is_f0 = http_route_of(request)->family == FAMILY_F0;
    const struct http_problem problem = {
        429, "RATE_LIMITED", is_f0 ? "Too many requests" : "Rate limit exceeded", retry_after_s};

    http_fail_with(request, &problem);
}

/* False: over the limit, and answered. */
static bool take_token(struct ingress *ingress, struct http_request *request)
{
    const struct actor *actor = actor_of(request);
    char principal[48];
    int wait_s;

    (void)snprintf(principal, sizeof(principal), "%s:%s", actor_kind_name(actor->kind), actor->id);
    wait_s = rate_take(ingress->rate, principal, ingress->config->api_rate_per_min);
    if (wait_s > 0) {
        handler_limited(request, wait_s);
    }
    return wait_s == 0;
}

bool handler_admit(struct http_request *request, const struct http_route *route, void *ctx)
{
    struct ingress *ingress = ctx;
    const char *credential = handler_credential(request);
    struct actor *actor;
    char client[CLIENT_MAX];
    struct err err = {0};
    int wait_s = 0;
    int rc;

    if (route->access == ACCESS_OPEN) {
        return true;
    }
    if (credential == NULL || credential[0] == 0) {
        answer_unauthorized(request);
        return false;
    }
    actor = arena_new0(http_arena(request), sizeof(*actor));
    rc = account_resolve(ingress, credential, handler_client(request, ingress, client), actor,
                         &wait_s, &err);
    if (wait_s > 0) {
        handler_limited(request, wait_s);
        return false;
    }
    if (rc == -ERR_REFUSED) {
        answer_unauthorized(request);
        return false;
    }
    if (rc < 0) {
        struct refusal why;

        (void)refuse_store(&why, "PostgreSQL", &err);
        handler_refuse(request, &why);
        return false;
    }
    http_set_data(request, actor);
    return take_token(ingress, request);
}

void handler_done(const struct http_request *request, const struct http_done *done, void *ctx)
{
    const struct actor *actor = actor_of(request);
    char text[CLIENT_MAX];
    const char *client = handler_client(request, ctx, text);

    if (done->route != NULL && done->route->access == ACCESS_OPEN && done->status < 400 &&
        strcmp(done->method, "GET") == 0) {
        return; /* health checks and scrapes would fill the log */
    }
    log_info("request", LOG_STR("method", done->method), LOG_STR("path", done->path),
             LOG_INT("status", done->status), LOG_INT("us", done->us),
             LOG_INT("bytes", done->bytes_out), LOG_INT("user", actor != NULL ? actor->user_id : 0),
             LOG_STR("client", client));
}

void handler_refuse(struct http_request *request, const struct refusal *why)
{
    const bool is_limit = why->kind == REFUSED_LIMIT; /* a decider's, whatever it calls it */
    const struct http_problem problem = {refusal_status(why->kind),
                                         is_limit ? "RATE_LIMITED" : why->code, why->text,
                                         is_limit || why->kind == REFUSED_UNAVAILABLE ? 1 : 0};

    http_fail_with(request, &problem);
}

bool handler_body(struct http_request *request, const struct request_field *fields, size_t n,
                  void *to, struct json_t **body)
{
    struct err err = {0};
    int rc = http_json(request, body, &err);

    if (rc < 0) {
        http_fail_body(request, &err);
        return false;
    }
    rc = request_read(fields, n, *body, to, &err);
    if (rc < 0) {
        http_fail(request, 400, "INVALID_REQUEST", "%s", err.text);
    }
    return rc == 0;
}
