#include "domain/answer.h"

#include <string.h>

#include "testkit/testkit.h"

static void an_answer_says_what_was_decided_about_what(void **state)
{
    struct answer answer = {.command_id = "c",
                            .verdict = VERDICT_INVALID_STATE,
                            .message = "Cannot pause session in \"IDLE\" state",
                            .aggregate_type = "blast",
                            .aggregate_id = "b",
                            .sequence = 7};
    struct buf out = {0};

    (void)state;
    answer_to_json(&answer, &out);
    assert_string_equal(buf_text(&out),
                        "{\"command_id\":\"c\",\"verdict\":\"refused\",\"code\":\"INVALID_STATE\","
                        "\"message\":\"Cannot pause session in \\\"IDLE\\\" state\","
                        "\"aggregate_type\":\"blast\",\"aggregate_id\":\"b\",\"sequence\":7}");
    buf_done(&out);
}

static void a_refusal_without_a_text_has_the_verdicts_own(void **state)
{
    struct answer answer = {.command_id = "c",
                            .verdict = VERDICT_NOT_FOUND,
                            .aggregate_type = "session",
                            .aggregate_id = "s"};
    struct buf out = {0};

    (void)state;
    answer_to_json(&answer, &out);
    assert_non_null(strstr(buf_text(&out), "\"message\":\"not found\""));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_says_what_was_decided_about_what),
        cmocka_unit_test(a_refusal_without_a_text_has_the_verdicts_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
