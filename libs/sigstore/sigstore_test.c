#include "sigstore/sigstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sigstore/sigstore_curve.h"
#include "testkit/testkit.h"
#include "wa/wa_prekeys.h"

enum { DEVICES = 3 };

/* One sender and the devices of one person. */
struct world {
    struct sigstore *store;
    struct sigstore_account *alice;
    struct sigstore_account *bob[DEVICES];
};

static const struct sigstore_addr alice_addr = {"100_1", 0};
static const struct sigstore_addr bob_addr[DEVICES] = {{"200_1", 0}, {"200_1", 1}, {"200_1", 2}};

static struct sigstore_account *account(struct sigstore *store)
{
    struct sigstore_self self;
    struct sigstore_account *made;

    sigstore_self_make(&self);
    made = sigstore_account_new(store, &self, NULL);
    sigstore_self_wipe(&self);
    return made;
}

static int setup(void **state)
{
    struct world *w = mem_new0(sizeof(*w));

    assert_int_equal(sigstore_new(&w->store, NULL), 0);
    w->alice = account(w->store);
    for (size_t i = 0; i < DEVICES; i++) {
        w->bob[i] = account(w->store);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sigstore_account_free(&w->alice);
    for (size_t i = 0; i < DEVICES; i++) {
        sigstore_account_free(&w->bob[i]);
    }
    sigstore_free(&w->store);
    free(w);
    return 0;
}

static struct bytes text(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static void meet(struct world *w, size_t device, bool one_time)
{
    struct wa_bundle bundle;

    assert_int_equal(sigstore_bundle(w->bob[device], one_time, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->alice, &bob_addr[device], &bundle, NULL), SIGSTORE_OK);
}

/* A ciphertext, to be freed with buf_done. */
struct sealed {
    enum wa_enc_type type;
    struct buf bytes;
};

static struct sealed seal(struct sigstore_account *from, const struct sigstore_addr *to,
                          const char *plain)
{
    struct sealed out = {0};

    assert_int_equal(sigstore_encrypt(from, to, text(plain), &out.type, &out.bytes), SIGSTORE_OK);
    return out;
}

static void opens(struct sigstore_account *account, const struct sigstore_addr *from,
                  const struct sealed *sealed, const char *want)
{
    struct sigstore_plain plain = {0};

    assert_int_equal(
        sigstore_decrypt(account, from, sealed->type, buf_bytes(&sealed->bytes), &plain),
        SIGSTORE_OK);
    assert_int_equal(plain.bytes.n, strlen(want));
    assert_memory_equal(plain.bytes.p, want, strlen(want));
    buf_wipe(&plain.bytes);
}

static void fails(struct sigstore_account *account, const struct sigstore_addr *from,
                  const struct sealed *sealed, enum sigstore_verdict want)
{
    struct sigstore_plain plain = {0};

    assert_int_equal(
        sigstore_decrypt(account, from, sealed->type, buf_bytes(&sealed->bytes), &plain), want);
    assert_int_equal(plain.bytes.n, 0);
}

static void passes(struct sigstore_account *from, const struct sigstore_addr *from_addr,
                   struct sigstore_account *to, const struct sigstore_addr *to_addr,
                   const char *plain)
{
    struct sealed sealed = seal(from, to_addr, plain);

    opens(to, from_addr, &sealed, plain);
    buf_done(&sealed.bytes);
}

static void curve_is_libsodiums_and_right(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(sigstore_curve_check(&err), 0);
    assert_true(sigstore_curve_is_used());
}

static void one_message_reaches_three_devices(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < DEVICES; i++) {
        struct sealed sealed;

        meet(w, i, i != 1); /* one of them ran out of one-time keys */
        sealed = seal(w->alice, &bob_addr[i], "hello");
        assert_int_equal(sealed.type, WA_ENC_PKMSG);
        opens(w->bob[i], &alice_addr, &sealed, "hello");
        buf_done(&sealed.bytes);
    }
}

static void pkmsg_repeats_until_the_first_answer(void **state)
{
    struct world *w = *state;
    struct sigstore_peer peer;
    struct sealed sealed;

    meet(w, 0, true);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "one");
    sealed = seal(w->alice, &bob_addr[0], "two");
    assert_int_equal(sealed.type, WA_ENC_PKMSG);
    opens(w->bob[0], &alice_addr, &sealed, "two");
    buf_done(&sealed.bytes);
    assert_int_equal(sigstore_peer_get(w->alice, &bob_addr[0], &peer), SIGSTORE_OK);
    assert_true(peer.has_session && !peer.is_acknowledged);

    passes(w->bob[0], &bob_addr[0], w->alice, &alice_addr, "answer");

    assert_int_equal(sigstore_peer_get(w->alice, &bob_addr[0], &peer), SIGSTORE_OK);
    assert_true(peer.has_session && peer.is_acknowledged);
    sealed = seal(w->alice, &bob_addr[0], "three");
    assert_int_equal(sealed.type, WA_ENC_MSG);
    opens(w->bob[0], &alice_addr, &sealed, "three");
    buf_done(&sealed.bytes);
}

