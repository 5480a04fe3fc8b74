#include "ingress/blast_query.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "domain/template.h"
#include "ingress/session_query.h"
#include "pg/pg_pool.h"

#define BLAST_COLUMNS                                                                            \
    "b.uuid, b.id, b.blast_key, b.user_id, b.session_uuid, b.session_key, b.status, "            \
    "b.campaign_name, b.message_template, b.total_messages, b.current_index, b.sent_count, "     \
    "b.failed_count, b.skipped_count, b.delivered_count, b.read_count, b.estimated_completion, " \
    "b.started_at, b.paused_at, b.resumed_at, b.completed_at, b.stopped_at, b.error_message, "   \
    "b.config, b.created_at, b.updated_at"
enum { BLAST_COLUMN_COUNT = 26 };

static const char *kept(struct arena *arena, const struct pg_rows *rows, size_t at, int column)
{
    return arena_strdup(arena, pg_get_text(rows, at, column));
}

static const char *kept_uuid(struct arena *arena, const struct pg_rows *rows, size_t at, int column)
{
    const struct uuid uuid = pg_get_uuid(rows, at, column);

    return arena_strdup(arena, uuid.text);
}

static void blast_from_row(const struct pg_rows *rows, size_t at, struct arena *arena,
                           struct blast_row *out)
{
    *out = (struct blast_row){
        .uuid = kept_uuid(arena, rows, at, 0),
        .id = pg_get_int(rows, at, 1),
        .blast_key = kept(arena, rows, at, 2),
        .user_id = pg_get_int(rows, at, 3),
        .session_uuid = kept_uuid(arena, rows, at, 4),
        .session_key = kept(arena, rows, at, 5),
        .status = kept(arena, rows, at, 6),
        .campaign_name = kept(arena, rows, at, 7),
        .message_template = kept(arena, rows, at, 8),
        .total_messages = pg_get_int(rows, at, 9),
        .current_index = pg_get_int(rows, at, 10),
        .sent_count = pg_get_int(rows, at, 11),
        .failed_count = pg_get_int(rows, at, 12),
        .skipped_count = pg_get_int(rows, at, 13),
        .delivered_count = pg_get_int(rows, at, 14),
        .read_count = pg_get_int(rows, at, 15),
        .estimated_completion_us = pg_get_time_us(rows, at, 16),
        .started_at_us = pg_get_time_us(rows, at, 17),
        .paused_at_us = pg_get_time_us(rows, at, 18),
        .resumed_at_us = pg_get_time_us(rows, at, 19),
        .completed_at_us = pg_get_time_us(rows, at, 20),
        .stopped_at_us = pg_get_time_us(rows, at, 21),
        .error_message = kept(arena, rows, at, 22),
        .config = kept(arena, rows, at, 23),
        .created_at_us = pg_get_time_us(rows, at, 24),
        .updated_at_us = pg_get_time_us(rows, at, 25),
    };
}

/* The session whose columns follow the blast's; NULL where the join found none. */
static const struct session_row *joined_session(struct ingress *ingress, const struct pg_rows *rows,
                                                size_t at, struct arena *arena)
{
    struct session_row *session;

    if (pg_is_null(rows, at, BLAST_COLUMN_COUNT)) {
        return NULL;
    }
    session = arena_new0(arena, sizeof(*session));
    session_from_row(rows, at, BLAST_COLUMN_COUNT, arena, session);
    session_runtime(ingress, arena, session);
    return session;
}

/* ---- one statement in two forms: with sessions, and without when they cannot be read ---- */

struct blast_query {
    const char *with_sessions;
    const char *without;
    int64_t user_id;
    const char *text; /* $2 */
    int64_t limit;    /* $3; -1: the statement has none */
    int64_t offset;   /* $4 */
};

static struct pg_stmt *query_stmt(const struct blast_query *q, bool with_sessions)
{
    struct pg_stmt *stmt = pg_stmt_new(with_sessions ? q->with_sessions : q->without);

    pg_add_int(stmt, q->user_id);
    pg_add_text(stmt, q->text);
    if (q->limit >= 0) {
        pg_add_int(stmt, q->limit);
        pg_add_int(stmt, q->offset);
    }
    return stmt;
}

static int run_query(struct ingress *ingress, const struct blast_query *q, struct arena *arena,
                     struct blast_rows *out, struct err *err)
{
    struct pg_rows *rows = NULL;
    struct err first = {0};
    bool with_sessions = true;
    struct pg_stmt *stmt = query_stmt(q, with_sessions);
    int rc = pg_pool_run(ingress->pg, stmt, &rows, &first);

