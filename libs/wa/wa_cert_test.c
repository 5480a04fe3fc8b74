#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_cert.h"

enum { NOW = 1700000000 };

/* A chain that holds, to be spoilt in one place. */
struct fixture {
    struct crypto_pair root;
    struct crypto_pair middle;
    struct crypto_pair server;
    struct wa_cert leaf;
    struct wa_cert intermediate;
    const uint8_t *leaf_signer;
    const uint8_t *intermediate_signer;
};

static int setup(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    crypto_pair_new(&f->root);
    crypto_pair_new(&f->middle);
    crypto_pair_new(&f->server);
    f->leaf = (struct wa_cert){
        .serial = 9, .issuer_serial = 7, .not_before_s = NOW - 5, .not_after_s = NOW + 5};
    f->intermediate = (struct wa_cert){
        .serial = 7, .issuer_serial = 0, .not_before_s = NOW - 5, .not_after_s = NOW + 5};
    memcpy(f->leaf.key, f->server.pub, CRYPTO_KEY);
    memcpy(f->intermediate.key, f->middle.pub, CRYPTO_KEY);
    f->leaf_signer = f->middle.priv;
    f->intermediate_signer = f->root.priv;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void assert_verifies(struct fixture *f, int want, const char *text)
{
    struct buf chain = {0};
    struct err err = {0};

    wa_cert_chain_make(&f->leaf, &f->intermediate, f->leaf_signer, f->intermediate_signer, &chain);
    assert_int_equal(wa_cert_chain_verify(buf_bytes(&chain), f->root.pub, f->server.pub, NOW, &err),
                     want);
    assert_string_equal(err.text, text);
    buf_done(&chain);
}

static void a_good_chain_holds(void **state)
{
    assert_verifies(*state, 0, "");
}

static void another_root_is_refused(void **state)
{
    struct fixture *f = *state;

    f->intermediate_signer = f->middle.priv;
    assert_verifies(f, -ERR_CRYPTO, "intermediate certificate: the signature is not its issuer's");
}

static void a_leaf_that_the_intermediate_did_not_sign_is_refused(void **state)
{
    struct fixture *f = *state;

    f->leaf_signer = f->root.priv;
    assert_verifies(f, -ERR_CRYPTO, "leaf certificate: the signature is not its issuer's");
}

static void serials_must_link(void **state)
{
    struct fixture *f = *state;

    f->leaf.issuer_serial = 8;
    assert_verifies(f, -ERR_CRYPTO, "leaf certificate: not issued by the intermediate");
    f->intermediate.issuer_serial = 1;
    assert_verifies(f, -ERR_CRYPTO, "intermediate certificate: not issued by the root");
}

static void the_leaf_must_name_the_servers_key(void **state)
{
    struct fixture *f = *state;

    memcpy(f->leaf.key, f->root.pub, CRYPTO_KEY);
    assert_verifies(f, -ERR_CRYPTO, "leaf certificate: another key than the server's");
}

static void both_must_be_valid_now(void **state)
{
    struct fixture *f = *state;

    f->leaf.not_after_s = NOW;
    f->leaf.not_before_s = NOW;
    assert_verifies(f, 0, "");
    f->leaf.not_after_s = NOW - 1;
    assert_verifies(f, -ERR_CRYPTO, "leaf certificate: not valid at this time");
    f->intermediate.not_before_s = NOW + 1;
    assert_verifies(f, -ERR_CRYPTO, "intermediate certificate: not valid at this time");
}

static void a_chain_cut_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf chain = {0};

    wa_cert_chain_make(&f->leaf, &f->intermediate, f->leaf_signer, f->intermediate_signer, &chain);
    for (size_t n = 0; n < chain.n; n++) {
        uint8_t *exact = mem_dup(chain.p, n);

        assert_true(wa_cert_chain_verify((struct bytes){exact, n}, f->root.pub, f->server.pub, NOW,
                                         NULL) < 0);
        free(exact);
    }
    buf_done(&chain);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_good_chain_holds),
        T(another_root_is_refused),
        T(a_leaf_that_the_intermediate_did_not_sign_is_refused),
        T(serials_must_link),
        T(the_leaf_must_name_the_servers_key),
        T(both_must_be_valid_now),
        T(a_chain_cut_anywhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
