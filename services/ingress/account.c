#include "ingress/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "domain/fixed.h"
#include "ingress/guard.h"
#include "ingress/kept.h"
#include "ingress/password.h"
#include "pg/pg_pool.h"

static const char default_password[] = "admin";

/* ---- the first user ---- */

static int find_user(struct ingress *ingress, const char *username, struct pg_rows **out,
                     struct err *err)
{
    struct pg_stmt *stmt =
        pg_stmt_new("SELECT id, username, password_hash, role FROM users WHERE username = $1");
    int rc;

    pg_add_text(stmt, username);
    rc = pg_pool_run(ingress->pg, stmt, out, err);
    pg_stmt_free(&stmt);
    return rc;
}

static int put_admin(struct ingress *ingress, const char *password, struct err *err)
{
    char hash[PASSWORD_HASH_MAX];
    struct pg_stmt *stmt;
    int rc = password_hash(password, hash, err);

    if (rc < 0) {
        return rc;
    }
    /* id 1 when it is the first of all: who has the preset API key */
    stmt =
        pg_stmt_new("INSERT INTO users (username, password_hash, role) VALUES ($1, $2, 'admin') "
                    "ON CONFLICT (username) DO UPDATE SET password_hash = $2, updated_at = now()");
    pg_add_text(stmt, ingress->config->admin_username);
    pg_add_text(stmt, hash);
    rc = pg_pool_run(ingress->pg, stmt, NULL, err);
    pg_stmt_free(&stmt);
    return rc;
}

static int put_preset_key(struct ingress *ingress, struct err *err)
{
    const char *key = ingress->config->api_key;
    char hash[API_KEY_HASH_MAX];
    char prefix[9];
    struct pg_stmt *stmt;
    int rc;

    api_key_hash(key, hash);
    (void)snprintf(prefix, sizeof(prefix), "%.6s..", strlen(key) > 24 ? key : "preset");
    /* one at a time: whoever changes it does not trust the old one any more */
    stmt = pg_stmt_new("WITH others AS (UPDATE api_keys SET revoked_at = now() "
                       "WHERE name = 'preset' AND sha256 <> $3 AND revoked_at IS NULL "
                       "AND user_id = (SELECT id FROM users WHERE username = $1)) "
                       "INSERT INTO api_keys (user_id, name, prefix, sha256) "
                       "SELECT id, 'preset', $2, $3 FROM users WHERE username = $1 "
                       "ON CONFLICT (sha256) DO UPDATE SET revoked_at = NULL");
    pg_add_text(stmt, ingress->config->admin_username);
    pg_add_text(stmt, prefix);
    pg_add_text(stmt, hash);
    rc = pg_pool_run(ingress->pg, stmt, NULL, err);
    pg_stmt_free(&stmt);
    return rc;
}

int account_prepare(struct ingress *ingress, struct err *err)
{
    const char *given = ingress->config->admin_password;
    const char *password = given[0] != 0 ? given : default_password;
    struct pg_rows *rows = NULL;
    bool is_default;
    int rc = find_user(ingress, ingress->config->admin_username, &rows, err);

    if (rc < 0) {
        return rc;
    }
    is_default = strcmp(password, default_password) == 0 &&
                 (pg_rows_n(rows) == 0 || password_is(password, pg_get_text(rows, 0, 2)));
    if (pg_rows_n(rows) == 0 || (given[0] != 0 && !password_is(given, pg_get_text(rows, 0, 2)))) {
        rc = put_admin(ingress, password, err);
    }
    pg_rows_free(&rows);
    if (is_default) {
        log_warn("the first user has the default password: set ADMIN_PASSWORD",
                 LOG_STR("username", ingress->config->admin_username));
    }
    if (rc == 0 && ingress->config->api_key[0] != 0) {
        rc = put_preset_key(ingress, err);
    }
    return rc;
}

/* ---- logging in ---- */

