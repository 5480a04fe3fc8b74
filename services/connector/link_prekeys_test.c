/* One-time keys on their way to the server: turns, tables and network are stood in for. */
#include "connector/link_prekeys.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/link.h"
#include "connector/records.h"
#include "crypto/crypto.h"
#include "sigstore/sigstore.h"
#include "testkit/testkit.h"
#include "wa/wa_iq.h"
#include "wa/wa_prekeys.h"

enum { MADE_WITHIN_MS = 30000 };

/* ---- what stands around it ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct link link;
    struct credentials credentials;
    struct sigstore *store;
    struct arena arena; /* of what was asked last */
    unsigned n_asked;
    enum wa_prekeys_request asked;
    struct wa_prekeys_upload upload;
    wa_client_reply_cb *reply;
};

static struct fixture *fixture;

struct account *account_find(const struct connector *connector, const char *uuid)
{
    (void)connector;
    (void)uuid;
    return &fixture->account;
}

void account_ready(struct account *account)
{
    (void)account;
}

bool records_load(struct account *account, const struct sigstore_ref *refs, size_t n,
                  records_loaded_fn *fn, uint64_t tag)
{
    (void)account;
    (void)refs;
    (void)n;
    (void)fn;
    (void)tag;
    return true;
}

void records_begin(struct turn *turn, struct account *account)
{
    (void)turn;
    sigstore_begin(account->signal);
}

void records_drop_prekeys(struct turn *turn, const struct account *account, uint32_t next)
{
    (void)turn;
    (void)account;
    (void)next;
}

void link_request(struct account *account, struct wa_node *iq, wa_client_reply_cb *fn, void *ctx)
{
    (void)account;
    assert_ptr_equal(ctx, &fixture->link);
    wa_node_set(iq, "id", "1.2-3");
    fixture->n_asked++;
    fixture->asked = wa_prekeys_request(iq);
    fixture->reply = fn;
    if (fixture->asked == WA_PREKEYS_UPLOAD) {
        arena_reset(&fixture->arena);
        assert_int_equal(wa_prekeys_upload_parse(iq, &fixture->arena, &fixture->upload, NULL), 0);
    }
}

/* ---- an account that is to upload keys ---- */

static const struct wa_client_ops no_ops;

static void make_device(const struct sigstore_self *self, struct wa_creds *out)
{
    struct sigstore_signed_prekey key;

    sigstore_signed_prekey_make(self, 1, &key);
    wa_creds_make(out);
    out->identity = self->identity;
    out->signed_prekey_id = key.key.id;
    memcpy(out->signed_prekey, key.key.pair.pub, CRYPTO_KEY);
    memcpy(out->signed_prekey_signature, key.signature, CRYPTO_SIGNATURE);
}

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));
    struct wa_client_config config = {.creds = &f->credentials.device};
    struct sigstore_ref meta = {.kind = SIGSTORE_META};
    struct sigstore_self self;

    fixture = f;
    assert_int_equal(crypto_start(NULL), 0);
    assert_int_equal(sigstore_new(&f->store, NULL), 0);
    assert_int_equal(loop_new(&f->connector.loop, NULL), 0);
    sigstore_self_make(&self);
    make_device(&self, &f->credentials.device);
    f->account.connector = &f->connector;
    f->account.link = &f->link;
    f->account.credentials = &f->credentials;
    f->account.signal = sigstore_account_new(f->store, &self, NULL);
    sigstore_fill(f->account.signal, &meta, (struct bytes){NULL, 0}, 0);
    f->link.account = &f->account;
    f->link.client = wa_client_new(&config, &no_ops, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    link_prekeys_drop(&f->link);
    wa_client_free(&f->link.client);
    sigstore_account_free(&f->account.signal);
    sigstore_free(&f->store);
    loop_free(&f->connector.loop);
    arena_done(&f->arena);
    free(f);
    return 0;
}

static bool is_made(void *ctx)
{
    return ((const struct fixture *)ctx)->link.prekeys.state == LINK_PREKEYS_MADE;
}

static void turn(struct fixture *f)
{
    link_prekeys_stage(NULL, &f->link);
    if (sigstore_is_begun(f->account.signal)) {
        sigstore_commit(f->account.signal);
    }
    link_prekeys_committed(&f->link);
}

/* Up to the first upload. */
static void upload(struct fixture *f)
{
    link_prekeys_want(&f->link, 3);
    assert_int_equal(loop_run_until(f->connector.loop, is_made, f, MADE_WITHIN_MS), 1);
    turn(f);
    assert_int_equal(f->n_asked, 1);
    assert_int_equal(f->asked, WA_PREKEYS_UPLOAD);
    assert_int_equal(f->upload.n, WA_CLIENT_PREKEYS_MORE);
}

