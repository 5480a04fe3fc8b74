#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "domain/blast.h"
#include "ingress/blast_query.h"
#include "ingress/handler.h"
#include "ingress/request.h"
#include "ingress/usecase.h"
#include "ingress/view.h"

static const struct request_number limit_rule = {"limit", 1, 1000, 50};
static const struct request_number offset_rule = {"offset", 0, INT64_MAX, 0};

/* S0-6 to S0-9; false: answered. */
static bool take_page(struct http_request *request, struct page *out)
{
    struct err err = {0};

    if (request_number(&limit_rule, http_query(request, "limit"), &out->limit, &err) < 0 ||
        request_number(&offset_rule, http_query(request, "offset"), &out->offset, &err) < 0) {
        http_fail(request, 400, "INVALID_PAGINATION", "%s", err.text);
        return false;
    }
    return true;
}

/* S0-4, S0-5: *@out is NULL for no filter. */
static bool take_status(struct http_request *request, const char **out)
{
    const char *text = http_query(request, "status");
    enum blast_status status;

    *out = NULL;
    if (text == NULL || text[0] == 0) {
        return true;
    }
    if (!blast_status_parse(text, &status)) {
        http_fail(request, 400, "INVALID_STATUS",
                  "status must be one of IDLE, RUNNING, PAUSED, COMPLETED, STOPPED, FAILED");
        return false;
    }
    *out = blast_status_name(status);
    return true;
}

static void answer_store(struct http_request *request, const char *message, const struct err *err)
{
    struct refusal why;

    (void)refuse_store(&why, "PostgreSQL", err);
    if (why.kind == REFUSED_INTERNAL) {
        (void)refuse(&why, REFUSED_INTERNAL, "INTERNAL_ERROR", "%s", message);
    }
    handler_refuse(request, &why);
}

void on_f0_list(struct http_request *request, void *ctx)
{
    struct blast_filter filter = {0};
    struct blast_rows rows = {0};
    struct page page = {0};
    struct err err = {0};
    json_t *sessions;

    if (!take_status(request, &filter.status) || !take_page(request, &page)) {
        return;
    }
    filter.limit = page.limit;
    filter.offset = page.offset;
    if (blast_list(ctx, actor_of(request)->user_id, &filter, http_arena(request), &rows, &err) <
        0) {
        answer_store(request, "Failed to fetch blast sessions", &err);
        return;
    }
    sessions = json_array();
    for (size_t i = 0; i < rows.n; i++) {
        (void)json_array_append_new(sessions, view_f0_blast(&rows.at[i]));
    }
    page.total = rows.total;
    http_answer_json(request, 200,
                     json_pack("{s:b, s:{s:o, s:o}}", "success", 1, "data", "sessions", sessions,
                               "pagination", view_f0_page(&page, (int64_t)rows.n)));
}

/* The blast that the path names; false: answered. */
static bool take_blast(struct http_request *request, void *ctx, struct blast_row *out)
{
    const struct asker by = asker_of(request, ctx);
    struct refusal why;

    if (usecase_blast_get(&by, http_param(request, "sessionId"), out, &why) < 0) {
        handler_refuse(request, &why);
        return false;
    }
    return true;
}

void on_f0_get(struct http_request *request, void *ctx)
{
    struct blast_row blast;

    if (take_blast(request, ctx, &blast)) {
        http_answer_json(
            request, 200,
            json_pack("{s:b, s:{s:o}}", "success", 1, "data", "session", view_f0_blast(&blast)));
    }
}

/* ---- control ---- */

static void control(struct http_request *request, void *ctx, enum blast_act act,
                    const char *message)
{
    const struct asker by = asker_of(request, ctx);
    struct blast_row blast;
    struct refusal why;
    json_t *answer;

    if (!take_blast(request, ctx, &blast)) {
        return;
    }
    if (usecase_blast_act(&by, act, &blast, &why) < 0) {
        handler_refuse(request, &why);
        return;
    }
    answer = json_pack("{s:b, s:s}", "success", 1, "message", message);
    if (act != BLAST_ACT_DELETE) {
        (void)json_object_set_new(answer, "data",
                                  json_pack("{s:o}", "session", view_f0_blast(&blast)));
    }
    http_answer_json(request, 200, answer);
}

void on_f0_start(struct http_request *request, void *ctx)
{
    control(request, ctx, BLAST_ACT_START, "Session started successfully");
}

void on_f0_pause(struct http_request *request, void *ctx)
{
    control(request, ctx, BLAST_ACT_PAUSE, "Session paused successfully");
}

void on_f0_resume(struct http_request *request, void *ctx)
{
    control(request, ctx, BLAST_ACT_RESUME, "Session resumed successfully");
}

void on_f0_stop(struct http_request *request, void *ctx)
{
    control(request, ctx, BLAST_ACT_STOP, "Session stopped successfully");
}

void on_f0_delete(struct http_request *request, void *ctx)
{
    control(request, ctx, BLAST_ACT_DELETE, "Blast session deleted successfully");
}

/* ---- messages ---- */

void on_f0_messages(struct http_request *request, void *ctx)
{
    struct message_filter filter = {.status = http_query(request, "status")};
    struct message_rows rows = {0};
    struct blast_row blast;
    struct page page = {0};
    struct err err = {0};
    json_t *messages;

    filter.status = filter.status != NULL && filter.status[0] != 0 ? filter.status : NULL;
    if (filter.status != NULL && view_f0_stored_statuses(filter.status) == NULL) {
        http_fail(request, 400, "INVALID_STATUS",
                  "status must be one of pending, sent, delivered, read, failed, skipped, "
                  "cancelled");
        return;
    }
    if (!take_page(request, &page) || !take_blast(request, ctx, &blast)) {
        return;
    }
    filter.limit = page.limit;
    filter.offset = page.offset;
    if (message_list(ctx, blast.uuid, &filter, http_arena(request), &rows, &err) < 0) {
        answer_store(request, "Failed to fetch messages", &err);
        return;
    }
    messages = json_array();
    for (size_t i = 0; i < rows.n; i++) {
        (void)json_array_append_new(messages, view_f0_message(&rows.at[i], http_arena(request)));
    }
    page.total = rows.total;
    http_answer_json(request, 200,
                     json_pack("{s:b, s:{s:o, s:o}}", "success", 1, "data", "messages", messages,
                               "pagination", view_f0_page(&page, (int64_t)rows.n)));
}
