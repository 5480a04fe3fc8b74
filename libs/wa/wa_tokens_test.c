#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "testkit/testkit.h"
#include "wa/wa_tokens.h"

static void the_table_is_that_of_dictionary_3(void **state)
{
    struct buf all = {0}; /* the first string, at index 0, is empty */
    struct buf hex = {0};
    uint8_t digest[CRYPTO_SHA256];

    (void)state;
    for (int dictionary = -1; dictionary < WA_TOKENS_DICTIONARIES; dictionary++) {
        for (int i = 0; i < (dictionary < 0 ? 236 : 256); i++) {
            const char *text = wa_token_text((struct wa_token){dictionary, (uint8_t)i});

            buf_addf(&all, "%s%s", dictionary < 0 && i == 0 ? "" : "\n", text == NULL ? "" : text);
        }
    }
    crypto_sha256(buf_bytes(&all), digest);
    text_hex(&hex, (struct bytes){digest, sizeof(digest)});
    assert_string_equal(buf_text(&hex),
                        "cfe8fcd3ef24f232ec7df9824e1baa277f6a736543efc0e5f48aa46abb0f8cd0");
    buf_done(&all);
    buf_done(&hex);
}

static void every_string_finds_its_own_code(void **state)
{
    (void)state;
    for (int dictionary = -1; dictionary < WA_TOKENS_DICTIONARIES; dictionary++) {
        for (int i = dictionary < 0 ? 1 : 0; i < (dictionary < 0 ? 236 : 256); i++) {
            struct wa_token want = {dictionary, (uint8_t)i};
            struct wa_token got = {0};

            assert_true(wa_token_find(wa_token_text(want), &got));
            assert_int_equal(got.dictionary, want.dictionary);
            assert_int_equal(got.index, want.index);
        }
    }
}

static void known_anchors_hold(void **state)
{
    static const struct {
        const char *text;
        int dictionary;
        int index;
    } anchors[] = {{"s.whatsapp.net", -1, 3}, {"xmlns", -1, 22},       {"device-identity", -1, 230},
                   {"failure", 2, 60},        {"pair-device", 1, 238}, {"active", 0, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++) {
        struct wa_token token = {0};

        assert_true(wa_token_find(anchors[i].text, &token));
        assert_int_equal(token.dictionary, anchors[i].dictionary);
        assert_int_equal(token.index, anchors[i].index);
    }
}

static void what_has_no_code_is_not_found(void **state)
{
    static const char *const texts[] = {"", "ib", "pair-success", "md", "zzzz", "\xff"};
    struct wa_token token = {7, 7};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(wa_token_find(texts[i], &token));
    }
    assert_int_equal(token.dictionary, 7);
    assert_null(wa_token_text((struct wa_token){-1, 0}));
    assert_null(wa_token_text((struct wa_token){-1, 236}));
    assert_null(wa_token_text((struct wa_token){4, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_that_of_dictionary_3),
        cmocka_unit_test(every_string_finds_its_own_code),
        cmocka_unit_test(known_anchors_hold),
        cmocka_unit_test(what_has_no_code_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