    pg_stmt_free(&stmt);
    if (rc < 0) {
        log_warn("blasts are shown without their sessions", LOG_STR("reason", first.text));
        with_sessions = false;
        stmt = query_stmt(q, with_sessions);
        rc = pg_pool_run(ingress->pg, stmt, &rows, err);
        pg_stmt_free(&stmt);
    }
    if (rc == 0) {
        out->n = pg_rows_n(rows);
        out->at = arena_array0(arena, out->n + 1, sizeof(*out->at));
        for (size_t i = 0; i < out->n; i++) {
            blast_from_row(rows, i, arena, &out->at[i]);
            out->at[i].session = with_sessions ? joined_session(ingress, rows, i, arena) : NULL;
        }
    }
    pg_rows_free(&rows);
    return rc;
}

#define FROM_BLASTS " FROM proj.blasts b "
#define JOIN_SESSIONS \
    "LEFT JOIN proj.sessions s ON s.uuid = b.session_uuid AND s.deleted_at IS NULL "
#define LIST_WHERE \
    "WHERE b.user_id = $1 AND b.deleted_at IS NULL AND ($2::text IS NULL OR b.status = $2) "
#define LIST_PAGE "ORDER BY b.created_at DESC, b.id LIMIT $3 OFFSET $4"

static int count_blasts(struct ingress *ingress, const struct blast_query *q, int64_t *total,
                        struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT count(*)" FROM_BLASTS LIST_WHERE);
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_int(stmt, q->user_id);
    pg_add_text(stmt, q->text);
    rc = pg_pool_run(ingress->pg, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc == 0) {
        *total = pg_get_int(rows, 0, 0);
    }
    pg_rows_free(&rows);
    return rc;
}

int blast_list(struct ingress *ingress, int64_t user_id, const struct blast_filter *filter,
               struct arena *arena, struct blast_rows *out, struct err *err)
{
    const struct blast_query q = {
        .with_sessions = "SELECT " BLAST_COLUMNS
                         ", " SESSION_COLUMNS FROM_BLASTS JOIN_SESSIONS LIST_WHERE LIST_PAGE,
        .without = "SELECT " BLAST_COLUMNS FROM_BLASTS LIST_WHERE LIST_PAGE,
        .user_id = user_id,
        .text = filter->status,
        .limit = filter->limit,
        .offset = filter->offset,
    };
    struct blast_rows found = {0};
    int rc = count_blasts(ingress, &q, &found.total, err);

    if (rc == 0) {
        rc = run_query(ingress, &q, arena, &found, err);
    }
    if (rc == 0) {
        *out = found;
    }
    return rc;
}

#define BY_KEY    "WHERE b.user_id = $1 AND b.deleted_at IS NULL AND b.blast_key = $2"
#define BY_NUMBER "WHERE b.user_id = $1 AND b.deleted_at IS NULL AND b.id = $2::text::bigint"

int blast_find(struct ingress *ingress, int64_t user_id, const char *name, struct arena *arena,
               struct blast_row *out, struct err *err)
{
    struct blast_query q = {
        .with_sessions =
            "SELECT " BLAST_COLUMNS ", " SESSION_COLUMNS FROM_BLASTS JOIN_SESSIONS BY_KEY,
        .without = "SELECT " BLAST_COLUMNS FROM_BLASTS BY_KEY,
        .user_id = user_id,
        .text = name,
        .limit = -1,
    };
    struct blast_rows found = {0};
    int64_t number;
    int rc;

    if (text_to_int(name, 0, INT64_MAX, &number)) {
        q.with_sessions =
            "SELECT " BLAST_COLUMNS ", " SESSION_COLUMNS FROM_BLASTS JOIN_SESSIONS BY_NUMBER;
        q.without = "SELECT " BLAST_COLUMNS FROM_BLASTS BY_NUMBER;
    }
    rc = run_query(ingress, &q, arena, &found, err);
    if (rc == 0 && found.n == 0) {
        rc = err_set(err, ERR_NOT_FOUND, "no such blast");
    }
    if (rc == 0) {
        *out = found.at[0];
    }
    return rc;
}

/* ---- messages ---- */

/* The text that a message will have: what its template and variables give. */
static const char *rendered(const struct pg_rows *rows, size_t at, const char *phone,
                            struct arena *arena)
{
    const char *template = pg_get_text(rows, at, 6);
    const char *text = pg_get_text(rows, at, 5);
    json_t *json = json_loads(text != NULL ? text : "{}", 0, NULL);
    struct record_map variables = {
        0, arena_array0(arena, json_object_size(json) + 1, sizeof(*variables.at))};
    const struct template_values values = {phone, pg_get_text(rows, at, 4), &variables};
    struct buf out = {0};
    const char *result = "";

    for (void *it = json_object_iter(json); it != NULL; it = json_object_iter_next(json, it)) {
        const char *value = json_string_value(json_object_iter_value(it));

        variables.at[variables.n].name = json_object_iter_key(it);
        variables.at[variables.n++].value = value != NULL ? value : "";
    }
    if (template != NULL && template_render(template, &values, &out, NULL) == 0) {
        result = arena_strdup(arena, buf_text(&out));
    }
    buf_done(&out);
    json_decref(json);
    return result;
}

