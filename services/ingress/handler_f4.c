#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "domain/phone.h"
#include "ingress/account.h"
#include "ingress/guard.h"
#include "ingress/handler.h"
#include "ingress/idempotency.h"
#include "ingress/session_query.h"
#include "ingress/usecase.h"
#include "ingress/view.h"
#include "ingress/watch.h"

#define FIELDS(list) (list), sizeof(list) / sizeof((list)[0])

/* ---- log in ---- */

struct login {
    const char *username;
    const char *password;
};

static const struct request_field login_fields[] = {
    REQUEST_TEXT(struct login, username, "username", true, 1, 100),
    REQUEST_TEXT(struct login, password, "password", true, 1, 256),
};

static void answer_token(struct ingress *ingress, struct http_request *request,
                         const struct actor *actor)
{
    int64_t now_s = clock_wall_ms() / 1000;
    struct token_claims claims = {.user_id = actor->user_id,
                                  .is_admin = actor->is_admin,
                                  .expires_s = now_s + ingress->config->jwt_ttl_s};
    struct buf token = {0};
    struct err err = {0};
    struct refusal why;

    (void)snprintf(claims.username, sizeof(claims.username), "%s", actor->username);
    if (token_sign(ingress->jwt_secret, &claims, now_s, &token, &err) < 0) {
        (void)refuse_store(&why, "the token", &err);
        handler_refuse(request, &why);
    } else {
        http_answer_json(request, 200,
                         json_pack("{s:b, s:s, s:{s:I, s:s}}", "success", 1, "token",
                                   buf_text(&token), "user", "id", (json_int_t)actor->user_id,
                                   "username", actor->username));
    }
    buf_wipe(&token);
}

/* A login that the guard let through. */
static void log_in(struct ingress *ingress, struct http_request *request, const struct login *login,
                   struct guard_try *try)
{
    struct actor actor;
    struct err err = {0};
    struct refusal why;
    int rc = account_log_in(ingress, login->username, login->password, &actor, &err);

    guard_end(ingress->guard, try,
              rc == 0              ? GUARD_RIGHT
              : rc == -ERR_REFUSED ? GUARD_WRONG
                                   : GUARD_UNKNOWN);
    if (rc == -ERR_REFUSED) {
        http_fail(request, 401, "UNAUTHORIZED", "Invalid username or password");
    } else if (rc < 0) {
        (void)refuse_store(&why, "PostgreSQL", &err);
        handler_refuse(request, &why);
    } else {
        answer_token(ingress, request, &actor);
    }
}

void on_login(struct http_request *request, void *ctx)
{
    const struct http_problem crowded = {503, "UNAVAILABLE", "Too many logins at once", 1};
    struct ingress *ingress = ctx;
    struct login login = {0};
    char client[CLIENT_MAX];
    struct guard_try try;
    json_t *body;
    int wait_s;

    if (!handler_body(request, FIELDS(login_fields), &login, &body)) {
        return;
    }
    wait_s =
        guard_login(ingress->guard, handler_client(request, ingress, client), login.username, &try);
    if (wait_s > 0) {
        handler_limited(request, wait_s);
    } else if (!guard_enter(ingress->guard, &try)) {
        guard_end(ingress->guard, &try, GUARD_UNKNOWN);
        http_fail_with(request, &crowded);
    } else {
        log_in(ingress, request, &login, &try);
    }
}

/* ---- sessions ---- */

void on_f4_sessions_list(struct http_request *request, void *ctx)
{
    struct session_row *rows = NULL;
    size_t n = 0;
    struct err err = {0};
    struct refusal why;
    json_t *list;

    if (session_list(ctx, actor_of(request)->user_id, http_arena(request), &rows, &n, &err) < 0) {
        (void)refuse_store(&why, "PostgreSQL", &err);
        handler_refuse(request, &why);
        return;
    }
    list = json_array();
    for (size_t i = 0; i < n; i++) {
        watch_row(ctx, &rows[i], http_arena(request));
        (void)json_array_append_new(list, view_f4_session(&rows[i]));
    }
    http_answer_json(request, 200, list);
}

static const struct request_field create_fields[] = {
    REQUEST_TEXT(struct session_draft, key, "id", false, 1, 64),
    REQUEST_TEXT(struct session_draft, name, "name", false, 0, 100),
    REQUEST_TEXT(struct session_draft, phone, "phone", false, 0, 32),
    REQUEST_TEXT(struct session_draft, webhook_url, "webhook_url", false, 0, 2048),
    REQUEST_TEXT(struct session_draft, webhook_secret, "webhook_secret", false, 1, 128),
};

