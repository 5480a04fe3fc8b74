#include "connector/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
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

struct records_loading {
    struct connector *connector;
    char uuid[UUID_TEXT_MAX]; /* the account may be gone when rows come */
    uint64_t generation;
    int partition;
    records_loaded_fn *fn;
    void *ctx;
    size_t n;
    struct sigstore_ref refs[];
};

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

static void on_records(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct records_loading *loading = ctx;
    struct account *account = account_find(loading->connector, loading->uuid);
    int rc = rows == NULL ? why->code : 0;

    if (account == NULL || account->signal == NULL ||
        loading->connector->generations[loading->partition] != loading->generation) {
        loading->fn(NULL, -ERR_CLOSED, loading->ctx);
        free(loading);
        return;
    }
    for (size_t i = 0; rc == 0 && i < pg_rows_n(rows); i++) {
        rc = fill(account, rows, i, NULL);
    }
    for (size_t i = 0; rc == 0 && i < loading->n; i++) { /* those without a row are known too */
        sigstore_fill(account->signal, &loading->refs[i], (struct bytes){NULL, 0}, 0);
    }
    loading->fn(account, rc, loading->ctx);
    free(loading);
}

void records_load(struct account *account, const struct sigstore_ref *refs, size_t n,
                  records_loaded_fn *fn, void *ctx)
{
    struct connector *connector = account->connector;
    struct records_loading *loading = mem_new0(sizeof(*loading) + n * sizeof(loading->refs[0]));
    struct pg_stmt *stmt;
    struct pg_array *kinds;
    struct pg_array *keys;

    for (size_t i = 0; i < n; i++) {
        if (!sigstore_is_loaded(account->signal, &refs[i])) {
            loading->refs[loading->n++] = refs[i];
        }
    }
    if (loading->n == 0) {
        free(loading);
        fn(account, 0, ctx);
        return;
    }
    loading->connector = connector;
    loading->partition = account->partition;
    loading->generation = connector->generations[account->partition];
    loading->fn = fn;
    loading->ctx = ctx;
    memcpy(loading->uuid, account->state.uuid, UUID_TEXT_MAX);
    stmt = pg_stmt_new("SELECT kind, key, version, sealed FROM signal_record "
                       "WHERE session_uuid = $1::uuid AND (kind, key) IN "
                       "(SELECT * FROM unnest($2::int8[], $3::text[]))");
    pg_add_uuid(stmt, account->state.uuid);
    kinds = pg_add_array(stmt, PG_ARRAY_INT);
    keys = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (size_t i = 0; i < loading->n; i++) {
        pg_array_int(kinds, loading->refs[i].kind);
        pg_array_text(keys, loading->refs[i].key);
    }
    pg_query(ledger_pg(connector->ledger), stmt, on_records, loading);
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
    struct turn_rows *rows = turn_row(turn, batch, account->partition);
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
    while (sigstore_change_next(account->signal, &at, &change)) {
        stage_change(turn, account, &change);
    }
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