static void two_hundred_messages_go_back_and_forth(void **state)
{
    struct world *w = *state;
    char plain[32];

    meet(w, 0, true);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(plain, sizeof(plain), "ping %u", i);
        passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], plain);
        (void)snprintf(plain, sizeof(plain), "pong %u", i);
        passes(w->bob[0], &bob_addr[0], w->alice, &alice_addr, plain);
    }
}

static void repeat_is_a_duplicate(void **state)
{
    struct world *w = *state;
    struct sealed first;
    struct sealed second;

    meet(w, 0, true);
    first = seal(w->alice, &bob_addr[0], "first");
    opens(w->bob[0], &alice_addr, &first, "first");
    fails(w->bob[0], &alice_addr, &first, SIGSTORE_DUPLICATE);
    passes(w->bob[0], &bob_addr[0], w->alice, &alice_addr, "answer");
    second = seal(w->alice, &bob_addr[0], "second");
    opens(w->bob[0], &alice_addr, &second, "second");
    fails(w->bob[0], &alice_addr, &second, SIGSTORE_DUPLICATE);
    buf_done(&first.bytes);
    buf_done(&second.bytes);
}

static void messages_out_of_order_all_open(void **state)
{
    struct world *w = *state;
    struct sealed sealed[5];

    meet(w, 0, true);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "first");
    for (size_t i = 0; i < 5; i++) {
        sealed[i] = seal(w->alice, &bob_addr[0], "late");
    }
    for (size_t i = 5; i-- > 0;) {
        opens(w->bob[0], &alice_addr, &sealed[i], "late");
        buf_done(&sealed[i].bytes);
    }
}

static void one_time_key_is_used_once(void **state)
{
    struct world *w = *state;
    struct sigstore_account *eve = account(w->store);
    struct wa_bundle bundle;
    struct sigstore_plain plain = {0};
    struct sealed from_alice;
    struct sealed from_eve;

    assert_int_equal(sigstore_bundle(w->bob[0], true, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->alice, &bob_addr[0], &bundle, NULL), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(eve, &bob_addr[0], &bundle, NULL), SIGSTORE_OK);
    from_alice = seal(w->alice, &bob_addr[0], "mine");
    from_eve = seal(eve, &bob_addr[0], "mine too");

    assert_int_equal(sigstore_decrypt(w->bob[0], &alice_addr, from_alice.type,
                                      buf_bytes(&from_alice.bytes), &plain),
                     SIGSTORE_OK);
    assert_int_equal(plain.used_prekey, bundle.prekey_id);
    fails(w->bob[0], &bob_addr[1], &from_eve, SIGSTORE_BAD_PREKEY_ID);

    buf_wipe(&plain.bytes);
    buf_done(&from_alice.bytes);
    buf_done(&from_eve.bytes);
    sigstore_account_free(&eve);
}

