/* Rule S1 of the ledger: staged ratchets, versions, a backend that fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sigstore/sigstore.h"
#include "testkit/testkit.h"
#include "wa/wa_prekeys.h"

enum { ROWS_MAX = 1024 };

struct row {
    struct sigstore_ref ref;
    struct buf bytes;
    uint64_t version;
};

/* A table of records, as PostgreSQL would keep it. */
struct table {
    struct row rows[ROWS_MAX];
    size_t n;
    unsigned loads;
    bool is_down;
};

struct world {
    struct sigstore *store;
    struct table table;
    struct sigstore_backend backend;
    struct sigstore_account *alice; /* with the table behind it */
    struct sigstore_account *bob;   /* in memory */
};

static const struct sigstore_addr alice_addr = {"100_1", 0};
static const struct sigstore_addr bob_addr = {"200_1", 3};

static struct row *row_find(struct table *table, enum sigstore_kind kind, const char *key)
{
    for (size_t i = 0; i < table->n; i++) {
        if (table->rows[i].ref.kind == kind && strcmp(table->rows[i].ref.key, key) == 0) {
            return &table->rows[i];
        }
    }
    return NULL;
}

static struct row *row_must(struct table *table, enum sigstore_kind kind, const char *key)
{
    struct row *row = row_find(table, kind, key);

    if (row == NULL) {
        fail_msg("no row of %s", key);
        abort(); /* fail_msg does not return, which the compiler cannot know */
    }
    return row;
}

static int table_load(void *ctx, const struct sigstore_ref *ref, struct buf *out, uint64_t *version)
{
    struct table *table = ctx;
    const struct row *row = row_find(table, ref->kind, ref->key);

    table->loads++;
    if (table->is_down) {
        return -ERR_EXTERNAL;
    }
    if (row == NULL || row->version == 0) {
        return 0;
    }
    buf_add(out, row->bytes.p, row->bytes.n);
    *version = row->version;
    return 1;
}

static void table_write(struct table *table, const struct sigstore_change *change)
{
    struct row *row = row_find(table, change->kind, change->key);

    if (row == NULL) {
        assert_true(table->n < ROWS_MAX);
        row = &table->rows[table->n++];
        row->ref.kind = change->kind;
        (void)strncpy(row->ref.key, change->key, sizeof(row->ref.key) - 1);
    }
    assert_int_equal(row->version, change->old_version); /* the compare at writing */
    buf_clear(&row->bytes);
    buf_add(&row->bytes, change->bytes.p, change->bytes.n);
    row->version = change->removed ? 0 : change->old_version + 1;
}

static size_t write_all(struct world *w)
{
    struct sigstore_change change;
    size_t at = 0;
    size_t n = 0;

    while (sigstore_change_next(w->alice, &at, &change)) {
        table_write(&w->table, &change);
        n++;
    }
    assert_int_equal(n, sigstore_change_count(w->alice));
    sigstore_commit(w->alice);
    return n;
}

static struct sigstore_account *account(struct world *w, const struct sigstore_backend *backend)
{
    struct sigstore_self self;

    sigstore_self_derive((const uint8_t[CRYPTO_KEY]){backend == NULL ? 1 : 2}, &self);
    return sigstore_account_new(w->store, &self, backend);
}

static int setup(void **state)
{
    struct world *w = mem_new0(sizeof(*w));

    assert_int_equal(sigstore_new(&w->store, NULL), 0);
    w->backend = (struct sigstore_backend){.load = table_load, .ctx = &w->table};
    w->alice = account(w, &w->backend);
    w->bob = account(w, NULL);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sigstore_account_free(&w->alice);
    sigstore_account_free(&w->bob);
    sigstore_free(&w->store);
    for (size_t i = 0; i < w->table.n; i++) {
        buf_done(&w->table.rows[i].bytes);
    }
    free(w);
    return 0;
}

static struct buf seal(struct world *w, enum wa_enc_type *type)
{
    struct buf out = {0};

    assert_int_equal(sigstore_encrypt(w->alice, &bob_addr,
                                      (struct bytes){(const uint8_t *)"hello", 5}, type, &out),
                     SIGSTORE_OK);
    return out;
}

static enum sigstore_verdict opens(struct world *w, enum wa_enc_type type, const struct buf *bytes)
{
    struct sigstore_plain plain = {0};
    enum sigstore_verdict verdict =
        sigstore_decrypt(w->bob, &alice_addr, type, buf_bytes(bytes), &plain);

    buf_wipe(&plain.bytes);
    return verdict;
}

