#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_code.h"

static void a_code_is_shown_with_a_dash_and_typed_anyhow(void **state)
{
    struct wa_code code = wa_code_make();
    struct wa_code typed;
    char text[WA_CODE_TEXT_MAX];

    (void)state;
    assert_int_equal(strlen(code.text), WA_CODE_CHARS);
    assert_true(wa_code_parse(wa_code_format(&code, text), &typed));
    assert_string_equal(typed.text, code.text);
    assert_true(wa_code_parse("abcd1234", &typed));
    assert_string_equal(typed.text, "ABCD1234");
    assert_false(wa_code_parse("ABCD123", &typed));
    assert_false(wa_code_parse("ABCD12345", &typed));
    assert_false(wa_code_parse("ABCD123O", &typed));
    assert_false(wa_code_parse("ABC-D1234", &typed));
    assert_false(wa_code_parse("", &typed));
}

static void both_sides_derive_one_secret(void **state)
{
    struct wa_code code = wa_code_make();
    struct crypto_pair pairs[4]; /* companion: link, identity; phone: link, identity */
    uint8_t wrapped[WA_CODE_WRAPPED];
    uint8_t companion_link[CRYPTO_KEY];
    uint8_t phone_link[CRYPTO_KEY];
    uint8_t bundle[WA_CODE_BUNDLE];
    uint8_t companion_secret[CRYPTO_KEY];
    uint8_t phone_secret[CRYPTO_KEY];
    struct wa_code_keys companion = {&pairs[0], &pairs[1], phone_link, pairs[3].pub};
    struct wa_code_keys phone = {&pairs[2], &pairs[3], companion_link, pairs[1].pub};

    (void)state;
    for (int i = 0; i < 4; i++) {
        crypto_pair_new(&pairs[i]);
    }
    wa_code_wrap(&code, pairs[0].pub, wrapped);
    wa_code_unwrap(&code, wrapped, companion_link);
    assert_memory_equal(companion_link, pairs[0].pub, CRYPTO_KEY);
    wa_code_wrap(&code, pairs[2].pub, wrapped);
    wa_code_unwrap(&code, wrapped, phone_link);

    assert_int_equal(wa_code_finish(&companion, bundle, companion_secret, NULL), 0);
    assert_int_equal(wa_code_accept(&phone, bundle, phone_secret, NULL), 0);
    assert_memory_equal(companion_secret, phone_secret, CRYPTO_KEY);

    phone.peer_identity = pairs[0].pub; /* somebody else's identity */
    assert_int_equal(wa_code_accept(&phone, bundle, phone_secret, NULL), -ERR_CRYPTO);
    phone.peer_identity = pairs[1].pub;
    bundle[100] ^= 1;
    assert_int_equal(wa_code_accept(&phone, bundle, phone_secret, NULL), -ERR_CRYPTO);
}

static void another_code_unwraps_to_something_else(void **state)
{
    struct wa_code code = wa_code_make();
    struct wa_code other = wa_code_make();
    struct crypto_pair link;
    uint8_t wrapped[WA_CODE_WRAPPED];
    uint8_t got[CRYPTO_KEY];

    (void)state;
    crypto_pair_new(&link);
    wa_code_wrap(&code, link.pub, wrapped);
    wa_code_unwrap(&other, wrapped, got);
    assert_memory_not_equal(got, link.pub, CRYPTO_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_shown_with_a_dash_and_typed_anyhow),
        cmocka_unit_test(both_sides_derive_one_secret),
        cmocka_unit_test(another_code_unwraps_to_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
