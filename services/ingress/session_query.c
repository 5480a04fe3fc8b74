#include "ingress/session_query.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "ingress/kept.h"
#include "pg/pg_pool.h"

static const char *kept(struct arena *arena, const struct pg_rows *rows, size_t at, int column)
{
    return arena_strdup(arena, pg_get_text(rows, at, column));
}

void session_from_row(const struct pg_rows *rows, size_t at, int c, struct arena *arena,
                      struct session_row *out)
{
    const struct uuid uuid = pg_get_uuid(rows, at, c);

    *out = (struct session_row){
        .uuid = arena_strdup(arena, uuid.text),
        .id = pg_get_int(rows, at, c + 1),
        .session_key = kept(arena, rows, at, c + 2),
        .user_id = pg_get_int(rows, at, c + 3),
        .name = kept(arena, rows, at, c + 4),
        .position = pg_get_int(rows, at, c + 5),
        .phone = kept(arena, rows, at, c + 6),
        .jid = kept(arena, rows, at, c + 7),
        .push_name = kept(arena, rows, at, c + 8),
        .display_name = kept(arena, rows, at, c + 9),
        .profile_picture = kept(arena, rows, at, c + 10),
        .operator_provider = kept(arena, rows, at, c + 11),
        .operator_type = kept(arena, rows, at, c + 12),
        .linked = pg_get_bool(rows, at, c + 14),
        .webhook_url = kept(arena, rows, at, c + 15),
        .has_webhook_secret = pg_get_bool(rows, at, c + 16),
        .disconnect_reason = kept(arena, rows, at, c + 17),
        .last_seen_us = pg_get_time_us(rows, at, c + 18),
        .applied_seq = pg_get_int(rows, at, c + 19),
    };
    if (!session_phase_parse(pg_get_text(rows, at, c + 13), &out->state)) {
        out->state = SESSION_NONE;
    }
    out->runtime.last_seen_us = INT64_MIN;
}

/* ---- which column a name is looked up in ---- */

static const char hex_digits[] = "0123456789abcdefABCDEF";

static bool is_hex(const char *text, size_t n)
{
    return strlen(text) == n && strspn(text, hex_digits) == n;
}

/* As uuid_is_valid, but in any case: no key looks like that either (session_key_is_valid). */
static bool is_uuid(const char *text)
{
    static const size_t dashes[] = {8, 13, 18, 23};
    size_t at = 0;

    for (size_t i = 0; i < sizeof(dashes) / sizeof(dashes[0]); i++) {
        at += strspn(text + at, hex_digits);
        if (at != dashes[i] || text[at] != '-') {
            return false;
        }
        at++;
    }
    return is_hex(text + at, UUID_TEXT_MAX - 1 - at);
}

static bool is_number(const char *text)
{
    size_t n = strlen(text);

    return n >= 1 && n <= 9 && strspn(text, "0123456789") == n;
}

static struct pg_stmt *statement_for(const char *name)
{
    struct pg_stmt *stmt;
    int64_t number = 0;

    if (is_uuid(name) || is_hex(name, 32)) { /* PostgreSQL reads both forms */
        stmt = pg_stmt_new("SELECT " SESSION_COLUMNS " FROM proj.sessions s WHERE s.user_id = $1 "
                           "AND s.deleted_at IS NULL AND s.uuid = $2::text::uuid");
        return stmt;
    }
    if (is_number(name) && text_to_int(name, 0, 999999999, &number)) {
        return pg_stmt_new("SELECT " SESSION_COLUMNS " FROM proj.sessions s WHERE s.user_id = $1 "
                           "AND s.deleted_at IS NULL AND s.id = $2::text::bigint");
    }
    return pg_stmt_new("SELECT " SESSION_COLUMNS " FROM proj.sessions s WHERE s.user_id = $1 "
                       "AND s.deleted_at IS NULL AND s.session_key = $2::text");
}

/* Takes @stmt. */
static int find_one(struct ingress *ingress, struct pg_stmt *stmt, struct arena *arena,
                    struct session_row *out, struct err *err)
{
    struct pg_rows *rows = NULL;
    int rc = pg_pool_run(ingress->pg, stmt, &rows, err);

    pg_stmt_free(&stmt);
    if (rc == 0 && pg_rows_n(rows) == 0) {
        rc = err_set(err, ERR_NOT_FOUND, "no such session");
    }
    if (rc == 0) {
        session_from_row(rows, 0, 0, arena, out);
        session_runtime(ingress, arena, out);
    }
    pg_rows_free(&rows);
    return rc;
}

int session_find(struct ingress *ingress, int64_t user_id, const char *name, struct arena *arena,
                 struct session_row *out, struct err *err)
{
    struct pg_stmt *stmt = statement_for(name);

    pg_add_int(stmt, user_id);
    pg_add_text(stmt, name);
    return find_one(ingress, stmt, arena, out, err);
}

int session_find_phone(struct ingress *ingress, int64_t user_id, const char *phone,
                       struct arena *arena, struct session_row *out, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "SELECT " SESSION_COLUMNS " FROM proj.sessions s WHERE s.user_id = $1 "
        "AND s.deleted_at IS NULL AND s.phone = $2 ORDER BY s.linked DESC, s.id LIMIT 1");

    pg_add_int(stmt, user_id);
    pg_add_text(stmt, phone);
    return find_one(ingress, stmt, arena, out, err);
}

int session_list(struct ingress *ingress, int64_t user_id, struct arena *arena,
                 struct session_row **out, size_t *n, struct err *err)
{
    struct pg_stmt *stmt =
        pg_stmt_new("SELECT " SESSION_COLUMNS " FROM proj.sessions s WHERE s.user_id = $1 "
                    "AND s.deleted_at IS NULL ORDER BY s.position, s.id LIMIT $2");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_int(stmt, user_id);
    pg_add_int(stmt, SESSIONS_MAX);
    rc = pg_pool_run(ingress->pg, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc == 0) {
        *n = pg_rows_n(rows);
        *out = arena_array0(arena, *n + 1, sizeof(**out));
        for (size_t i = 0; i < *n; i++) {
            session_from_row(rows, i, 0, arena, &(*out)[i]);
            session_runtime(ingress, arena, &(*out)[i]);
        }
    }
    pg_rows_free(&rows);
    return rc;
}

/* ---- runtime ---- */

enum session_phase session_phase_now(const struct session_row *row)
{
    return row->runtime.is_known && row->runtime.sequence > row->applied_seq ? row->runtime.state
                                                                             : row->state;
}

void session_runtime(struct ingress *ingress, struct arena *arena, struct session_row *row)
{
    const struct cache_key key = cache_key_runtime(row->uuid);
    const char *parts[] = {"HGETALL", key.text, NULL};
    struct cache_reply hash = {0};
    struct session_runtime now = {.last_seen_us = INT64_MIN};

    if (cache_pool_command_text(ingress->cache, parts, arena, &hash, NULL) < 0 ||
        !kept_read_runtime(&hash, &now)) {
        now.is_known = false;
    }
    row->runtime = now;
}