static void meet(struct world *w)
{
    struct wa_bundle bundle;

    assert_int_equal(sigstore_bundle(w->bob, true, &bundle), SIGSTORE_OK);
    sigstore_begin(w->alice);
    assert_int_equal(sigstore_peer_start(w->alice, &bob_addr, &bundle, NULL), SIGSTORE_OK);
    assert_int_equal(write_all(w), 1);
}

static void committed_ratchet_survives_a_restart(void **state)
{
    struct world *w = *state;
    enum wa_enc_type type;
    struct buf first;
    struct buf second;

    meet(w);
    sigstore_begin(w->alice);
    first = seal(w, &type);
    assert_int_equal(opens(w, type, &first), SIGSTORE_OK);
    assert_int_equal(write_all(w), 1);
    sigstore_account_free(&w->alice);
    w->alice = account(w, &w->backend);

    sigstore_begin(w->alice);
    second = seal(w, &type);
    assert_int_equal(opens(w, type, &second), SIGSTORE_OK);
    assert_int_equal(write_all(w), 1);
    assert_int_equal(row_must(&w->table, SIGSTORE_PEER, "200_1:3")->version, 3);
    buf_done(&first);
    buf_done(&second);
}

static void rolled_back_counter_is_used_again(void **state)
{
    struct world *w = *state;
    enum wa_enc_type type;
    struct buf dropped;
    struct buf sent;

    meet(w);
    sigstore_begin(w->alice);
    dropped = seal(w, &type);
    sigstore_rollback(w->alice);
    assert_int_equal(sigstore_change_count(w->alice), 0);

    sigstore_begin(w->alice);
    sent = seal(w, &type);
    assert_int_equal(sigstore_change_count(w->alice), 1);
    assert_int_equal(write_all(w), 1);
    assert_memory_equal(dropped.p, sent.p, sent.n); /* the same counter and key, sent once */
    assert_int_equal(opens(w, type, &sent), SIGSTORE_OK);
    buf_done(&dropped);
    buf_done(&sent);
}

static void several_messages_are_one_change(void **state)
{
    struct world *w = *state;
    enum wa_enc_type type;

    meet(w);
    sigstore_begin(w->alice);
    for (unsigned i = 0; i < 3; i++) {
        struct buf sealed = seal(w, &type);

        assert_int_equal(opens(w, type, &sealed), SIGSTORE_OK);
        buf_done(&sealed);
    }
    assert_int_equal(write_all(w), 1);
}

static void what_cannot_be_loaded_changes_nothing(void **state)
{
    struct world *w = *state;
    enum wa_enc_type type;
    struct buf out = {0};

    meet(w);
    sigstore_trim(w->alice, 0);
    w->table.is_down = true;
    sigstore_begin(w->alice);
    assert_int_equal(
        sigstore_encrypt(w->alice, &bob_addr, (struct bytes){(const uint8_t *)"x", 1}, &type, &out),
        SIGSTORE_NOT_LOADED);
    assert_int_equal(sigstore_change_count(w->alice), 0);
    w->table.is_down = false;
    out = seal(w, &type);
    assert_int_equal(opens(w, type, &out), SIGSTORE_OK);
    assert_int_equal(write_all(w), 1);
    buf_done(&out);
}

/* Ask for what a message needs, put it there, and the backend is not called. */
static void records_loaded_ahead_are_enough(void **state)
{
    struct world *w = *state;
    struct sigstore_ref refs[SIGSTORE_REFS_MAX];
    struct sigstore_plain plain = {0};
    struct wa_bundle bundle;
    enum wa_enc_type type;
    struct buf sealed = {0};
    size_t n;
    unsigned loads;

    sigstore_begin(w->alice);
    assert_int_equal(sigstore_bundle(w->alice, true, &bundle), SIGSTORE_OK);
    assert_int_equal(write_all(w), 3); /* counts, signed and one-time key */
    assert_int_equal(sigstore_peer_start(w->bob, &alice_addr, &bundle, NULL), SIGSTORE_OK);
    assert_int_equal(sigstore_encrypt(w->bob, &alice_addr, (struct bytes){(const uint8_t *)"x", 1},
                                      &type, &sealed),
                     SIGSTORE_OK);
    sigstore_trim(w->alice, 0);

    n = sigstore_decrypt_refs(&bob_addr, type, buf_bytes(&sealed), refs);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        const struct row *row = row_find(&w->table, refs[i].kind, refs[i].key);

        assert_false(sigstore_is_loaded(w->alice, &refs[i]));
        sigstore_fill(w->alice, &refs[i],
                      row == NULL ? (struct bytes){NULL, 0} : buf_bytes(&row->bytes),
                      row == NULL ? 0 : row->version);
        assert_true(sigstore_is_loaded(w->alice, &refs[i]));
    }
    loads = w->table.loads;
    sigstore_begin(w->alice);
    assert_int_equal(sigstore_decrypt(w->alice, &bob_addr, type, buf_bytes(&sealed), &plain),
                     SIGSTORE_OK);
    assert_int_equal(w->table.loads, loads);
    assert_int_equal(write_all(w), 2); /* the session, and the used key goes */
    assert_int_equal(row_must(&w->table, SIGSTORE_PREKEY, refs[2].key)->version, 0);
    buf_wipe(&plain.bytes);
    buf_done(&sealed);
}

