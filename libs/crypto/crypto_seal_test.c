#include "crypto/crypto_seal.h"

#include "base/err.h"
#include "testkit/testkit.h"

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static const struct bytes secret = {(const uint8_t *)"ratchet", 7};

static struct crypto_keyring ring_of(const char *text)
{
    struct crypto_keyring ring;

    assert_int_equal(crypto_keyring_parse(text, &ring, NULL), 0);
    return ring;
}

static void what_was_sealed_opens_for_its_owner_and_label_only(void **state)
{
    struct crypto_keyring ring = ring_of(KEY_A);
    struct buf sealed = {0};
    struct buf plain = {0};

    (void)state;
    crypto_seal(&ring, "owner-1", "record:1", secret, &sealed);
    assert_int_equal(sealed.n, secret.n + CRYPTO_SEAL_OVERHEAD);
    assert_int_equal(crypto_unseal(&ring, "owner-2", "record:1", buf_bytes(&sealed), &plain, NULL),
                     -ERR_CRYPTO);
    assert_int_equal(crypto_unseal(&ring, "owner-1", "record:2", buf_bytes(&sealed), &plain, NULL),
                     -ERR_CRYPTO);
    assert_int_equal(plain.n, 0);
    assert_int_equal(crypto_unseal(&ring, "owner-1", "record:1", buf_bytes(&sealed), &plain, NULL),
                     0);
    assert_memory_equal(plain.p, secret.p, secret.n);
    sealed.p[sealed.n - 1] ^= 1;
    assert_int_equal(crypto_unseal(&ring, "owner-1", "record:1", buf_bytes(&sealed), &plain, NULL),
                     -ERR_CRYPTO);
    buf_done(&sealed);
    buf_done(&plain);
}

static void a_retired_key_still_opens_and_an_unknown_one_is_named_as_such(void **state)
{
    struct crypto_keyring old = ring_of(KEY_A);
    struct crypto_keyring both = ring_of(KEY_B "," KEY_A);
    struct crypto_keyring fresh = ring_of(KEY_B);
    struct buf sealed = {0};
    struct buf plain = {0};

    (void)state;
    crypto_seal(&old, "o", "l", secret, &sealed);
    assert_int_equal(crypto_unseal(&both, "o", "l", buf_bytes(&sealed), &plain, NULL), 0);
    assert_int_equal(crypto_unseal(&fresh, "o", "l", buf_bytes(&sealed), &plain, NULL),
                     -ERR_NOT_FOUND);
    buf_done(&sealed);
    buf_done(&plain);
}

static void a_bad_key_list_is_refused_by_place(void **state)
{
    struct crypto_keyring ring = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(crypto_keyring_parse(KEY_A ",zz", &ring, &err), -ERR_INVALID);
    assert_string_equal(err.text, "key 2 of the list is not 64 hex digits");
    assert_int_equal(crypto_keyring_parse("", &ring, &err), -ERR_INVALID);
    assert_int_equal(ring.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens_for_its_owner_and_label_only),
        cmocka_unit_test(a_retired_key_still_opens_and_an_unknown_one_is_named_as_such),
        cmocka_unit_test(a_bad_key_list_is_refused_by_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
