#include "ingress/reserve.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "pg/pg_pool.h"

enum { TRIES = 5 }; /* of random keys that somebody has already */

static int commit(struct pg_conn *conn, struct err *err)
{
    int rc;

    crash_point("ingress", "before.reserve");
    rc = pg_conn_commit(conn, err);
    if (rc == 0) {
        crash_point("ingress", "after.reserve");
    }
    return rc;
}

/* ---- sessions ---- */

static void random_key(char out[SESSION_KEY_MAX])
{
    uint64_t random = 0;

    crypto_random(&random, sizeof(random));
    (void)snprintf(out, SESSION_KEY_MAX, "%llu",
                   (unsigned long long)(1000000000ULL + random % 9000000000ULL));
}

/* What a reservation is asked for. */
struct wish {
    int64_t user_id;
    const char *key;             /* NULL: any */
    const char *idempotency_key; /* NULL: none */
};

static void read_names(const struct pg_rows *rows, struct session_names *out)
{
    out->id = pg_get_int(rows, 0, 0);
    (void)snprintf(out->session_key, sizeof(out->session_key), "%s", pg_get_text(rows, 0, 1));
    out->uuid = pg_get_uuid(rows, 0, 2);
    out->position = pg_get_int(rows, 0, 3);
}

/* The reservation that the key or the idempotency key has; *@found false for none. */
static int find_names(struct pg_conn *conn, const struct wish *wish, struct session_names *out,
                      bool *found, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "SELECT id, session_key, uuid, position, user_id FROM session_names WHERE session_key = $1 "
        "OR (user_id = $2 AND idempotency_key = $3) ORDER BY (idempotency_key = $3) DESC NULLS "
        "LAST "
        "LIMIT 1");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_text(stmt, wish->key);
    pg_add_int(stmt, wish->user_id);
    pg_add_text(stmt, wish->idempotency_key);
    rc = pg_conn_run(conn, stmt, &rows, err);
    pg_stmt_free(&stmt);
    *found = rc == 0 && pg_rows_n(rows) == 1;
    if (*found && pg_get_int(rows, 0, 4) != wish->user_id) {
        rc = err_set(err, ERR_REFUSED, "the key is taken");
    } else if (*found) {
        read_names(rows, out);
    }
    pg_rows_free(&rows);
    return rc;
}

/* Locks the user's row, so that positions do not repeat. */
static int lock_user(struct pg_conn *conn, int64_t user_id, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT 1 FROM users WHERE id = $1 FOR UPDATE");
    int rc;

    pg_add_int(stmt, user_id);
    pg_stmt_expect(stmt, 1);
    rc = pg_conn_run(conn, stmt, NULL, err);
    pg_stmt_free(&stmt);
    return rc;
}

static int put_names(struct pg_conn *conn, const struct wish *wish, const char *key,
                     struct session_names *out, bool *taken, struct err *err)
{
    const struct uuid uuid = session_uuid(wish->user_id, key);
    struct pg_stmt *stmt = pg_stmt_new(
        "INSERT INTO session_names (session_key, uuid, user_id, position, idempotency_key) "
        "SELECT $1, $2, $3, coalesce(max(position), 0) + 1, $4 FROM session_names "
        "WHERE user_id = $3 ON CONFLICT DO NOTHING "
        "RETURNING id, session_key, uuid, position");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_text(stmt, key);
    pg_add_uuid(stmt, uuid.text);
    pg_add_int(stmt, wish->user_id);
    pg_add_text(stmt, wish->idempotency_key);
    rc = pg_conn_run(conn, stmt, &rows, err);
    pg_stmt_free(&stmt);
    *taken = rc == 0 && pg_rows_n(rows) == 0;
    if (rc == 0 && !*taken) {
        read_names(rows, out);
    }
    pg_rows_free(&rows);
    return rc;
}

/* In a transaction. */
static int reserve_in(struct pg_conn *conn, const struct wish *wish, struct session_names *out,
                      struct err *err)
{
    char random[SESSION_KEY_MAX];
    bool is_done = false;
    bool taken = true;
    int rc = lock_user(conn, wish->user_id, err);

    if (rc == 0) {
        rc = find_names(conn, wish, out, &is_done, err);
    }
    for (int i = 0; rc == 0 && !is_done && taken && i < TRIES; i++) {
        random_key(random);
        rc = put_names(conn, wish, wish->key != NULL ? wish->key : random, out, &taken, err);
    }
    if (rc == 0 && !is_done && taken) {
        rc = err_set(err, ERR_REFUSED, "the key is taken");
    }
    return rc;
}

