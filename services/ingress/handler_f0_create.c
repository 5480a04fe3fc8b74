/* POST /api/blast-control/sessions: one endpoint, two forms of body. JSON holds everything; with
 * text/csv the body is the recipients, streamed, and the other members are in the query. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "ingress/csv.h"
#include "ingress/handler.h"
#include "ingress/idempotency.h"
#include "ingress/recipient.h"
#include "ingress/usecase.h"
#include "ingress/view.h"

enum {
    JSON_RECIPIENTS_MAX = 100000, /* a CSV may have more */
    JSON_AT_ONCE = 4,             /* bodies of this form are kept in memory as a whole */
    ROWS_REPORTED = 100,          /* bad rows that the answer tells of */
    READ_BYTES = 32 * 1024
};

static json_t *created(const struct blast_row *blast)
{
    return json_pack("{s:b, s:s, s:{s:o}}", "success", 1, "message",
                     "Blast session created successfully", "data", "session", view_f0_blast(blast));
}

static void answer_refused_create(struct http_request *request, const struct refusal *why)
{
    struct refusal told = *why;

    if (strcmp(why->code, "NOT_FOUND") == 0 ||
        strcmp(why->code, "WHATSAPP_SESSION_NOT_FOUND") == 0) {
        (void)refuse(&told, REFUSED_NOT_FOUND, "WHATSAPP_SESSION_NOT_FOUND",
                     "WhatsApp session not found");
    }
    handler_refuse(request, &told);
}

/* ---- JSON ---- */

struct json_creation {
    struct blast_draft draft;
    json_t *recipients;
    json_t *config;
};

static const struct request_field json_fields[] = {
    REQUEST_TEXT(struct json_creation, draft.session, "whatsappSessionId", true, 1, 64),
    REQUEST_TEXT(struct json_creation, draft.campaign_name, "campaignName", true, 1, 200),
    REQUEST_TEXT(struct json_creation, draft.message_template, "messageTemplate", true, 1, 4096),
    REQUEST_ARRAY(struct json_creation, recipients, "messageList", true, 1, JSON_RECIPIENTS_MAX),
    REQUEST_OBJECT(struct json_creation, config, "config"),
    REQUEST_BOOL(struct json_creation, draft.auto_start, "autoStart"),
    REQUEST_TEXT(struct json_creation, draft.campaign_id, "campaignId", false, 1, 64),
};

static int add_json_recipients(struct blast_making *making, json_t *list, struct refusal *why)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        struct recipient recipient;
        struct err err = {0};

        if (recipient_from_json(item, &making->upload.arena, &recipient, &err) < 0) {
            return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "messageList[%zu]: %s", i,
                          err.text);
        }
        if (upload_add(&making->upload, &recipient, why) < 0) {
            return -1;
        }
    }
    return 0;
}

static void create_from_json(struct http_request *request, struct ingress *ingress)
{
    const struct asker by = asker_of(request, ingress);
    struct json_creation in = {0};
    struct idempotency idempotency;
    struct blast_making *making = arena_new0(http_arena(request), sizeof(*making));
    struct blast_row blast;
    struct refusal why;
    json_t *body;
    char *config = NULL;
    int rc;

    if (!handler_body(request, json_fields, sizeof(json_fields) / sizeof(json_fields[0]), &in,
                      &body) ||
        !idempotency_begin(ingress, request, body, &idempotency)) {
        return;
    }
    config = in.config != NULL ? json_dumps(in.config, JSON_COMPACT) : NULL;
    in.draft.config = config;
    in.draft.idempotency_key = idempotency.key;
    rc = usecase_blast_open(making, &by, &in.draft, &why);
    if (rc == 0) {
        rc = add_json_recipients(making, in.recipients, &why);
    }
    if (rc == 0) {
        rc = usecase_blast_create(making, &blast, &why);
    }
    if (rc == 0) {
        idempotency_answer(ingress, request, &idempotency, 201, created(&blast));
    } else {
        answer_refused_create(request, &why);
    }
    usecase_blast_close(making);
    free(config);
}

/* ---- CSV ---- */

struct csv_creation {
    struct blast_making *making;
    bool skip_bad_rows;
    bool has_header;
    struct recipient_columns columns;
    struct arena *arena; /* of the request: for the header */
    int64_t bad_rows;
    json_t *bad; /* the first of them */
    struct refusal *why;
};

static int on_bad_row(struct csv_creation *in, int64_t line, const char *problem)
{
    if (!in->skip_bad_rows) {
        return refuse(in->why, REFUSED_INVALID, "INVALID_REQUEST", "line %lld: %s", (long long)line,
                      problem);
    }
    in->bad_rows++;
    if (json_array_size(in->bad) < ROWS_REPORTED) {
        (void)json_array_append_new(
            in->bad, json_pack("{s:I, s:s}", "line", (json_int_t)line, "message", problem));
    }
    return upload_tidy(&in->making->upload, in->why);
}

/* Refusals go to in->why; the parser stops at the negative return. */
static int on_row(const struct csv_row *row, void *ctx, struct err *err)
{
    struct csv_creation *in = ctx;
    struct recipient recipient;
    struct err problem = {0};
    int rc;

    (void)err;
    if (!in->has_header) {
        in->has_header = true;
        rc = recipient_header(row, in->arena, &in->columns, &problem);
        return rc == 0 ? 0
                       : refuse(in->why, REFUSED_INVALID, "INVALID_REQUEST", "line %lld: %s",
                                (long long)row->line, problem.text);
    }
    rc = recipient_from_row(&in->columns, row, &in->making->upload.arena, &recipient, &problem);
    return rc == 0 ? upload_add(&in->making->upload, &recipient, in->why)
                   : on_bad_row(in, row->line, problem.text);
}