static void fill_actor(struct actor *out, enum actor_kind kind, int64_t user_id,
                       const char *username, const char *role)
{
    *out = (struct actor){.kind = kind, .user_id = user_id, .is_admin = strcmp(role, "admin") == 0};
    (void)snprintf(out->username, sizeof(out->username), "%s", username);
    (void)snprintf(out->id, sizeof(out->id), "%" PRId64, user_id);
}

int account_log_in(struct ingress *ingress, const char *username, const char *password,
                   struct actor *out, struct err *err)
{
    struct pg_rows *rows = NULL;
    bool is_known;
    int rc = find_user(ingress, username, &rows, err);

    if (rc < 0) {
        return rc;
    }
    is_known = pg_rows_n(rows) == 1;
    if (password_is(password, is_known ? pg_get_text(rows, 0, 2) : NULL)) {
        fill_actor(out, ACTOR_USER, pg_get_int(rows, 0, 0), pg_get_text(rows, 0, 1),
                   pg_get_text(rows, 0, 3));
    } else {
        rc = err_set(err, ERR_REFUSED, "wrong user or password");
    }
    pg_rows_free(&rows);
    return rc;
}

/* ---- credentials ---- */

static int resolve_token(struct ingress *ingress, const char *credential, struct actor *out,
                         struct err *err)
{
    struct token_claims claims;
    int rc = token_verify(ingress->jwt_secret, credential, clock_wall_ms() / 1000, &claims, err);

    if (rc == 0) {
        fill_actor(out, ACTOR_USER, claims.user_id, claims.username,
                   claims.is_admin ? "admin" : "user");
    }
    return rc;
}

static void fill_key(struct actor *out, const struct kept_key *key)
{
    fill_actor(out, ACTOR_API_KEY, key->user_id, key->username, key->is_admin ? "admin" : "user");
    (void)snprintf(out->id, sizeof(out->id), "%" PRId64, key->key_id);
}

/* The look-up is kept in Redis for a minute, sealed. */
static bool cached_key(struct ingress *ingress, const char *hash, struct actor *out)
{
    const struct cache_key key = cache_key_api_key(hash);
    const char *parts[] = {"GET", key.text, NULL};
    struct arena arena = {0};
    struct cache_reply reply = {0};
    struct kept_key kept;
    struct buf text = {0};
    bool is_there = cache_pool_command_text(ingress->cache, parts, &arena, &reply, NULL) == 0 &&
                    reply.kind == CACHE_TEXT &&
                    kept_unseal(&ingress->keys, key.text, reply.text, &text) &&
                    kept_read_key(buf_bytes(&text), &kept);

    if (is_there) {
        fill_key(out, &kept);
    }
    buf_done(&text);
    arena_done(&arena);
    return is_there;
}

static void keep_key(struct ingress *ingress, const char *hash, const struct kept_key *kept)
{
    const struct cache_key key = cache_key_api_key(hash);
    struct buf sealed = {0};
    char ttl[24];
    const char *parts[] = {"SET", key.text, NULL, "PX", ttl, NULL};
    struct arena arena = {0};
    struct cache_reply reply;

    kept_seal(&ingress->keys, key.text, kept_key_json(kept), &sealed);
    parts[2] = buf_text(&sealed);
    (void)snprintf(ttl, sizeof(ttl), "%d", CACHE_API_KEY_TTL_MS);
    if (cache_pool_command_text(ingress->cache, parts, &arena, &reply, NULL) < 0) {
        log_debug("an API key was not cached");
    }
    arena_done(&arena);
    buf_done(&sealed);
}

static void read_key(const struct pg_rows *rows, struct kept_key *out)
{
    *out = (struct kept_key){.key_id = pg_get_int(rows, 0, 0),
                             .user_id = pg_get_int(rows, 0, 1),
                             .is_admin = strcmp(pg_get_text(rows, 0, 3), "admin") == 0};
    FIXED_COPY(out->username, pg_get_text(rows, 0, 2));
}