void on_f4_sessions_create(struct http_request *request, void *ctx)
{
    const struct asker by = asker_of(request, ctx);
    struct session_draft draft = {0};
    struct idempotency idempotency;
    struct session_row row;
    const char *secret = NULL;
    struct refusal why;
    json_t *body;
    json_t *answer;

    if (!handler_body(request, FIELDS(create_fields), &draft, &body) ||
        !idempotency_begin(ctx, request, body, &idempotency)) {
        return;
    }
    draft.name = draft.name != NULL && draft.name[0] != 0 ? draft.name : NULL;
    draft.idempotency_key = idempotency.key;
    if (usecase_session_create(&by, &draft, &row, &secret, &why) < 0) {
        handler_refuse(request, &why);
        return;
    }
    answer = view_f4_session(&row);
    if (secret != NULL) { /* made just now: shown this once */
        (void)json_object_set_new(answer, "webhook_secret", json_string(secret));
    }
    idempotency_answer(ctx, request, &idempotency, 201, answer);
}

/* The session that the path names; false: answered. */
static bool take_session(struct http_request *request, struct ingress *ingress,
                         struct session_row *out)
{
    const struct asker by = asker_of(request, ingress);
    struct refusal why;

    if (usecase_session_get(&by, http_param(request, "id"), out, &why) < 0) {
        handler_refuse(request, &why);
        return false;
    }
    return true;
}

static void answer_done(struct http_request *request, const char *message)
{
    http_answer_json(request, 200, json_pack("{s:b, s:s}", "success", 1, "message", message));
}

void on_f4_session_get(struct http_request *request, void *ctx)
{
    struct session_row row;

    if (take_session(request, ctx, &row)) {
        watch_row(ctx, &row, http_arena(request));
        http_answer_json(request, 200, view_f4_session(&row));
    }
}

static bool act(struct http_request *request, void *ctx, enum session_act what,
                struct session_row *row)
{
    const struct asker by = asker_of(request, ctx);
    struct refusal why;

    if (!take_session(request, ctx, row)) {
        return false;
    }
    if (usecase_session_act(&by, row, what, &why) < 0) {
        handler_refuse(request, &why);
        return false;
    }
    return true;
}

void on_f4_session_delete(struct http_request *request, void *ctx)
{
    struct session_row row;

    if (act(request, ctx, SESSION_ACT_DELETE, &row)) {
        answer_done(request, "Session deleted successfully");
    }
}

void on_f4_session_disconnect(struct http_request *request, void *ctx)
{
    struct session_row row;

    if (act(request, ctx, SESSION_ACT_DISCONNECT, &row)) {
        answer_done(request, "Session disconnected successfully");
    }
}

void on_f4_session_connect(struct http_request *request, void *ctx)
{
    const char *proto = http_header(request, "X-Forwarded-Proto");
    struct session_row row;

    if (act(request, ctx, SESSION_ACT_CONNECT, &row)) {
        const char *scheme = proto != NULL && strcasecmp(proto, "https") == 0 ? "wss" : "ws";

        watch_session(ctx, row.uuid, http_arena(request));
        http_answer_json(request, 200,
                         json_pack("{s:b, s:s, s:o}", "success", 1, "message", "Connection started",
                                   "websocket_url",
                                   json_sprintf("%s://%s/api/ws/%s", scheme,
                                                http_header(request, "Host"), row.session_key)));
    }
}

struct renaming {
    const char *name;
};

static const struct request_field renaming_fields[] = {
    REQUEST_TEXT(struct renaming, name, "name", true, 1, 100),
};

void on_f4_session_name(struct http_request *request, void *ctx)
{
    const struct asker by = asker_of(request, ctx);
    struct renaming in = {0};
    struct session_row row;
    struct refusal why;
    json_t *body;

    if (!handler_body(request, FIELDS(renaming_fields), &in, &body) ||
        !take_session(request, ctx, &row)) {
        return;
    }
    if (usecase_session_rename(&by, &row, in.name, &why) < 0) {
        handler_refuse(request, &why);
    } else {
        answer_done(request, "Session name updated successfully");
    }
}

struct hooking {
    const char *url;
    const char *secret;
};

static const struct request_field hooking_fields[] = {
    REQUEST_TEXT(struct hooking, url, "webhook_url", true, 0, 2048),
    REQUEST_TEXT(struct hooking, secret, "webhook_secret", false, 1, 128),
};

