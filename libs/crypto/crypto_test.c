#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "testkit/testkit.h"

/* libsignal-protocol-c's own curve functions, which it exports without a header. */
int curve25519_sign(unsigned char *signature, const unsigned char *priv,
                    const unsigned char *message, unsigned long message_len,
                    const unsigned char *random);
int curve25519_verify(const unsigned char *signature, const unsigned char *pub,
                      const unsigned char *message, unsigned long message_len);
int curve25519_donna(unsigned char *out, const unsigned char *scalar, const unsigned char *point);

static struct bytes of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void fill(struct testkit_random *random, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)testkit_next(random);
    }
}

static void assert_hex(const uint8_t *got, const char *want)
{
    struct buf raw = {0};

    assert_int_equal(text_unhex(&raw, want, strlen(want)), 0);
    assert_memory_equal(got, raw.p, raw.n);
    buf_done(&raw);
}

static void the_known_answers_at_start_hold(void **state)
{
    (void)state;
    assert_int_equal(crypto_start(NULL), 0);
}

static void signatures_are_those_of_libsignal(void **state)
{
    struct testkit_random random = {7};

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct crypto_pair pair;
        uint8_t seed[32];
        uint8_t salt[64];
        uint8_t text[100];
        uint8_t ours[64];
        uint8_t theirs[64];
        struct bytes message = {text, testkit_below(&random, sizeof(text))};

        fill(&random, seed, sizeof(seed));
        fill(&random, salt, sizeof(salt));
        fill(&random, text, sizeof(text));
        crypto_pair_from(seed, &pair);
        crypto_xeddsa_sign_with(pair.priv, message, salt, ours);
        assert_int_equal(curve25519_sign(theirs, pair.priv, text, message.n, salt), 0);
        assert_memory_equal(ours, theirs, sizeof(ours));
        assert_int_equal(curve25519_verify(ours, pair.pub, text, message.n), 0);
        assert_true(crypto_xeddsa_verify(pair.pub, message, theirs));

        ours[testkit_below(&random, 64)] ^= (uint8_t)(1U << testkit_below(&random, 8));
        assert_false(crypto_xeddsa_verify(pair.pub, message, ours));
        assert_int_not_equal(curve25519_verify(ours, pair.pub, text, message.n), 0);
    }
}

static void verification_bears_edges_of_the_field(void **state)
{
    static const uint8_t edges[][2] = {{0x00, 0x00}, {0x01, 0x00}, {0xec, 0xff},
                                       {0xed, 0xff}, {0xee, 0xff}, {0xff, 0xff}};
    uint8_t signature[64] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        uint8_t pub[32];

        memset(pub, edges[i][1], sizeof(pub));
        pub[0] = edges[i][0];
        pub[31] &= 0x7f;
        assert_false(crypto_xeddsa_verify(pub, of("x"), signature));
    }
}

static void shared_secrets_are_those_of_libsignal(void **state)
{
    struct testkit_random random = {8};

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct crypto_pair a;
        struct crypto_pair b;
        uint8_t ab[32];
        uint8_t ba[32];
        uint8_t theirs[32];

        fill(&random, a.priv, 32);
        crypto_pair_from(a.priv, &a);
        crypto_pair_new(&b);
        assert_int_equal(crypto_dh(a.priv, b.pub, ab, NULL), 0);
        assert_int_equal(crypto_dh(b.priv, a.pub, ba, NULL), 0);
        (void)curve25519_donna(theirs, a.priv, b.pub);
        assert_memory_equal(ab, ba, 32);
        assert_memory_equal(ab, theirs, 32);
    }
}

static void a_point_of_small_order_is_refused(void **state)
{
    struct crypto_pair pair;
    uint8_t zero[32] = {0};
    uint8_t out[32] = {9};
    struct err err = {0};

    (void)state;
    crypto_pair_new(&pair);
    assert_int_equal(crypto_dh(pair.priv, zero, out, &err), -ERR_CRYPTO);
    assert_int_equal(out[0], 9);
}

