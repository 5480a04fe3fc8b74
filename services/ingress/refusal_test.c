#include "testkit/testkit.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "ingress/ingress.h"

static bool is_utf8(const char *text)
{
    return text_is_utf8((struct bytes){(const uint8_t *)text, strlen(text)});
}

static void a_refusal_says_what_and_why(void **state)
{
    struct refusal why;

    (void)state;
    assert_int_equal(refuse(&why, REFUSED_CONFLICT, "INVALID_STATE", "line %d: %s", 3, "no"), -1);
    assert_int_equal(refusal_status(why.kind), 409);
    assert_string_equal(why.code, "INVALID_STATE");
    assert_string_equal(why.text, "line 3: no");
}

/* Verdicts on submissions go to PostgreSQL and Kafka, which take no half of a character. */
static void a_refusal_is_never_cut_within_a_character(void **state)
{
    char name[400];
    struct refusal why;

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(name); i += 2) {
        memcpy(name + i, "\xc3\xa9", 3);
    }
    for (int blanks = 0; blanks < 2; blanks++) { /* the end falls between two, or into one */
        (void)refuse(&why, REFUSED_INVALID, "INVALID_REQUEST", "%*s%s", blanks, "", name);
        assert_true(is_utf8(why.text));
        assert_true(strlen(why.text) >= sizeof(why.text) - 2);
        assert_null(strchr(why.text, '?'));
        (void)refuse(&why, REFUSED_INVALID, "INVALID_REQUEST", "\"%.*s\" is none", 3 + blanks,
                     name);
        assert_true(is_utf8(why.text));
        assert_non_null(strstr(why.text, "\" is none"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_says_what_and_why),
        cmocka_unit_test(a_refusal_is_never_cut_within_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
