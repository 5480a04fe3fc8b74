/* Sender keys of groups. */
#include <stdlib.h>
#include <string.h>

#include "sigstore/sigstore.h"
#include "testkit/testkit.h"
#include "wa/wa_jid.h"

struct world {
    struct sigstore *store;
    struct sigstore_account *alice, *bob;
};

static const struct sigstore_sender alice_sender = {"120363000000000000@g.us", {"100_1", 2}};

static struct sigstore_account *account(struct sigstore *store)
{
    struct sigstore_self self;

    sigstore_self_make(&self);
    return sigstore_account_new(store, &self, NULL);
}

static int setup(void **state)
{
    struct world *w = mem_new0(sizeof(*w));

    assert_int_equal(sigstore_new(&w->store, NULL), 0);
    w->alice = account(w->store);
    w->bob = account(w->store);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sigstore_account_free(&w->alice);
    sigstore_account_free(&w->bob);
    sigstore_free(&w->store);
    free(w);
    return 0;
}

static struct buf share(struct world *w)
{
    struct buf out = {0};

    assert_int_equal(sigstore_group_share(w->alice, &alice_sender, &out), SIGSTORE_OK);
    return out;
}

static struct buf seal(struct world *w)
{
    struct buf out = {0};

    assert_int_equal(sigstore_group_encrypt(w->alice, &alice_sender,
                                            (struct bytes){(const uint8_t *)"hello", 5}, &out),
                     SIGSTORE_OK);
    return out;
}

/* Takes @sealed. */
static void opens(struct world *w, struct buf sealed, enum sigstore_verdict want)
{
    struct sigstore_plain plain = {0};

    assert_int_equal(sigstore_group_decrypt(w->bob, &alice_sender, buf_bytes(&sealed), &plain),
                     want);
    if (want == SIGSTORE_OK) {
        assert_int_equal(plain.bytes.n, 5);
        assert_memory_equal(plain.bytes.p, "hello", 5);
    }
    buf_wipe(&plain.bytes);
    buf_done(&sealed);
}

static void learn(struct world *w, struct buf key)
{
    assert_int_equal(sigstore_group_learn(w->bob, &alice_sender, buf_bytes(&key)), SIGSTORE_OK);
    buf_done(&key);
}

static void member_reads_once_it_has_the_key(void **state)
{
    struct world *w = *state;
    struct buf out = {0};
    struct buf key;
    struct buf first;

    assert_int_equal(sigstore_group_encrypt(w->alice, &alice_sender,
                                            (struct bytes){(const uint8_t *)"x", 1}, &out),
                     SIGSTORE_NO_SENDER_KEY);
    key = share(w);
    first = seal(w);
    opens(w, (struct buf){.p = mem_dup(first.p, first.n), .n = first.n, .cap = first.n},
          SIGSTORE_NO_SENDER_KEY);
    learn(w, key);
    opens(w, (struct buf){.p = mem_dup(first.p, first.n), .n = first.n, .cap = first.n},
          SIGSTORE_OK);
    opens(w, first, SIGSTORE_DUPLICATE);
    opens(w, seal(w), SIGSTORE_OK);
}

/* As whatsmeow does: the key comes with every message, and messages come late. */
static void key_with_every_message_keeps_late_ones_readable(void **state)
{
    struct world *w = *state;
    struct buf late;

    learn(w, share(w));
    opens(w, seal(w), SIGSTORE_OK);
    late = seal(w);
    for (unsigned i = 0; i < 20; i++) {
        learn(w, share(w));
        opens(w, seal(w), SIGSTORE_OK);
    }
    opens(w, late, SIGSTORE_OK);
}

static void forgotten_key_is_replaced(void **state)
{
    struct world *w = *state;

    learn(w, share(w));
    assert_int_equal(sigstore_group_forget(w->alice, &alice_sender), SIGSTORE_OK);
    learn(w, share(w));
    opens(w, seal(w), SIGSTORE_OK);
}

static void wrong_messages_are_refused(void **state)
{
    struct world *w = *state;
    struct buf sealed;

    learn(w, share(w));
    sealed = seal(w);
    sealed.p[sealed.n - 1] ^= 1;
    opens(w, sealed, SIGSTORE_BAD_MESSAGE);
    sealed = seal(w);
    sealed.n = 3;
    opens(w, sealed, SIGSTORE_BAD_MESSAGE);
    assert_int_equal(sigstore_group_learn(w->bob, &alice_sender,
                                          (struct bytes){(const uint8_t *)"\x33nonsense", 9}),
                     SIGSTORE_BAD_MESSAGE);
}

static void kept_keys_of_a_sender_are_bounded(void **state)
{
    struct world *w = *state;
    struct buf oldest;
    struct buf young;

    learn(w, share(w));
    oldest = seal(w);
    for (unsigned i = 0; i < 2 * SIGSTORE_SKIPPED_MAX; i++) {
        struct buf skipped = seal(w);

        buf_done(&skipped);
    }
    young = seal(w);
    opens(w, seal(w), SIGSTORE_OK);
    opens(w, young, SIGSTORE_OK);
    opens(w, oldest, SIGSTORE_DUPLICATE);
}

static void addresses_of_both_forms_differ(void **state)
{
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "491", 7);
    struct wa_jid lid = wa_jid_make(WA_SERVER_LID, "491", 7);
    struct sigstore_addr addr;

    (void)state;
    sigstore_addr_of(&pn, &addr);
    assert_string_equal(addr.name, "491");
    assert_int_equal(addr.device, 7);
    sigstore_addr_of(&lid, &addr);
    assert_string_equal(addr.name, "491_1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(member_reads_once_it_has_the_key, setup, teardown),
        cmocka_unit_test_setup_teardown(key_with_every_message_keeps_late_ones_readable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(forgotten_key_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_messages_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(kept_keys_of_a_sender_are_bounded, setup, teardown),
        cmocka_unit_test(addresses_of_both_forms_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