static void verdicts_name_what_is_wrong(void **state)
{
    struct world *w = *state;
    struct sealed sealed;
    struct buf out = {0};
    enum wa_enc_type type;
    struct wa_bundle bundle;

    assert_int_equal(sigstore_encrypt(w->alice, &bob_addr[0], text("x"), &type, &out),
                     SIGSTORE_NO_SESSION);
    assert_int_equal(out.n, 0);

    assert_int_equal(sigstore_bundle(w->bob[0], true, &bundle), SIGSTORE_OK);
    bundle.signature[3] ^= 1;
    assert_int_equal(sigstore_peer_start(w->alice, &bob_addr[0], &bundle, NULL), SIGSTORE_BAD_KEY);
    bundle.signature[3] ^= 1;
    memset(bundle.prekey_public, 0, sizeof(bundle.prekey_public));
    assert_int_equal(sigstore_peer_start(w->alice, &bob_addr[0], &bundle, NULL), SIGSTORE_BAD_KEY);

    meet(w, 0, true);
    sealed = seal(w->alice, &bob_addr[0], "hello");
    sealed.bytes.p[sealed.bytes.n - 20] ^= 1;
    fails(w->bob[0], &alice_addr, &sealed, SIGSTORE_BAD_MESSAGE);
    sealed.bytes.p[sealed.bytes.n - 20] ^= 1;
    sealed.type = WA_ENC_MSG;
    fails(w->bob[1], &alice_addr, &sealed, SIGSTORE_BAD_MESSAGE); /* a pkmsg is no msg */
    sealed.type = WA_ENC_PKMSG;
    opens(w->bob[0], &alice_addr, &sealed, "hello"); /* the failures used nothing up */
    buf_done(&sealed.bytes);

    passes(w->bob[0], &bob_addr[0], w->alice, &alice_addr, "answer");
    sealed = seal(w->alice, &bob_addr[0], "again");
    fails(w->bob[1], &alice_addr, &sealed, SIGSTORE_NO_SESSION);
    sealed.bytes.p[0] = 0x23;
    fails(w->bob[0], &alice_addr, &sealed, SIGSTORE_BAD_MESSAGE);
    buf_done(&sealed.bytes);
    assert_string_equal(sigstore_verdict_name(SIGSTORE_BAD_PREKEY_ID), "BAD_PREKEY_ID");
    assert_int_equal(sigstore_retry_reason(SIGSTORE_NO_SESSION), 1);
    assert_int_equal(sigstore_retry_reason(SIGSTORE_BAD_PREKEY_ID), 3);
    assert_int_equal(sigstore_retry_reason(SIGSTORE_BAD_MESSAGE), 4);
}

static void retry_with_keys_begins_a_new_session(void **state)
{
    struct world *w = *state;
    struct wa_bundle bundle;
    struct sealed lost;
    struct sealed again;
    bool changed = true;

    meet(w, 0, true);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "hello");
    passes(w->bob[0], &bob_addr[0], w->alice, &alice_addr, "answer");
    assert_int_equal(sigstore_peer_end(w->bob[0], &alice_addr), SIGSTORE_OK); /* bob lost it */
    lost = seal(w->alice, &bob_addr[0], "important");
    fails(w->bob[0], &alice_addr, &lost, SIGSTORE_NO_SESSION);

    assert_int_equal(sigstore_bundle(w->bob[0], true, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->alice, &bob_addr[0], &bundle, &changed), SIGSTORE_OK);
    assert_false(changed);
    again = seal(w->alice, &bob_addr[0], "important");
    assert_int_equal(again.type, WA_ENC_PKMSG);
    opens(w->bob[0], &alice_addr, &again, "important");
    passes(w->bob[0], &bob_addr[0], w->alice, &alice_addr, "thanks");
    buf_done(&lost.bytes);
    buf_done(&again.bytes);
}

static void changed_identity_is_accepted_and_told(void **state)
{
    struct world *w = *state;
    struct sigstore_plain plain = {0};
    struct sigstore_peer peer;
    struct wa_bundle bundle;
    struct sealed sealed;
    bool changed = false;

    meet(w, 0, true);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "hello");

    sigstore_account_free(&w->bob[0]); /* a new phone */
    w->bob[0] = account(w->store);
    assert_int_equal(sigstore_bundle(w->alice, true, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->bob[0], &alice_addr, &bundle, NULL), SIGSTORE_OK);
    sealed = seal(w->bob[0], &alice_addr, "it is me");
    assert_int_equal(
        sigstore_decrypt(w->alice, &bob_addr[0], sealed.type, buf_bytes(&sealed.bytes), &plain),
        SIGSTORE_OK);
    assert_true(plain.identity_changed);
    assert_int_equal(sigstore_peer_get(w->alice, &bob_addr[0], &peer), SIGSTORE_OK);
    assert_memory_equal(peer.identity, sigstore_account_self(w->bob[0])->identity.pub, CRYPTO_KEY);
    assert_int_equal(peer.archived, 0);
    buf_done(&sealed.bytes);
    buf_wipe(&plain.bytes);

    sigstore_account_free(&w->bob[0]); /* and another one, met by its bundle */
    w->bob[0] = account(w->store);
    assert_int_equal(sigstore_bundle(w->bob[0], true, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->alice, &bob_addr[0], &bundle, &changed), SIGSTORE_OK);
    assert_true(changed);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "hello again");
}