int reserve_session(struct ingress *ingress, int64_t user_id, const char *key,
                    const char *idempotency_key, struct session_names *out, struct err *err)
{
    const struct wish wish = {user_id, key, idempotency_key};
    struct pg_conn *conn = NULL;
    struct session_names names;
    int rc = pg_pool_take(ingress->pg, &conn, err);

    if (rc == 0) {
        rc = pg_conn_begin(conn, err);
    }
    if (rc == 0) {
        rc = reserve_in(conn, &wish, &names, err);
    }
    if (rc == 0) {
        rc = commit(conn, err);
    }
    pg_pool_give(ingress->pg, &conn);
    if (rc == 0) {
        *out = names;
    }
    return rc;
}

int reserve_owner(struct ingress *ingress, const char *key, int64_t *user_id, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT user_id FROM session_names WHERE session_key = $1");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_text(stmt, key);
    rc = pg_pool_run(ingress->pg, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc == 0) {
        *user_id = pg_rows_n(rows) == 1 ? pg_get_int(rows, 0, 0) : 0;
    }
    pg_rows_free(&rows);
    return rc;
}

/* ---- blasts ---- */

static int find_blast(struct pg_conn *conn, const char *uuid, struct blast_names *out, bool *found,
                      struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT id, blast_key FROM blast_names WHERE uuid = $1");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_uuid(stmt, uuid);
    rc = pg_conn_run(conn, stmt, &rows, err);
    pg_stmt_free(&stmt);
    *found = rc == 0 && pg_rows_n(rows) == 1;
    if (*found) {
        out->id = pg_get_int(rows, 0, 0);
        (void)snprintf(out->blast_key, sizeof(out->blast_key), "%s", pg_get_text(rows, 0, 1));
    }
    pg_rows_free(&rows);
    return rc;
}

/* The next number of the day; its row stays locked to the commit. */
static int next_of_day(struct pg_conn *conn, int64_t now_ms, int64_t *out, struct err *err)
{
    struct pg_stmt *stmt =
        pg_stmt_new("INSERT INTO blast_days AS d (day, last) VALUES (($1::timestamptz AT TIME ZONE "
                    "'UTC')::date, 1) "
                    "ON CONFLICT (day) DO UPDATE SET last = d.last + 1 RETURNING last");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_time_ms(stmt, now_ms);
    pg_stmt_expect(stmt, 1);
    rc = pg_conn_run(conn, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc == 0) {
        *out = pg_get_int(rows, 0, 0);
    }
    pg_rows_free(&rows);
    return rc;
}

static int put_blast(struct pg_conn *conn, int64_t user_id, const char *uuid, int64_t now_ms,
                     struct blast_names *out, struct err *err)
{
    struct pg_stmt *stmt;
    struct pg_rows *rows = NULL;
    int64_t number = 0;
    int rc = next_of_day(conn, now_ms, &number, err);

    if (rc < 0) {
        return rc;
    }
    blast_key_format(now_ms, number, out->blast_key);
    stmt = pg_stmt_new("INSERT INTO blast_names (uuid, blast_key, user_id) VALUES ($1, $2, $3) "
                       "RETURNING id");
    pg_add_uuid(stmt, uuid);
    pg_add_text(stmt, out->blast_key);
    pg_add_int(stmt, user_id);
    pg_stmt_expect(stmt, 1);
    rc = pg_conn_run(conn, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc == 0) {
        out->id = pg_get_int(rows, 0, 0);
    }
    pg_rows_free(&rows);
    return rc;
}

int reserve_blast(struct ingress *ingress, int64_t user_id, const char *uuid, int64_t now_ms,
                  struct blast_names *out, struct err *err)
{
    struct pg_conn *conn = NULL;
    struct blast_names names = {0};
    bool found = false;
    int rc = pg_pool_take(ingress->pg, &conn, err);

    if (rc == 0) {
        rc = pg_conn_begin(conn, err);
    }
    if (rc == 0) {
        rc = lock_user(conn, user_id, err); /* two requests with one idempotency key */
    }
    if (rc == 0) {
        rc = find_blast(conn, uuid, &names, &found, err);
    }
    if (rc == 0 && !found) {
        rc = put_blast(conn, user_id, uuid, now_ms, &names, err);
    }
    if (rc == 0) {
        rc = commit(conn, err);
    }
    pg_pool_give(ingress->pg, &conn);
    if (rc == 0) {
        *out = names;
    }
    return rc;
}
