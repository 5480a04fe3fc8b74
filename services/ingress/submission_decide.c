#include "ingress/submission_decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/bus_codec.h"
#include "domain/fixed.h"
#include "ingress/account.h"
#include "ingress/recipient.h"
#include "ingress/usecase.h"
#include "pg/pg_pool.h"

static void reject(struct submission_verdict *out, const char *code, const char *message)
{
    out->is_decided = true;
    out->is_accepted = false;
    FIXED_COPY(out->code, code);
    FIXED_COPY(out->message, message);
}

/* What a store or decider that is away answers says nothing about the submission. */
static bool is_passing(enum refusal_kind kind)
{
    return kind == REFUSED_UNAVAILABLE || kind == REFUSED_TIMEOUT || kind == REFUSED_INTERNAL ||
           kind == REFUSED_LIMIT;
}

/* ---- the first verdict ---- */

/* 1: there was one, and it is in *@out; 0: none; negative: PostgreSQL is away. */
static int earlier(struct ingress *ingress, struct submission_verdict *out)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT coalesce(code, ''), coalesce(message, ''), "
                                       "is_done FROM submission_verdict WHERE user_id = $1 AND "
                                       "request_id = $2");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_int(stmt, out->user_id);
    pg_add_text(stmt, out->request_id);
    rc = pg_pool_run(ingress->pg, stmt, &rows, NULL);
    pg_stmt_free(&stmt);
    if (rc == 0 && pg_rows_n(rows) == 1) {
        reject(out, pg_get_text(rows, 0, 0), pg_get_text(rows, 0, 1));
        out->is_accepted = out->code[0] == '\0';
        out->is_decided = pg_get_bool(rows, 0, 2);
        rc = 1;
    }
    pg_rows_free(&rows);
    return rc;
}

/* Say that it will be accepted, before anything of it is published (B5). */
static int promise(struct ingress *ingress, const struct submission_verdict *verdict)
{
    struct pg_stmt *stmt = pg_stmt_new("INSERT INTO submission_verdict (user_id, request_id) "
                                       "VALUES ($1, $2) ON CONFLICT DO NOTHING");
    int rc;

    pg_add_int(stmt, verdict->user_id);
    pg_add_text(stmt, verdict->request_id);
    crash_point("ingress", "before.promise");
    rc = pg_pool_run(ingress->pg, stmt, NULL, NULL);
    if (rc == 0) {
        crash_point("ingress", "after.promise");
    }
    pg_stmt_free(&stmt);
    return rc;
}

/* ---- what was submitted, in the words of REST ---- */

static json_t *delay_json(const struct submitted_delay *delay)
{
    return json_pack("{s:i, s:i}", "min", delay->min, "max", delay->max);
}

static const char *config_text(const struct submitted_config *config, struct arena *arena)
{
    json_t *json = json_object();
    const char *kept;
    char *text;

    if (config->message_delay != NULL) {
        (void)json_object_set_new(json, "messageDelay", delay_json(config->message_delay));
    }
    if (config->contact_delay != NULL) {
        (void)json_object_set_new(json, "contactDelay", delay_json(config->contact_delay));
    }
    if (config->business_hours != NULL) {
        const struct submitted_hours *hours = config->business_hours;
        json_t *open = json_pack("{s:b}", "enabled", hours->enabled);

        if (hours->has_start_hour) {
            (void)json_object_set_new(open, "startHour", json_integer(hours->start_hour));
        }
        if (hours->has_end_hour) {
            (void)json_object_set_new(open, "endHour", json_integer(hours->end_hour));
        }
        (void)json_object_set_new(json, "businessHours", open);
    }
    text = json_dumps(json, JSON_COMPACT);
    kept = arena_strdup(arena, text);
    free(text);
    json_decref(json);
    return kept;
}

static json_t *recipient_json(const struct submitted_recipient *from)
{
    json_t *json = json_pack("{s:s, s:{}}", "phone", from->phone, "variables");

    if (from->contact_name != NULL) {
        (void)json_object_set_new(json, "contactName", json_string(from->contact_name));
    }
    if (from->message_template != NULL) {
        (void)json_object_set_new(json, "messageTemplate", json_string(from->message_template));
    }
    for (size_t i = 0; i < from->variables.n; i++) {
        (void)json_object_set_new(json_object_get(json, "variables"), from->variables.at[i].name,
                                  json_string(from->variables.at[i].value));
    }
    return json;
}

