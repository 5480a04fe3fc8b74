#include "connector/records.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/query.h"
#include "connector/turn.h"
#include "pg/pg.h"

enum { LABEL_MAX = SIGSTORE_KEY_MAX + 32 };

/* What a sealed record is bound to: another record's bytes do not open in its place. */
static const char *label_of(enum sigstore_kind kind, const char *key, char out[LABEL_MAX])
{
    (void)snprintf(out, LABEL_MAX, "record:%d:%s", (int)kind, key);
    return out;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the signature is the backend's */
static int not_now(void *ctx, const struct sigstore_ref *ref, struct buf *out, uint64_t *version)
{
    (void)ctx;
    (void)ref;
    (void)out;
    (void)version;
    return -ERR_TIMEOUT;
}

const struct sigstore_backend records_backend = {.load = not_now};

/* ---- loading ---- */

static void fill_absent(struct account *account, const struct sigstore_ref *ref)
{
    sigstore_fill(account->signal, ref, (struct bytes){NULL, 0}, 0);
}

/* A row of kind, key, version, sealed. */
static int fill(struct account *account, const struct pg_rows *rows, size_t row, struct err *err)
{
    struct sigstore_ref ref = {.kind = (enum sigstore_kind)pg_get_int(rows, row, 0)};
    struct buf plain = {0};
    char label[LABEL_MAX];
    int rc;

    (void)snprintf(ref.key, sizeof(ref.key), "%s", pg_get_text(rows, row, 1));
    rc = crypto_unseal(&account->connector->keyring, account->state.uuid,
                       label_of(ref.kind, ref.key, label), pg_get_bytes(rows, row, 3), &plain, err);
    if (rc == 0) {
        sigstore_fill(account->signal, &ref, buf_bytes(&plain), (uint64_t)pg_get_int(rows, row, 2));
    }
    buf_wipe(&plain);
    return rc;
}

static int fill_all(struct account *account, const struct pg_rows *rows, const struct err *why)
{
    struct err err = {0};
    int rc = rows == NULL ? why->code : 0;

    if (account->signal == NULL) {
        return -ERR_CLOSED;
    }
    for (size_t i = 0; rc == 0 && i < pg_rows_n(rows); i++) {
        rc = fill(account, rows, i, &err);
    }
    if (rc < 0) {
        log_warn("records cannot be read", LOG_STR("session", account->state.uuid),
                 LOG_STR("why", rows == NULL ? why->text : err.text));
    }
    return rc;
}

struct loading {
    records_loaded_fn *fn;
    uint64_t tag;
    size_t n;
    struct sigstore_ref refs[];
};

static void on_records(struct account *account, const struct pg_rows *rows, const struct err *why,
                       void *data)
{
    const struct loading *loading = data;
    int rc = fill_all(account, rows, why);

    for (size_t i = 0; rc == 0 && i < loading->n; i++) { /* those without a row are known too */
        fill_absent(account, &loading->refs[i]);
    }
    loading->fn(account, rc, loading->tag);
}

/* In this file and in lids.c: OFFSET 0 keeps the look-up of each key inside the loop over the keys.
 * Without it the planner may read all rows of the session, of which there may be very many. */
#define RECORDS_SQL                                                                        \
    "SELECT r.* FROM unnest($2::int8[], $3::text[]) AS t (kind, key) CROSS JOIN LATERAL "  \
    "(SELECT kind, key, version, sealed FROM signal_record WHERE session_uuid = $1::uuid " \
    "AND kind = t.kind AND key = t.key OFFSET 0) r"

static struct pg_stmt *records_query(const struct account *account, const struct loading *loading)
{
    struct pg_stmt *stmt = pg_stmt_new(RECORDS_SQL);
    struct pg_array *kinds;
    struct pg_array *keys;

    pg_add_uuid(stmt, account->state.uuid);
    kinds = pg_add_array(stmt, PG_ARRAY_INT);
    keys = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (size_t i = 0; i < loading->n; i++) {
        pg_array_int(kinds, loading->refs[i].kind);
        pg_array_text(keys, loading->refs[i].key);
    }
    return stmt;
}

bool records_load(struct account *account, const struct sigstore_ref *refs, size_t n,
                  records_loaded_fn *fn, uint64_t tag)
{
    struct loading *loading = mem_new0(sizeof(*loading) + n * sizeof(loading->refs[0]));
    bool is_there;

    loading->fn = fn;
    loading->tag = tag;
    for (size_t i = 0; i < n; i++) {
        if (!sigstore_is_loaded(account->signal, &refs[i])) {
            loading->refs[loading->n++] = refs[i];
        }
    }
    is_there = loading->n == 0;
    if (!is_there) {
        query_run(account, records_query(account, loading), on_records, loading,
                  sizeof(*loading) + loading->n * sizeof(loading->refs[0]));
    }
    free(loading);
    return is_there;
}

/* ---- what is kept under numbers ---- */

struct people_loading {
    records_people_fn *fn;
    max_align_t data[];
};

/* "number:device"; false for any other key. */
static bool split(const char *key, struct records_kept *out)
{
    const char *colon = strchr(key, ':');
    size_t n = colon == NULL ? SIGSTORE_NAME_MAX : (size_t)(colon - key);

    if (n >= sizeof(out->number)) {
        return false;
    }
    memcpy(out->number, key, n);
    out->number[n] = '\0';
    out->device = (uint8_t)strtoul(colon + 1, NULL, 10);
    return true;
}

static void on_people(struct account *account, const struct pg_rows *rows, const struct err *why,
                      void *data)
{
    const struct people_loading *loading = data;
    int rc = fill_all(account, rows, why);
    struct records_kept *kept = NULL;
    size_t n = 0;

    if (rc == 0) {
        kept = mem_array0(pg_rows_n(rows) + 1, sizeof(*kept));
    }
    for (size_t i = 0; rc == 0 && i < pg_rows_n(rows); i++) {
        const char *lid = pg_get_text(rows, i, 4); /* NULL for those under a LID */

        if (lid != NULL && split(pg_get_text(rows, i, 1), &kept[n])) {
            struct sigstore_ref other = {.kind = SIGSTORE_PEER};

            (void)snprintf(other.key, sizeof(other.key), "%s_1:%u", lid, kept[n].device);
            fill_absent(account, &other); /* unless it was among the rows */
            n++;
        }
    }
    loading->fn(account, rc, kept, n, loading->data);
    free(kept);
}

/* ';' is what follows ':' in the order of bytes, which is that of the column. */
#define PEOPLE_SQL                                                                         \
    "SELECT r.*, t.lid FROM unnest($2::text[], $3::text[], $4::text[]) "                   \
    "AS t (low, high, lid) CROSS JOIN LATERAL "                                            \
    "(SELECT kind, key, version, sealed FROM signal_record WHERE session_uuid = $1::uuid " \
    "AND kind = $5 AND key >= t.low AND key < t.high OFFSET 0) r"

/* All keys that begin with @name and a colon; @lid is told with them. */
static void add_range(struct pg_array *const column[3], const char *name, const char *lid)
{
    char text[SIGSTORE_NAME_MAX + 4];

    (void)snprintf(text, sizeof(text), "%s:", name);
    pg_array_text(column[0], text);
    text[strlen(name)] = ';';
    pg_array_text(column[1], text);
    pg_array_text(column[2], lid);
}

void records_load_people(struct account *account, const struct records_people *people,
                         records_people_fn *fn, const void *data, size_t data_n)
{
    struct people_loading *loading = mem_new0(sizeof(*loading) + data_n);
    struct pg_stmt *stmt = pg_stmt_new(PEOPLE_SQL);
    struct pg_array *column[3];
    char under_lid[SIGSTORE_NAME_MAX + 2];

    pg_add_uuid(stmt, account->state.uuid);
    for (int i = 0; i < 3; i++) {
        column[i] = pg_add_array(stmt, PG_ARRAY_TEXT);
    }
    for (size_t i = 0; i < people->n; i++) {
        (void)snprintf(under_lid, sizeof(under_lid), "%s_1", people->lids[i]);
        add_range(column, under_lid, NULL);
        add_range(column, people->numbers[i], people->lids[i]);
    }
    pg_add_int(stmt, SIGSTORE_PEER);
    loading->fn = fn;
    memcpy(loading->data, data, data_n);
    query_run(account, stmt, on_people, loading, sizeof(*loading) + data_n);
    free(loading);
}

/* ---- staging ---- */

void records_begin(struct turn *turn, struct account *account)
{
    if (!sigstore_is_begun(account->signal)) {
        sigstore_begin(account->signal);
        turn_touch(turn, account);
    }
}

static void stage_change(struct turn *turn, struct account *account,
                         const struct sigstore_change *change)
{
    enum turn_batch batch = change->removed ? TURN_RECORD_GONE : TURN_RECORD;
    struct ledger_rows *rows = turn_row(turn, batch, account->partition);
    struct buf sealed = {0};
    char label[LABEL_MAX];

    pg_array_uuid(rows->column[0], account->state.uuid);
    pg_array_int(rows->column[1], change->kind);
    pg_array_text(rows->column[2], change->key);
    if (change->removed) {
        pg_array_int(rows->column[3], (int64_t)change->old_version);
        return;
    }
    crypto_seal(&account->connector->keyring, account->state.uuid,
                label_of(change->kind, change->key, label), change->bytes, &sealed);
    pg_array_int(rows->column[3], (int64_t)change->old_version + 1);
    pg_array_bytes(rows->column[4], buf_bytes(&sealed));
    buf_done(&sealed);
}

void records_stage(struct turn *turn, struct account *account)
{
    struct sigstore_change change;
    size_t at = 0;

    if (account->signal == NULL || !sigstore_is_begun(account->signal)) {
        return;
    }
    if (account->staged_effects & SESSION_ERASE) {
        sigstore_rollback(account->signal); /* nothing is to be kept of this device */
        return;
    }
    while (sigstore_change_next(account->signal, &at, &change)) {
        stage_change(turn, account, &change);
    }
}

void records_drop_prekeys(struct turn *turn, const struct account *account, uint32_t next)
{
    struct ledger_rows *rows = turn_row(turn, TURN_PREKEYS_GONE, account->partition);

    pg_array_uuid(rows->column[0], account->state.uuid);
    pg_array_int(rows->column[1], next);
    pg_array_int(rows->column[2], RECORDS_PREKEYS_MAX);
}

void records_committed(struct account *account)
{
    if (account->signal != NULL && sigstore_is_begun(account->signal)) {
        sigstore_commit(account->signal);
    }
}

void records_failed(struct account *account)
{
    if (account->signal != NULL && sigstore_is_begun(account->signal)) {
        sigstore_rollback(account->signal);
    }
}