/* Finds the key and says when it was last used, to the minute. */
static int find_key(struct ingress *ingress, const char *hash, struct actor *out, struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "WITH used AS (UPDATE api_keys SET last_used_at = now() WHERE sha256 = $1 AND revoked_at "
        "IS NULL AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')) "
        "SELECT k.id, u.id, u.username, u.role FROM api_keys k JOIN users u ON u.id = k.user_id "
        "WHERE k.sha256 = $1 AND k.revoked_at IS NULL");
    struct pg_rows *rows = NULL;
    int rc;

    pg_add_text(stmt, hash);
    rc = pg_pool_run(ingress->pg, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc < 0) {
        return rc;
    }
    if (pg_rows_n(rows) == 1) {
        struct kept_key key;

        read_key(rows, &key);
        fill_key(out, &key);
        keep_key(ingress, hash, &key);
    } else {
        rc = err_set(err, ERR_REFUSED, "no such API key");
    }
    pg_rows_free(&rows);
    return rc;
}

int account_resolve_key(struct ingress *ingress, const char *key_sha256, struct actor *out,
                        struct err *err)
{
    return cached_key(ingress, key_sha256, out) ? 0 : find_key(ingress, key_sha256, out, err);
}

int account_find_owner(struct ingress *ingress, const char *key_sha256, struct actor *out,
                       struct err *err)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT k.id, u.id, u.username, u.role FROM api_keys k JOIN "
                                       "users u ON u.id = k.user_id WHERE k.sha256 = $1");
    struct pg_rows *rows = NULL;
    struct kept_key key;
    int rc;

    pg_add_text(stmt, key_sha256);
    rc = pg_pool_run(ingress->pg, stmt, &rows, err);
    pg_stmt_free(&stmt);
    if (rc == 0 && pg_rows_n(rows) == 0) {
        rc = err_set(err, ERR_REFUSED, "no such API key");
    }
    if (rc == 0) {
        read_key(rows, &key);
        fill_key(out, &key);
    }
    pg_rows_free(&rows);
    return rc;
}

/* The tables are asked only as far as the guard lets @client. */
static int resolve_guarded(struct ingress *ingress, const char *hash, const char *client,
                           struct actor *out, int *wait_s, struct err *err)
{
    struct guard_try try;
    int rc;

    if (cached_key(ingress, hash, out)) {
        return 0;
    }
    *wait_s = guard_key(ingress->guard, client, hash, &try);
    if (*wait_s > 0) {
        return err_set(err, ERR_REFUSED, "too many API keys that are none");
    }
    rc = find_key(ingress, hash, out, err);
    guard_end(ingress->guard, &try,
              rc == 0              ? GUARD_RIGHT
              : rc == -ERR_REFUSED ? GUARD_WRONG
                                   : GUARD_UNKNOWN);
    return rc;
}

static bool is_key(const char *credential)
{
    return !token_is_one(credential) && strlen(credential) <= API_KEY_MAX;
}

bool account_is_over(struct ingress *ingress, const char *credential)
{
    char hash[API_KEY_HASH_MAX];
    struct actor actor;

    if (is_key(credential)) {
        api_key_hash(credential, hash);
        return account_resolve_key(ingress, hash, &actor, NULL) == -ERR_REFUSED;
    }
    return resolve_token(ingress, credential, &actor, NULL) == -ERR_REFUSED;
}

int account_resolve(struct ingress *ingress, const char *credential, const char *client,
                    struct actor *out, int *wait_s, struct err *err)
{
    char hash[API_KEY_HASH_MAX];
    int rc;

    *wait_s = 0;
    if (is_key(credential)) {
        api_key_hash(credential, hash);
        return resolve_guarded(ingress, hash, client, out, wait_s, err);
    }
    rc = resolve_token(ingress, credential, out, err);
    if (rc < 0) { /* a signature costs nothing to check, so a good one is never kept out */
        *wait_s = guard_token(ingress->guard, client);
    }
    return rc;
}