/* 0; -1 and *@why; or a negative ERR_* of the body in *@err with @why untouched (-2). */
static int read_rows(struct http_request *request, struct csv_creation *in, struct err *err)
{
    char *part = arena_new0(in->arena, READ_BYTES); /* threads have small stacks */
    struct csv csv;
    int64_t got = 1;
    int rc = 0;

    in->why->code[0] = 0;
    csv_init(&csv, on_row, in);
    while (rc == 0 && got > 0) {
        got = http_read(request, part, READ_BYTES, err);
        if (got > 0) {
            rc = csv_feed(&csv, (struct bytes){(const uint8_t *)part, (size_t)got}, err);
        }
    }
    if (rc == 0 && got == 0) {
        rc = csv_end(&csv, err);
    }
    csv_done(&csv);
    if (got < 0) {
        return -2;
    }
    if (rc < 0 && in->why->code[0] == 0) { /* the parser's own complaint */
        return refuse(in->why, REFUSED_INVALID, "INVALID_REQUEST", "%s", err->text);
    }
    return rc;
}

/* A file without a single good row: why there is nobody to send to. */
static int check_rows(const struct csv_creation *in, struct refusal *why)
{
    const json_t *first = json_array_get(in->bad, 0);

    if (in->making->upload.total > 0) {
        return 0;
    }
    if (!in->has_header) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "There are no recipients: the file is empty, not even a header row is there");
    }
    if (first == NULL) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "There are no recipients: no row follows the header row");
    }
    return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                  "There are no recipients: %lld rows were skipped, the first of them on line "
                  "%" JSON_INTEGER_FORMAT ": %s",
                  (long long)in->bad_rows, json_integer_value(json_object_get(first, "line")),
                  json_string_value(json_object_get(first, "message")));
}

/* false: answered. */
static bool take_query(struct http_request *request, struct blast_draft *draft, bool *skip)
{
    const char *bad_row = http_query(request, "onBadRow");
    const char *start = http_query(request, "autoStart");
    bool is_start = start != NULL && strcmp(start, "true") == 0;

    draft->session = http_query(request, "whatsappSessionId");
    draft->campaign_name = http_query(request, "campaignName");
    draft->message_template = http_query(request, "messageTemplate");
    draft->config = http_query(request, "config");
    draft->campaign_id = http_query(request, "campaignId");
    draft->auto_start = is_start;
    *skip = bad_row != NULL && strcmp(bad_row, "skip") == 0;
    if (bad_row != NULL && !*skip && strcmp(bad_row, "refuse") != 0) {
        http_fail(request, 400, "INVALID_REQUEST", "onBadRow must be skip or refuse");
        return false;
    }
    if (start != NULL && !is_start && strcmp(start, "false") != 0) {
        http_fail(request, 400, "INVALID_REQUEST", "autoStart must be true or false");
        return false;
    }
    return true;
}

static json_t *created_from_csv(const struct blast_row *blast, const struct csv_creation *in)
{
    json_t *answer = created(blast);

    (void)json_object_set_new(json_object_get(answer, "data"), "import",
                              json_pack("{s:I, s:I, s:O}", "accepted",
                                        (json_int_t)in->making->upload.total, "skipped",
                                        (json_int_t)in->bad_rows, "errors", in->bad));
    return answer;
}

static void create_from_csv(struct http_request *request, struct ingress *ingress)
{
    const struct asker by = asker_of(request, ingress);
    struct blast_draft draft = {0};
    struct idempotency idempotency;
    struct blast_making *making = arena_new0(http_arena(request), sizeof(*making));
    struct blast_row blast;
    struct refusal why = {0};
    struct err err = {0};
    struct csv_creation in = {.making = making, .arena = http_arena(request), .why = &why};
    int rc;

    if (!take_query(request, &draft, &in.skip_bad_rows) ||
        !idempotency_begin(ingress, request, NULL, &idempotency)) {
        return;
    }
    in.bad = json_array();
    draft.idempotency_key = idempotency.key;
    rc = usecase_blast_open(making, &by, &draft, &why);
    if (rc == 0) {
        rc = read_rows(request, &in, &err);
    }
    if (rc == 0) {
        rc = check_rows(&in, &why);
    }
    if (rc == 0) {
        rc = usecase_blast_create(making, &blast, &why);
    }
    if (rc == 0) {
        idempotency_answer(ingress, request, &idempotency, 201, created_from_csv(&blast, &in));
    } else if (rc == -2) {
        http_fail_body(request, &err);
    } else {
        answer_refused_create(request, &why);
    }
    usecase_blast_close(making);
    json_decref(in.bad);
}

/* ---- which of the two ---- */

static atomic_int json_under_way;

void on_f0_create(struct http_request *request, void *ctx)
{
    const struct http_problem busy = {
        503, "UNAVAILABLE", "Too many blasts are being made from JSON; text/csv is not limited", 1};
    const char *type = http_header(request, "Content-Type");
    size_t n = type != NULL ? strcspn(type, "; ") : 0;

    if (n == strlen("text/csv") && strncasecmp(type, "text/csv", n) == 0) {
        create_from_csv(request, ctx);
        return;
    }
    if (atomic_fetch_add(&json_under_way, 1) < JSON_AT_ONCE) {
        create_from_json(request, ctx);
    } else {
        http_fail_with(request, &busy);
    }
    (void)atomic_fetch_sub(&json_under_way, 1);
}