static void answer(struct fixture *f, int rc)
{
    f->reply(&f->link, rc, rc == -ERR_REFUSED ? 503 : 0, NULL);
}

static void answer_count(struct fixture *f, uint32_t at_server)
{
    struct arena arena = {0};
    struct wa_node *request = wa_prekeys_count(&arena, "1.2-3");

    f->reply(&f->link, 0, 0, wa_prekeys_count_answer(&arena, request, at_server));
    arena_done(&arena);
}

/* Nothing is asked before @wait_ms, less the jitter, are over; then how many the server has. */
static void wait_for_count(struct fixture *f, int64_t wait_ms)
{
    struct loop_timer *again = &f->link.prekeys.again;
    unsigned before = f->n_asked;

    assert_true(loop_timer_is_running(again));
    assert_in_range(again->due_ms - loop_now_ms(f->connector.loop), wait_ms * 8 / 10, wait_ms);
    loop_timer_stop(again);
    again->fn(again, again->ctx);
    assert_int_equal(f->n_asked, before + 1);
    assert_int_equal(f->asked, WA_PREKEYS_COUNT);
}

static void assert_is_over(const struct fixture *f, unsigned n_asked)
{
    assert_int_equal(f->n_asked, n_asked);
    assert_int_equal(f->link.prekeys.state, LINK_PREKEYS_NONE);
    assert_null(f->link.prekeys.keys);
    assert_false(loop_timer_is_running(&f->link.prekeys.again));
}

static void an_upload_that_fails_is_tried_again(void **state)
{
    struct fixture *f = *state;
    struct wa_prekey first;

    upload(f);
    first = f->upload.keys[0];
    answer(f, -ERR_REFUSED);
    wait_for_count(f, 1000);
    answer_count(f, 3);
    assert_int_equal(f->asked, WA_PREKEYS_UPLOAD); /* of the same keys */
    assert_int_equal(f->upload.n, WA_CLIENT_PREKEYS_MORE);
    assert_memory_equal(&f->upload.keys[0], &first, sizeof(first));
    answer(f, -ERR_TIMEOUT);
    wait_for_count(f, 2000);
    answer(f, -ERR_TIMEOUT);
    wait_for_count(f, 4000);
    answer_count(f, 0);
    assert_int_equal(f->asked, WA_PREKEYS_UPLOAD);
    answer(f, 0);
    assert_is_over(f, 6);
}

static void what_had_got_there_is_not_uploaded_again(void **state)
{
    struct fixture *f = *state;

    upload(f);
    answer(f, -ERR_TIMEOUT);
    wait_for_count(f, 1000);
    answer_count(f, 3 + WA_CLIENT_PREKEYS_MORE);
    assert_is_over(f, 2);
    link_prekeys_want(&f->link, 3); /* and the next lot may begin */
    assert_int_equal(f->link.prekeys.state, LINK_PREKEYS_MAKING);
    assert_int_equal(loop_run_until(f->connector.loop, is_made, f, MADE_WITHIN_MS), 1);
}

static void the_wait_has_a_limit(void **state)
{
    struct fixture *f = *state;

    upload(f);
    for (int64_t wait_ms = 1000; wait_ms < LINK_PREKEYS_AGAIN_MOST_MS; wait_ms *= 2) {
        answer(f, -ERR_REFUSED);
        wait_for_count(f, wait_ms);
    }
    for (int i = 0; i < 3; i++) {
        answer(f, -ERR_REFUSED);
        wait_for_count(f, LINK_PREKEYS_AGAIN_MOST_MS);
    }
}

static void they_are_kept_and_uploaded_once_whatever_turns_come(void **state)
{
    struct fixture *f = *state;
    uint32_t next = 0;
    uint32_t later = 0;

    upload(f);
    assert_int_equal(sigstore_prekey_next(f->account.signal, &next), SIGSTORE_OK);
    turn(f); /* something else of the account */
    link_prekeys_want(&f->link, 2);
    turn(f);
    assert_int_equal(sigstore_prekey_next(f->account.signal, &later), SIGSTORE_OK);
    assert_int_equal(later, next);
    assert_int_equal(f->n_asked, 1);
    answer(f, 0);
    assert_is_over(f, 1);
}

#define PREKEYS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PREKEYS_TEST(an_upload_that_fails_is_tried_again),
        PREKEYS_TEST(what_had_got_there_is_not_uploaded_again),
        PREKEYS_TEST(the_wait_has_a_limit),
        PREKEYS_TEST(they_are_kept_and_uploaded_once_whatever_turns_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
