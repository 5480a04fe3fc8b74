#include "ingress/submission_decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "crypto/crypto.h"
#include "domain/fixed.h"
#include "domain/ids.h"
#include "domain/verdict.h"
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

/* 1: there was one, and it is in *@out; or a promise, and *@home is what it is for; 0: none;
 * negative: PostgreSQL is away. */
static int earlier(struct ingress *ingress, struct submission_verdict *out, struct blast_home *home)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT coalesce(code, ''), coalesce(message, ''), "
                                       "is_done, session_uuid, coalesce(session_key, '') FROM "
                                       "submission_verdict WHERE user_id = $1 AND request_id = $2");
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
        if (!out->is_decided) {
            home->session_uuid = pg_get_uuid(rows, 0, 3);
            FIXED_COPY(home->session_key, pg_get_text(rows, 0, 4));
        }
        rc = 1;
    }
    pg_rows_free(&rows);
    return rc;
}

/* Say that it will be accepted, before anything of it is published (B5). Whoever finds another's
 * promise there goes on with that one, at the next try. */
static int promise(const struct blast_making *making, const struct submission_verdict *verdict,
                   struct refusal *why)
{
    struct pg_stmt *stmt = pg_stmt_new("INSERT INTO submission_verdict (user_id, request_id, "
                                       "session_uuid, session_key) VALUES ($1, $2, $3, $4) "
                                       "ON CONFLICT DO NOTHING");
    struct err err = {0};
    int rc;

    pg_add_int(stmt, verdict->user_id);
    pg_add_text(stmt, verdict->request_id);
    pg_add_uuid(stmt, making->session_uuid.text);
    pg_add_text(stmt, making->session_key);
    pg_stmt_expect(stmt, 1);
    crash_point("ingress", "before.promise");
    rc = pg_pool_run(making->by.ingress->pg, stmt, NULL, &err);
    if (rc == 0) {
        crash_point("ingress", "after.promise");
    }
    pg_stmt_free(&stmt);
    return rc == 0 ? 0 : refuse(why, REFUSED_UNAVAILABLE, "UNAVAILABLE", "promise: %s", err.text);
}

