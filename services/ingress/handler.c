#include "ingress/handler.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "ingress/account.h"
#include "ingress/rate.h"

const struct actor *actor_of(const struct http_request *request)
{
    return http_data(request);
}

static void answer_unauthorized(struct http_request *request)
{
    http_answer_header(request, "WWW-Authenticate", "Bearer");
    http_fail(request, 401, "UNAUTHORIZED", "Invalid or missing authentication token");
}

static const char *credential_of(const struct http_request *request, unsigned access)
{
    const char *header = http_bearer(http_header(request, "Authorization"));

    return header == NULL && access == ACCESS_SOCKET ? http_query(request, "token") : header;
}

/* False: over the limit, and answered. */
static bool take_token(struct ingress *ingress, struct http_request *request)
{
    const struct actor *actor = actor_of(request);
    struct http_problem problem = {429, "RATE_LIMITED", "Too many requests", 0};
    char principal[48];

    (void)snprintf(principal, sizeof(principal), "%s:%s", actor_kind_name(actor->kind), actor->id);
    problem.retry_after_s = rate_take(ingress->rate, principal, ingress->config->api_rate_per_min);
    if (problem.retry_after_s > 0) {
        http_fail_with(request, &problem);
    }
    return problem.retry_after_s == 0;
}

bool handler_admit(struct http_request *request, const struct http_route *route, void *ctx)
{
    struct ingress *ingress = ctx;
    const char *credential = credential_of(request, route->access);
    struct actor *actor;
    struct err err = {0};
    int rc;

    if (route->access == ACCESS_OPEN) {
        return true;
    }
    if (credential == NULL || credential[0] == 0) {
        answer_unauthorized(request);
        return false;
    }
    actor = arena_new0(http_arena(request), sizeof(*actor));
    rc = account_resolve(ingress, credential, actor, &err);
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

    (void)ctx;
    if (done->route != NULL && done->route->access == ACCESS_OPEN && done->status < 400 &&
        strcmp(done->method, "GET") == 0) {
        return; /* health checks and scrapes would fill the log */
    }
    log_info("request", LOG_STR("method", done->method), LOG_STR("path", done->path),
             LOG_INT("status", done->status), LOG_INT("us", done->us),
             LOG_INT("bytes", done->bytes_out), LOG_INT("user", actor != NULL ? actor->user_id : 0),
             LOG_STR("remote", http_remote(request)));
}

void handler_refuse(struct http_request *request, const struct refusal *why)
{
    const struct http_problem problem = {refusal_status(why->kind), why->code, why->text,
                                         why->kind == REFUSED_UNAVAILABLE ? 1 : 0};

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