static void archived_session_still_opens_late_messages(void **state)
{
    struct world *w = *state;
    struct sigstore_peer peer;
    struct sealed late;
    struct buf out = {0};
    enum wa_enc_type type;

    meet(w, 0, true);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "hello");
    late = seal(w->bob[0], &alice_addr, "late");
    assert_int_equal(sigstore_peer_archive(w->alice, &bob_addr[0]), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_get(w->alice, &bob_addr[0], &peer), SIGSTORE_OK);
    assert_true(peer.has_identity && !peer.has_session);
    assert_int_equal(peer.archived, 1);
    assert_int_equal(sigstore_encrypt(w->alice, &bob_addr[0], text("x"), &type, &out),
                     SIGSTORE_NO_SESSION);
    opens(w->alice, &bob_addr[0], &late, "late");
    buf_done(&late.bytes);
}

static void archived_sessions_and_kept_keys_are_bounded(void **state)
{
    struct world *w = *state;
    struct sigstore_peer peer;
    struct sealed oldest;
    struct sealed young;

    for (unsigned i = 0; i < 3 * SIGSTORE_ARCHIVED_MAX; i++) {
        meet(w, 0, true);
        passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "again");
        if (i % 4 == 0) {
            assert_int_equal(sigstore_peer_archive(w->alice, &bob_addr[0]), SIGSTORE_OK);
        }
    }
    assert_int_equal(sigstore_peer_get(w->bob[0], &alice_addr, &peer), SIGSTORE_OK);
    assert_int_equal(peer.archived, SIGSTORE_ARCHIVED_MAX);

    meet(w, 0, true);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "base");
    oldest = seal(w->alice, &bob_addr[0], "oldest");
    for (unsigned i = 0; i < 2 * SIGSTORE_SKIPPED_MAX; i++) {
        struct sealed skipped = seal(w->alice, &bob_addr[0], "skipped");

        buf_done(&skipped.bytes);
    }
    young = seal(w->alice, &bob_addr[0], "young");
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "last");
    opens(w->bob[0], &alice_addr, &young, "young");
    fails(w->bob[0], &alice_addr, &oldest, SIGSTORE_DUPLICATE); /* its key is gone */
    buf_done(&oldest.bytes);
    buf_done(&young.bytes);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "goes on");
}

static void phone_number_moves_to_lid(void **state)
{
    struct world *w = *state;
    const struct sigstore_addr number = {"4915", 0};
    struct sigstore_peer peer;
    struct wa_bundle bundle;

    assert_int_equal(sigstore_bundle(w->bob[0], true, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->alice, &number, &bundle, NULL), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_move(w->alice, &number, &bob_addr[0]), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_get(w->alice, &number, &peer), SIGSTORE_OK);
    assert_false(peer.has_identity);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "hello");
    assert_int_equal(sigstore_peer_move(w->alice, &number, &bob_addr[0]), SIGSTORE_OK);
    passes(w->alice, &alice_addr, w->bob[0], &bob_addr[0], "still here");
}

static void accounts_from_a_seed_repeat(void **state)
{
    const uint8_t seed[CRYPTO_KEY] = {7};
    struct sigstore_self a;
    struct sigstore_self b;

    (void)state;
    sigstore_self_derive(seed, &a);
    sigstore_self_derive(seed, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_in_range(a.registration_id, 1, 16380);
    assert_int_equal(sigstore_prekey_id_after(WA_PREKEY_ID_MAX, 1), 1);
    assert_int_equal(sigstore_prekey_id_after(1, 5), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curve_is_libsodiums_and_right),
        cmocka_unit_test_setup_teardown(one_message_reaches_three_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(pkmsg_repeats_until_the_first_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(two_hundred_messages_go_back_and_forth, setup, teardown),
        cmocka_unit_test_setup_teardown(repeat_is_a_duplicate, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_out_of_order_all_open, setup, teardown),
        cmocka_unit_test_setup_teardown(one_time_key_is_used_once, setup, teardown),
        cmocka_unit_test_setup_teardown(verdicts_name_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(retry_with_keys_begins_a_new_session, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_identity_is_accepted_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(archived_session_still_opens_late_messages, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(archived_sessions_and_kept_keys_are_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(phone_number_moves_to_lid, setup, teardown),
        cmocka_unit_test(accounts_from_a_seed_repeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