/* Is the blast that was promised there, or was it? 1, 0, or negative: PostgreSQL is away. */
static int is_kept(struct ingress *ingress, const struct submission_verdict *verdict,
                   const struct blast_home *home)
{
    struct uuid uuid =
        idempotent_uuid(verdict->user_id, "blast", home->session_uuid.text, verdict->request_id);
    struct pg_stmt *stmt = pg_stmt_new("SELECT FROM proj.blasts WHERE uuid = $1");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_uuid(stmt, uuid.text);
    rc = pg_pool_run(ingress->pg, stmt, &rows, NULL);
    pg_stmt_free(&stmt);
    if (rc == 0) {
        rc = pg_rows_n(rows) == 1 ? 1 : 0;
    }
    pg_rows_free(&rows);
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

static int add_recipients(struct blast_making *making, const struct blast_submission *submission,
                          struct refusal *why)
{
    for (size_t i = 0; i < submission->recipients.n; i++) {
        struct recipient recipient;
        struct err err = {0};

        if (recipient_from_submitted(&submission->recipients.at[i], &making->upload.arena,
                                     &recipient, &err) < 0) {
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
        struct recipient recipient;
        struct err err = {0};

        if (recipient_from_submitted(&submission->recipients.at[i], arena, &recipient, &err) < 0) {
            return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "recipients[%zu]: %s", i,
                          err.text);
        }
    }
    return 0;
}

/* One try to decide. */
struct trial {
    struct ingress *ingress;
    struct bytes record;
    struct actor actor;
    struct blast_submission submission;
    struct arena *arena;
    struct submission_progress *progress;
    struct blast_home home; /* of what was promised before; else "" */
};

static bool is_promised(const struct trial *trial)
{
    return trial->home.session_key[0] != '\0';
}

/* The same for the same record, so that a try after a crash writes the same chunks under it. */
static struct uuid upload_id_of(const struct trial *trial)
{
    uint8_t digest[CRYPTO_SHA256];
    struct buf hex = {0};
    struct uuid id;

    crypto_sha256(trial->record, digest);
    text_hex(&hex, (struct bytes){digest, sizeof(digest)});
    id = uuid_v5("upload:%lld:%s:%s", (long long)trial->actor.user_id, trial->submission.request_id,
                 buf_text(&hex));
    buf_done(&hex);
    return id;
}

static int create(const struct trial *trial, const struct submission_verdict *verdict,
                  struct refusal *why)
{
    const struct blast_submission *submission = &trial->submission;
    const struct asker by = {trial->ingress, &trial->actor, trial->arena};
    const struct uuid upload_id = upload_id_of(trial);
    struct blast_draft draft = {
        .session = submission->whatsapp_session,
        .campaign_name = submission->campaign_name,
        .message_template = submission->message_template,
        .config = submission->config != NULL ? config_text(submission->config, trial->arena) : NULL,
        .campaign_id = submission->campaign_id,
        .auto_start = submission->auto_start,
        .idempotency_key = submission->request_id,
        .home = is_promised(trial) ? &trial->home : NULL,
    };
    struct blast_making making;
    int rc = usecase_blast_open(&making, &by, &draft, why);

    if (rc == 0 && !is_promised(trial)) {
        rc = promise(&making, verdict, why);
    }
    if (rc == 0) {
        upload_go_on(&making.upload, &upload_id, &trial->progress->written);
        rc = add_recipients(&making, submission, why);
    }
    if (rc == 0) {
        rc = usecase_blast_create(&making, NULL, why);
    }
    usecase_blast_close(&making);
    return rc;
}

/* Its id is made of the request's, so one that exists is this submission's, of a command whose
 * answer was not heard and is not kept any more. */
static bool is_there(const struct refusal *why)
{
    return strcmp(why->code, verdict_code(VERDICT_EXISTS)) == 0;
}

static void decide(const struct trial *trial, struct submission_verdict *out)
{
    struct refusal why = {0};
    int kept = is_promised(trial) ? is_kept(trial->ingress, out, &trial->home) : 0;
    int rc = kept == 0  ? check_recipients(&trial->submission, trial->arena, &why)
             : kept < 0 ? refuse(&why, REFUSED_UNAVAILABLE, "UNAVAILABLE", "PostgreSQL")
                        : 0;

    if (rc == 0 && kept == 0) {
        rc = create(trial, out, &why);
    }
    if (rc == 0 || is_there(&why)) {
        out->is_decided = out->is_accepted = true;
    } else if (!is_passing(why.kind)) {
        reject(out, why.code, why.text);
    } else {
        log_warn("submission waits", LOG_STR("request", out->request_id), LOG_STR("why", why.text));
    }
}

/* 1 and *@actor; 0: nobody; negative: PostgreSQL is away. */
static int find_actor(struct ingress *ingress, const char *key_sha256,
                      int (*find)(struct ingress *, const char *, struct actor *, struct err *),
                      struct actor *actor)
{
    struct err err = {0};
    int rc = key_sha256[0] == '\0' ? -ERR_REFUSED : find(ingress, key_sha256, actor, &err);

    actor->kind = ACTOR_KAFKA;
    return rc == 0 ? 1 : rc == -ERR_REFUSED ? 0 : rc;
}

/* A verdict outlives the key that it was given to, and a promise as well, which is kept by doing
 * it, again if need be: a blast that may exist already is not rejected. */
static void decide_for(struct trial *trial, const char *key_sha256, struct submission_verdict *out)
{
    int known = find_actor(trial->ingress, key_sha256, account_resolve_key, &trial->actor);
    bool may_begin = known > 0;
    int found = 0;

    if (known == 0) {
        known = find_actor(trial->ingress, key_sha256, account_find_owner, &trial->actor);
    }
    if (known > 0) {
        out->user_id = trial->actor.user_id;
        found = earlier(trial->ingress, out, &trial->home);
    }
    if (known < 0 || found < 0) {
        return;
    }
    if (!may_begin && found == 0) {
        reject(out, "UNAUTHORIZED", "Invalid or missing x-api-key");
        return;
    }
    out->has_user = true;
    if (!out->is_decided) {
        decide(trial, out);
    }
}

void submission_decide(struct ingress *ingress, const struct buf *record, const char *key_sha256,
                       struct submission_progress *progress, struct submission_verdict *out)
{
    struct arena arena = {0};
    struct trial trial = {
        .ingress = ingress, .record = buf_bytes(record), .arena = &arena, .progress = progress};
    const char *request_id;
    struct err err = {0};

    *out = (struct submission_verdict){0};
    if (bus_decode(TOPIC_BLAST_SUBMIT, trial.record, &arena, &trial.submission, &err) < 0) {
        reject(out, "INVALID_REQUEST", err.text); /* it was read once: not to be expected */
    } else {
        request_id = trial.submission.request_id;
        FIXED_COPY(out->request_id, request_id);
        if (request_id[0] == '\0' || strlen(request_id) > SUBMISSION_REQUEST_ID_MAX) {
            reject(out, "INVALID_REQUEST", "request_id must be 1 to 128 bytes");
        } else {
            decide_for(&trial, key_sha256, out);
        }
    }
    arena_done(&arena);
}
