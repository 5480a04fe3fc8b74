#include "testkit/testkit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "ingress/password.h"
#include "ingress/token.h"

static const char secret[] = "0123456789abcdef";
static const struct token_claims ann = {
    .user_id = 7, .username = "ann", .is_admin = true, .expires_s = 2000};

static void tokens_carry_their_claims(void **state)
{
    struct token_claims back = {0};
    struct buf text = {0};

    (void)state;
    assert_int_equal(token_sign(secret, &ann, 1000, &text, NULL), 0);
    assert_memory_equal(buf_text(&text), "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", 37);
    assert_true(token_is_one(buf_text(&text)));
    assert_int_equal(token_verify(secret, buf_text(&text), 1999, &back, NULL), 0);
    assert_int_equal(back.user_id, 7);
    assert_string_equal(back.username, "ann");
    assert_true(back.is_admin);
    buf_done(&text);
}

static void expired_and_foreign_tokens_are_refused(void **state)
{
    struct token_claims back = {0};
    struct buf text = {0};
    char *bent;

    (void)state;
    assert_int_equal(token_sign(secret, &ann, 1000, &text, NULL), 0);
    assert_int_equal(token_verify(secret, buf_text(&text), 2000, &back, NULL), -ERR_REFUSED);
    assert_int_equal(token_verify("another secret!!", buf_text(&text), 1999, &back, NULL),
                     -ERR_REFUSED);
    bent = mem_strdup(buf_text(&text));
    bent[strlen(bent) - 10] = bent[strlen(bent) - 10] == 'A' ? 'B' : 'A';
    assert_int_equal(token_verify(secret, bent, 1999, &back, NULL), -ERR_REFUSED);
    free(bent);
    buf_done(&text);
}

static void unsigned_and_broken_tokens_are_refused(void **state)
{
    /* {"alg":"none","typ":"JWT"} over claims of an admin */
    static const char *const bad[] = {
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiIxIiwidXNlcm5hbWUiOiJhIiwicm9sZSI6ImFkbWluIi"
        "wiZXhwIjo5OTk5OTk5OTk5fQ.",
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiIxIiwidXNlcm5hbWUiOiJhIiwicm9sZSI6ImFkbWluIi"
        "wiZXhwIjo5OTk5OTk5OTk5fQ.AAAA",
        "",
        ".",
        "..",
        "a.b.c",
        "a.b",
        "key-with-dashes",
    };
    struct token_claims back = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(token_verify(secret, bad[i], 1000, &back, NULL), -ERR_REFUSED);
    }
    assert_false(token_is_one("0a1b2c3d"));
    assert_false(token_is_one("a.b.c.d"));
}

static void passwords_match_their_hash_alone(void **state)
{
    char hash[PASSWORD_HASH_MAX];
    struct err err = {0};

    (void)state;
    assert_int_equal(password_hash("right", hash, NULL), 0);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_true(password_is("right", hash));
    assert_false(password_is("wrong", hash));
    assert_false(password_is("", hash));
    assert_false(password_is("right", NULL));
    assert_int_equal(password_hash("", hash, &err), -ERR_INVALID);
}

static void keys_are_hashed(void **state)
{
    char hash[API_KEY_HASH_MAX];

    (void)state;
    api_key_hash("abc", hash);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_carry_their_claims),
        cmocka_unit_test(expired_and_foreign_tokens_are_refused),
        cmocka_unit_test(unsigned_and_broken_tokens_are_refused),
        cmocka_unit_test(passwords_match_their_hash_alone),
        cmocka_unit_test(keys_are_hashed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