static int add_recipients(struct blast_making *making, const struct blast_submission *submission,
                          struct refusal *why)
{
    for (size_t i = 0; i < submission->recipients.n; i++) {
        json_t *json = recipient_json(&submission->recipients.at[i]);
        struct recipient recipient;
        struct err err = {0};
        int rc = recipient_from_json(json, &making->upload.arena, &recipient, &err);

        json_decref(json);
        if (rc < 0) {
            return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "recipients[%zu]: %s", i,
                          err.text);
        }
        if (upload_add(&making->upload, &recipient, why) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- deciding ---- */

/* Every recipient is looked at before the promise, so that what is promised can be kept. */
static int check_recipients(const struct blast_submission *submission, struct arena *arena,
                            struct refusal *why)
{
    if (submission->recipients.n == 0) { /* a record bounds how many they may be */
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "recipients: there are none");
    }
    for (size_t i = 0; i < submission->recipients.n; i++) {
        json_t *json = recipient_json(&submission->recipients.at[i]);
        struct recipient recipient;
        struct err err = {0};
        int rc = recipient_from_json(json, arena, &recipient, &err);

        json_decref(json);
        if (rc < 0) {
            return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "recipients[%zu]: %s", i,
                          err.text);
        }
    }
    return 0;
}

static int create(struct ingress *ingress, const struct actor *actor,
                  const struct blast_submission *submission, struct arena *arena,
                  const struct submission_verdict *verdict, struct refusal *why)
{
    struct blast_draft draft = {
        .session = submission->whatsapp_session,
        .campaign_name = submission->campaign_name,
        .message_template = submission->message_template,
        .config = submission->config != NULL ? config_text(submission->config, arena) : NULL,
        .campaign_id = submission->campaign_id,
        .auto_start = submission->auto_start,
        .idempotency_key = submission->request_id,
    };
    struct blast_making making;
    struct blast_row blast;
    const struct asker by = {ingress, actor, arena};
    int rc = usecase_blast_open(&making, &by, &draft, why);

    if (rc == 0 && promise(ingress, verdict) < 0) {
        rc = refuse(why, REFUSED_UNAVAILABLE, "UNAVAILABLE", "PostgreSQL");
    }
    if (rc == 0) {
        rc = add_recipients(&making, submission, why);
    }
    if (rc == 0) {
        rc = usecase_blast_create(&making, &blast, why);
    }
    usecase_blast_close(&making);
    return rc;
}

static void decide(struct ingress *ingress, const struct actor *actor,
                   const struct blast_submission *submission, struct arena *arena,
                   struct submission_verdict *out)
{
    struct refusal why = {0};
    int rc = check_recipients(submission, arena, &why);

    if (rc == 0) {
        rc = create(ingress, actor, submission, arena, out, &why);
    }
    if (rc == 0) {
        out->is_decided = out->is_accepted = true;
    } else if (!is_passing(why.kind)) {
        reject(out, why.code, why.text);
    } else {
        log_warn("submission waits", LOG_STR("request", out->request_id), LOG_STR("why", why.text));
    }
}

/* Who submits: 1 and *@actor; 0: nobody whom we know; negative: PostgreSQL is away. */
static int authenticate(struct ingress *ingress, const char *key_sha256, struct actor *actor)
{
    struct err err = {0};
    int rc = key_sha256[0] == '\0' ? -ERR_REFUSED
                                   : account_resolve_key(ingress, key_sha256, actor, &err);

    return rc == 0 ? 1 : rc == -ERR_REFUSED ? 0 : rc;
}

void submission_decide(struct ingress *ingress, const struct buf *record, const char *key_sha256,
                       struct submission_verdict *out)
{
    struct blast_submission submission = {0};
    struct arena arena = {0};
    struct actor actor = {0};
    struct err err = {0};
    int known = authenticate(ingress, key_sha256, &actor);

    *out = (struct submission_verdict){0};
    if (bus_decode(TOPIC_BLAST_SUBMIT, buf_bytes(record), &arena, &submission, &err) < 0) {
        reject(out, "INVALID_REQUEST", err.text); /* it was read once: not to be expected */
    } else if (strlen(submission.request_id) > SUBMISSION_REQUEST_ID_MAX ||
               submission.request_id[0] == '\0') {
        FIXED_COPY(out->request_id, submission.request_id);
        reject(out, "INVALID_REQUEST", "request_id must be 1 to 128 bytes");
    } else {
        FIXED_COPY(out->request_id, submission.request_id);
        if (known == 0) {
            reject(out, "UNAUTHORIZED", "Invalid or missing x-api-key");
        } else if (known > 0) {
            actor.kind = ACTOR_KAFKA;
            out->has_user = true;
            out->user_id = actor.user_id;
            known = earlier(ingress, out);
            if (known >= 0 &&
                !out->is_decided) { /* a promise is kept by doing it, again if need be */
                decide(ingress, &actor, &submission, &arena, out);
            }
        }
    }
    arena_done(&arena);
}