static void used_and_made_in_one_stage_is_no_change(void **state)
{
    struct world *w = *state;
    struct sigstore_plain plain = {0};
    struct wa_bundle bundle;
    enum wa_enc_type type;
    struct buf sealed = {0};

    sigstore_begin(w->alice);
    assert_int_equal(sigstore_bundle(w->alice, true, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->bob, &alice_addr, &bundle, NULL), SIGSTORE_OK);
    assert_int_equal(sigstore_encrypt(w->bob, &alice_addr, (struct bytes){(const uint8_t *)"x", 1},
                                      &type, &sealed),
                     SIGSTORE_OK);
    assert_int_equal(sigstore_decrypt(w->alice, &bob_addr, type, buf_bytes(&sealed), &plain),
                     SIGSTORE_OK);
    assert_int_equal(plain.used_prekey, bundle.prekey_id);
    assert_int_equal(write_all(w), 3); /* counts, signed key, session */
    buf_wipe(&plain.bytes);
    buf_done(&sealed);
}

static void cache_of_an_account_is_bounded(void **state)
{
    enum { MANY = 2 * SIGSTORE_CACHE_DEFAULT };
    struct world *w = *state;
    struct sigstore_ref ref = {.kind = SIGSTORE_PEER};
    const struct sigstore_ref first = {.kind = SIGSTORE_PEER, .key = "1_1:0"};

    for (int i = 1; i <= MANY; i++) {
        (void)snprintf(ref.key, sizeof(ref.key), "%d_1:0", i);
        sigstore_fill(w->alice, &ref, (struct bytes){NULL, 0}, 0);
    }
    assert_true(sigstore_is_loaded(w->alice, &first));
    sigstore_begin(w->alice);
    sigstore_commit(w->alice);
    assert_false(sigstore_is_loaded(w->alice, &first));
    assert_true(sigstore_is_loaded(w->alice, &ref)); /* the last */
}

static void written_one_time_keys_leave_memory(void **state)
{
    enum { MANY = 100 };
    struct world *w = *state;
    struct sigstore_prekey keys[MANY];
    const struct sigstore_ref last = {.kind = SIGSTORE_PREKEY, .key = "100"};
    const struct sigstore_ref meta = {.kind = SIGSTORE_META};
    uint32_t id = 0;

    sigstore_begin(w->alice);
    assert_int_equal(sigstore_prekey_next(w->alice, &id), SIGSTORE_OK);
    assert_int_equal(id, 1);
    sigstore_prekeys_make(id, MANY, keys);
    assert_int_equal(sigstore_prekeys_add(w->alice, keys, MANY), SIGSTORE_OK);
    assert_true(sigstore_is_loaded(w->alice, &last));
    assert_int_equal(write_all(w), MANY + 1);
    assert_false(sigstore_is_loaded(w->alice, &last));
    assert_true(sigstore_is_loaded(w->alice, &meta));
    sigstore_begin(w->alice);
    assert_int_equal(sigstore_prekey_next(w->alice, &id), SIGSTORE_OK);
    assert_int_equal(id, MANY + 1);
    sigstore_rollback(w->alice);
    mem_wipe(keys, sizeof(keys));
}

static void unreadable_record_is_told(void **state)
{
    struct world *w = *state;
    enum wa_enc_type type;
    struct buf out = {0};

    meet(w);
    row_must(&w->table, SIGSTORE_PEER, "200_1:3")->bytes.p[0] = 9;
    sigstore_trim(w->alice, 0);
    sigstore_begin(w->alice);
    assert_int_equal(
        sigstore_encrypt(w->alice, &bob_addr, (struct bytes){(const uint8_t *)"x", 1}, &type, &out),
        SIGSTORE_BROKEN);
    sigstore_rollback(w->alice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(committed_ratchet_survives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(rolled_back_counter_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(several_messages_are_one_change, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_loaded_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(records_loaded_ahead_are_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(used_and_made_in_one_stage_is_no_change, setup, teardown),
        cmocka_unit_test_setup_teardown(cache_of_an_account_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(written_one_time_keys_leave_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable_record_is_told, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