static void message_from_row(const struct pg_rows *rows, size_t at, struct arena *arena,
                             struct message_row *out)
{
    *out = (struct message_row){
        .id = kept_uuid(arena, rows, at, 0),
        .message_index = pg_get_int(rows, at, 1),
        .status = kept(arena, rows, at, 2),
        .recipient = kept(arena, rows, at, 3),
        .contact_name = kept(arena, rows, at, 4),
        .text = kept(arena, rows, at, 7),
        .attempt_count = pg_get_int(rows, at, 8),
        .last_error = kept(arena, rows, at, 9),
        .sent_at_us = pg_get_time_us(rows, at, 10),
        .delivered_at_us = pg_get_time_us(rows, at, 11),
        .read_at_us = pg_get_time_us(rows, at, 12),
    };
    if (out->text == NULL) {
        out->text = rendered(rows, at, out->recipient, arena);
    }
}

#define MESSAGES_WHERE \
    " FROM proj.messages m WHERE m.blast_id = $1 AND ($2::text IS NULL OR m.status IN ($2, $3)) "

static struct pg_stmt *messages_stmt(const char *text, const char *blast_uuid, const char *status)
{
    struct pg_stmt *stmt = pg_stmt_new(text);
    const char *const *stored = status != NULL ? view_f0_stored_statuses(status) : NULL;

    pg_add_uuid(stmt, blast_uuid);
    pg_add_text(stmt, stored != NULL ? stored[0] : NULL);
    pg_add_text(stmt, stored != NULL ? stored[1] : NULL);
    return stmt;
}

static int count_messages(struct ingress *ingress, const char *blast_uuid, const char *status,
                          int64_t *total, struct err *err)
{
    /* without a filter the blast's own number is at hand, and a count of a million rows is saved */
    struct pg_stmt *stmt =
        status != NULL
            ? messages_stmt("SELECT count(*)" MESSAGES_WHERE, blast_uuid, status)
            : messages_stmt(
                  "SELECT total_messages FROM proj.blasts WHERE uuid = $1 AND $2::text IS "
                  "NULL AND $3::text IS NULL",
                  blast_uuid, status);
    struct pg_rows *rows = NULL;
    int rc = pg_pool_run(ingress->pg, stmt, &rows, err);

    pg_stmt_free(&stmt);
    if (rc == 0) {
        *total = pg_rows_n(rows) == 1 ? pg_get_int(rows, 0, 0) : 0;
    }
    pg_rows_free(&rows);
    return rc;
}

int message_list(struct ingress *ingress, const char *blast_uuid,
                 const struct message_filter *filter, struct arena *arena, struct message_rows *out,
                 struct err *err)
{
    struct pg_stmt *stmt = messages_stmt(
        "SELECT m.id, m.message_index, m.status, m.recipient, m.contact_name, m.variables, "
        "m.template, m.text, m.attempt_count, m.last_error, m.sent_at, m.delivered_at, "
        "m.read_at" MESSAGES_WHERE "ORDER BY m.message_index LIMIT $4 OFFSET $5",
        blast_uuid, filter->status);
    struct pg_rows *rows = NULL;
    struct message_rows found = {0};
    int rc = count_messages(ingress, blast_uuid, filter->status, &found.total, err);

    pg_add_int(stmt, filter->limit);
    pg_add_int(stmt, filter->offset);
    if (rc == 0) {
        rc = pg_pool_run(ingress->pg, stmt, &rows, err);
    }
    pg_stmt_free(&stmt);
    if (rc == 0) {
        found.n = pg_rows_n(rows);
        found.at = arena_array0(arena, found.n + 1, sizeof(*found.at));
        for (size_t i = 0; i < found.n; i++) {
            message_from_row(rows, i, arena, &found.at[i]);
        }
        *out = found;
    }
    pg_rows_free(&rows);
    return rc;
}

int message_progress(struct ingress *ingress, const char *uuid, struct arena *arena,
                     struct message_progress *out, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "SELECT CASE WHEN next_attempt_at IS NULL THEN state ELSE 'RETRYING' END, wa_message_id, "
        "last_error FROM proj.message_states WHERE message_id = $1");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_uuid(stmt, uuid);
    rc = pg_pool_run(ingress->pg, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc == 0 && pg_rows_n(rows) == 0) {
        rc = err_set(err, ERR_NOT_FOUND, "not projected yet");
    }
    if (rc == 0) {
        *out = (struct message_progress){kept(arena, rows, 0, 0), kept(arena, rows, 0, 1),
                                         kept(arena, rows, 0, 2)};
    }
    pg_rows_free(&rows);
    return rc;
}
