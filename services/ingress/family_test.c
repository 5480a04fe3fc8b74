#include "testkit/testkit.h"

#include <jansson.h>

#include "http/http.h"
#include "ingress/family.h"

static void expect(int family, const struct http_problem *problem, const char *want)
{
    json_t *json = families[family].render(problem);
    char *text = json_dumps(json, JSON_COMPACT);

    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
    json_decref(json);
}

static void each_family_has_its_own_words(void **state)
{
    const struct http_problem problem = {409, "INVALID_STATE", "Cannot pause", 0};

    (void)state;
    expect(FAMILY_F0, &problem,
           "{\"success\":false,\"message\":\"Cannot pause\",\"error\":\"INVALID_STATE\"}");
    expect(FAMILY_F4, &problem, "{\"error\":\"Conflict\",\"message\":\"Cannot pause\"}");
}

/* It would leave the answer without a body. */
static void a_message_cut_within_a_character_is_told(void **state)
{
    const struct http_problem problem = {400, "INVALID_REQUEST", "column 2: \"caf\xc3\" is none",
                                         0};

    (void)state;
    expect(FAMILY_F0, &problem,
           "{\"success\":false,\"message\":\"column 2: \\\"caf?\\\" is none\","
           "\"error\":\"INVALID_REQUEST\"}");
    expect(FAMILY_F4, &problem,
           "{\"error\":\"Bad Request\",\"message\":\"column 2: \\\"caf?\\\" is none\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_family_has_its_own_words),
        cmocka_unit_test(a_message_cut_within_a_character_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