void on_f4_session_webhook(struct http_request *request, void *ctx)
{
    const struct asker by = asker_of(request, ctx);
    struct hooking in = {0};
    struct session_row row;
    const char *made = NULL;
    struct refusal why;
    json_t *body;
    json_t *answer;

    if (!handler_body(request, FIELDS(hooking_fields), &in, &body) ||
        !take_session(request, ctx, &row)) {
        return;
    }
    if (usecase_session_webhook(&by, &row, in.url, in.secret, &made, &why) < 0) {
        handler_refuse(request, &why);
        return;
    }
    answer = json_pack("{s:b, s:s}", "success", 1, "message", "Webhook URL updated successfully");
    if (made != NULL) {
        (void)json_object_set_new(answer, "webhook_secret", json_string(made));
    }
    http_answer_json(request, 200, answer);
}

/* ---- sending ---- */

struct sending {
    const char *phone;
    const char *recipient;
    const char *message;
};

static const struct request_field send_fields[] = {
    REQUEST_TEXT(struct sending, recipient, "recipient", true, 1, 128),
    REQUEST_TEXT(struct sending, message, "message", true, 1, 65536),
};
static const struct request_field send_by_phone_fields[] = {
    REQUEST_TEXT(struct sending, phone, "phone", true, 1, 32),
    REQUEST_TEXT(struct sending, recipient, "recipient", true, 1, 128),
    REQUEST_TEXT(struct sending, message, "message", true, 1, 65536),
};

static void answer_not_logged_in(struct http_request *request)
{
    http_fail(request, 404, "NOT_LOGGED_IN", "Session not found or not logged in");
}

static void send_from(struct http_request *request, struct ingress *ingress,
                      const struct session_row *session, const struct sending *in,
                      const struct idempotency *idempotency)
{
    const struct asker by = asker_of(request, ingress);
    const struct message_draft draft = {in->recipient, in->message, idempotency->key};
    struct message_fate sent = {0};
    struct refusal why;

    if (usecase_send(&by, session, &draft, &sent, &why) < 0) {
        /* whatever keeps the session from sending is a 404 in this family */
        if (why.kind == REFUSED_CONFLICT || why.kind == REFUSED_NOT_FOUND) {
            answer_not_logged_in(request);
        } else {
            handler_refuse(request, &why);
        }
        return;
    }
    idempotency_answer(ingress, request, idempotency, 200,
                       json_pack("{s:b, s:s, s:s, s:s}", "success", 1, "message",
                                 sent.is_sent ? "Message sent successfully" : "Message queued",
                                 "message_id", sent.message_id, "session_id",
                                 session->session_key));
}

void on_f4_session_send(struct http_request *request, void *ctx)
{
    const struct asker by = asker_of(request, ctx);
    struct idempotency idempotency;
    struct sending in = {0};
    struct session_row row;
    struct refusal why;
    json_t *body;

    if (!handler_body(request, FIELDS(send_fields), &in, &body) ||
        !idempotency_begin(ctx, request, body, &idempotency)) {
        return;
    }
    if (usecase_session_get(&by, http_param(request, "id"), &row, &why) == 0) {
        send_from(request, ctx, &row, &in, &idempotency);
    } else if (why.kind == REFUSED_NOT_FOUND) {
        answer_not_logged_in(request);
    } else {
        handler_refuse(request, &why);
    }
}

void on_f4_send(struct http_request *request, void *ctx)
{
    struct idempotency idempotency;
    struct sending in = {0};
    struct session_row row;
    char phone[PHONE_MAX];
    struct err err = {0};
    struct refusal why;
    json_t *body;
    int rc;

    if (!handler_body(request, FIELDS(send_by_phone_fields), &in, &body) ||
        !idempotency_begin(ctx, request, body, &idempotency)) {
        return;
    }
    if (phone_parse(in.phone, phone) < 0) {
        http_fail(request, 400, "INVALID_REQUEST",
                  "phone must be an international number with its country code");
        return;
    }
    rc =
        session_find_phone(ctx, actor_of(request)->user_id, phone, http_arena(request), &row, &err);
    if (rc == -ERR_NOT_FOUND) {
        answer_not_logged_in(request);
    } else if (rc < 0) {
        (void)refuse_store(&why, "PostgreSQL", &err);
        handler_refuse(request, &why);
    } else {
        send_from(request, ctx, &row, &in, &idempotency);
    }
}