static void digests_and_hkdf_give_the_published_answers(void **state)
{
    uint8_t out[64];
    uint8_t ikm[22];
    uint8_t salt[13];
    uint8_t info[10];

    (void)state;
    crypto_sha256(of("abc"), out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha1(of("abc"), out);
    assert_hex(out, "a9993e364706816aba3e25717850c26c9cd0d89d");
    crypto_md5(of(""), out);
    assert_hex(out, "d41d8cd98f00b204e9800998ecf8427e");
    crypto_hmac(of("Jefe"), of("what do ya want for nothing?"), out); /* RFC 4231, case 2 */
    assert_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

    crypto_hmac((struct bytes){0}, (struct bytes){0}, out); /* no bytes at all are bytes, too */
    assert_hex(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");

    memset(ikm, 0x0b, sizeof(ikm)); /* RFC 5869, cases 1 and 3 */
    for (uint8_t i = 0; i < 13; i++) {
        salt[i] = i;
    }
    for (uint8_t i = 0; i < 10; i++) {
        info[i] = (uint8_t)(0xf0 + i);
    }
    crypto_hkdf((struct bytes){ikm, 22}, (struct bytes){salt, 13}, (struct bytes){info, 10}, out,
                42);
    assert_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b8"
                    "87185865");
    crypto_hkdf((struct bytes){ikm, 22}, (struct bytes){0}, (struct bytes){0}, out, 42);
    assert_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4"
                    "b61a96c8");
}

static void gcm_opens_what_it_sealed_and_nothing_else(void **state)
{
    static const uint8_t key[32];
    static const uint8_t iv[12];
    struct crypto_gcm *gcm = crypto_gcm_new(key);
    uint8_t data[16 + 16] = {0};
    uint8_t plain[16];

    (void)state;
    crypto_gcm_seal(gcm, iv, (struct bytes){0}, (struct bytes){data, 16}, data); /* test case 14 */
    assert_hex(data, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    assert_int_equal(
        crypto_gcm_open(gcm, iv, (struct bytes){0}, (struct bytes){data, 32}, plain, NULL), 0);
    assert_hex(plain, "00000000000000000000000000000000");
    assert_int_equal(crypto_gcm_open(gcm, iv, of("aad"), (struct bytes){data, 32}, plain, NULL),
                     -ERR_CRYPTO);
    assert_int_equal(
        crypto_gcm_open(gcm, iv, (struct bytes){0}, (struct bytes){data, 15}, plain, NULL),
        -ERR_CRYPTO);
    data[3] ^= 1;
    assert_int_equal(
        crypto_gcm_open(gcm, iv, (struct bytes){0}, (struct bytes){data, 32}, plain, NULL),
        -ERR_CRYPTO);
    crypto_gcm_seal(gcm, iv, (struct bytes){0}, (struct bytes){0}, data); /* test case 13 */
    assert_hex(data, "530f8afbc74536b9a963b4f1c4cb738b");
    crypto_gcm_free(&gcm);
    assert_null(gcm);
}

static void password_keys_and_counter_mode_give_the_published_answers(void **state)
{
    static const uint8_t block[16] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                      0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};
    struct buf key = {0};
    struct buf iv = {0};
    const char *key_hex = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    const char *iv_hex = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    uint8_t out[32];

    (void)state;
    crypto_pbkdf2(of("password"), of("salt"), 4096, out, 32);
    assert_hex(out, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
    assert_int_equal(text_unhex(&key, key_hex, strlen(key_hex)), 0); /* SP 800-38A, F.5.5 */
    assert_int_equal(text_unhex(&iv, iv_hex, strlen(iv_hex)), 0);
    crypto_ctr(key.p, iv.p, (struct bytes){block, 16}, out);
    assert_hex(out, "601ec313775789a5b7a7f504bbf3d228");
    crypto_ctr(key.p, iv.p, (struct bytes){out, 16}, out);
    assert_memory_equal(out, block, 16);
    buf_done(&key);
    buf_done(&iv);
}

static void equality_looks_at_every_byte(void **state)
{
    (void)state;
    assert_true(crypto_equal("abc", "abc", 3));
    assert_false(crypto_equal("abc", "abd", 3));
    assert_true(crypto_equal(NULL, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_answers_at_start_hold),
        cmocka_unit_test(signatures_are_those_of_libsignal),
        cmocka_unit_test(verification_bears_edges_of_the_field),
        cmocka_unit_test(shared_secrets_are_those_of_libsignal),
        cmocka_unit_test(a_point_of_small_order_is_refused),
        cmocka_unit_test(digests_and_hkdf_give_the_published_answers),
        cmocka_unit_test(gcm_opens_what_it_sealed_and_nothing_else),
        cmocka_unit_test(password_keys_and_counter_mode_give_the_published_answers),
        cmocka_unit_test(equality_looks_at_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
