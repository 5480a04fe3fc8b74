#include "testkit/testkit.h"

#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "cache/cache.h"
#include "crypto/crypto_seal.h"
#include "domain/answer.h"
#include "ingress/kept.h"

#define ID          "5e551000-0000-5000-8000-000000000001"
#define OTHER       "5e551000-0000-5000-8000-000000000002"
#define PRINT       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define PRINT_OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct bytes of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void what_a_decider_answers_is_a_verdict(void **state)
{
    const struct answer answer = {ID, VERDICT_INVALID_STATE, "Cannot", "blast", OTHER, 7};
    struct kept_verdict verdict = {0};
    struct buf json = {0};

    (void)state;
    answer_to_json(&answer, &json);
    assert_true(kept_read_verdict(buf_bytes(&json), &verdict));
    assert_string_equal(verdict.command_id, ID);
    assert_string_equal(verdict.aggregate_type, "blast");
    assert_false(verdict.is_ok);
    assert_int_equal(verdict.sequence, 7);
    assert_string_equal(verdict.code, "INVALID_STATE");
    assert_string_equal(verdict.message, "Cannot");
    assert_true(kept_read_verdict(
        of("{\"command_id\":\"" ID "\",\"verdict\":\"ok\",\"sequence\":\"7\"}"), &verdict));
    assert_true(verdict.is_ok && verdict.sequence == 0 && verdict.code[0] == '\0');
    buf_done(&json);
}

static void what_is_no_verdict_changes_nothing(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "null",
                                        "[]",
                                        "{}",
                                        "{\"command_id\":\"" ID "\"}",
                                        "{\"command_id\":\"x\",\"verdict\":\"ok\"}",
                                        "{\"command_id\":7,\"verdict\":\"ok\"}",
                                        "{\"command_id\":\"" ID "\",\"verdict\":{}}"};
    struct kept_verdict verdict = {.sequence = 5};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (kept_read_verdict(of(texts[i]), &verdict) || verdict.sequence != 5) {
            fail_msg("taken: %s", texts[i]);
        }
    }
}

/* jansson's parser would recurse as deep, on a thread with a small stack. */
static void depth_is_refused(void **state)
{
    struct kept_answer answer = {0};
    struct buf text = {0};

    (void)state;
    for (int deep = 10; deep <= 1000; deep += 990) {
        text.n = 0;
        buf_add_str(&text, "{\"fingerprint\":\"" PRINT "\",\"status\":201,\"body\":{\"a\":");
        for (int i = 0; i < deep; i++) {
            buf_add_u8(&text, '[');
        }
        for (int i = 0; i < deep; i++) {
            buf_add_u8(&text, ']');
        }
        buf_add_str(&text, "}}");
        assert_int_equal(kept_read_answer(buf_bytes(&text), &answer), deep == 10);
    }
    json_decref(answer.body);
    buf_done(&text);
}

static void an_answer_comes_back_as_it_was_kept(void **state)
{
    struct kept_answer answer = {.fingerprint = PRINT, .status = 201, .body = json_object()};
    struct kept_answer again = {0};
    json_t *json = kept_answer_json(&answer);
    char *text = json_dumps(json, 0);

    (void)state;
    assert_true(kept_read_answer(of(text), &again));
    assert_string_equal(again.fingerprint, PRINT);
    assert_int_equal(again.status, 201);
    assert_true(json_equal(again.body, answer.body));
    json_decref(again.body);
    assert_false(
        kept_read_answer(of("{\"fingerprint\":\"short\",\"status\":201,\"body\":{}}"), &again));
    assert_false(kept_read_answer(
        of("{\"fingerprint\":\"" PRINT "\",\"status\":4000000000,\"body\":{}}"), &again));
    assert_false(kept_read_answer(
        of("{\"fingerprint\":\"" PRINT "\",\"status\":201,\"body\":null}"), &again));
    free(text);
    json_decref(json);
    json_decref(answer.body);
}

static void a_key_has_an_owner(void **state)
{
    struct kept_key key = {.user_id = 7, .key_id = 3, .username = "ani", .is_admin = true};
    struct kept_key again = {0};
    json_t *json = kept_key_json(&key);
    char *text = json_dumps(json, 0);

    (void)state;
    assert_true(kept_read_key(of(text), &again));
    assert_true(again.user_id == 7 && again.key_id == 3 && again.is_admin);
    assert_string_equal(again.username, "ani");
    assert_false(kept_read_key(of("{\"user_id\":0,\"username\":\"a\",\"role\":\"admin\","
                                  "\"key_id\":1}"),
                               &again));
    assert_false(kept_read_key(of("{\"user_id\":1,\"username\":\"a\",\"key_id\":1}"), &again));
    free(text);
    json_decref(json);
}

static void what_is_sealed_opens_under_its_own_name_alone(void **state)
{
    struct crypto_keyring ring;
    struct crypto_keyring other;
    struct buf sealed = {0};
    struct buf again = {0};
    struct buf text = {0};

    (void)state;
    assert_int_equal(crypto_keyring_parse(PRINT, &ring, NULL), 0);
    assert_int_equal(crypto_keyring_parse(PRINT_OTHER "," PRINT, &other, NULL), 0);
    kept_seal(&ring, "idem:1:a", json_pack("{s:s}", "secret", "whsec_shown"), &sealed);
    assert_null(strstr(buf_text(&sealed), "whsec_"));
    assert_true(kept_unseal(&ring, "idem:1:a", buf_bytes(&sealed), &text));
    assert_string_equal(buf_text(&text), "{\"secret\":\"whsec_shown\"}");
    assert_true(kept_unseal(&other, "idem:1:a", buf_bytes(&sealed), &again)); /* retired */
    buf_clear(&again);
    other.n = 1;
    assert_false(kept_unseal(&other, "idem:1:a", buf_bytes(&sealed), &again));
    assert_false(kept_unseal(&ring, "idem:2:a", buf_bytes(&sealed), &again));
    assert_false(kept_unseal(&ring, "idem:1:a", buf_bytes(&text), &again)); /* in the clear */
    assert_false(kept_unseal(&ring, "idem:1:a", of(""), &again));
    assert_int_equal(again.n, 0);
    buf_done(&again);
    buf_done(&sealed);
    buf_done(&text);
}

static void a_code_is_shown_until_it_expires(void **state)
{
    char code[KEPT_QR_MAX] = "";

    (void)state;
    assert_false(kept_read_qr(of("{\"text\":\"2@a\",\"expires_at\":100}"), 100, code));
    assert_string_equal(code, "");
    assert_true(kept_read_qr(of("{\"text\":\"2@a\",\"expires_at\":100}"), 99, code));
    assert_string_equal(code, "2@a");
    assert_false(kept_read_qr(of("{\"text\":\"\",\"expires_at\":100}"), 99, code));
}

static void lines_that_are_none_are_left_out(void **state)
{
    struct bytes rest = of(ID " 7\n\nx 1\n" ID " -1\n" ID " 1x\n" OTHER "  2\n" OTHER " 9");
    struct kept_applied applied = {0};

    (void)state;
    assert_true(kept_next_applied(&rest, &applied));
    assert_string_equal(applied.aggregate_id, ID);
    assert_int_equal(applied.sequence, 7);
    assert_true(kept_next_applied(&rest, &applied));
    assert_string_equal(applied.aggregate_id, OTHER);
    assert_int_equal(applied.sequence, 9);
    assert_false(kept_next_applied(&rest, &applied));
}

#define TEXT(literal)                                                         \
    {                                                                         \
        CACHE_TEXT, {(const uint8_t *)(literal), strlen(literal)}, 0, 0, NULL \
    }

static void a_runtime_is_taken_as_far_as_it_makes_sense(void **state)
{
    const struct cache_reply good[] = {TEXT("state"),        TEXT("CONNECTED"), TEXT("sequence"),
                                       TEXT("12"),           TEXT("ws"),        TEXT("OPEN"),
                                       TEXT("last_seen_ms"), TEXT("1000")};
    const struct cache_reply odd[] = {
        TEXT("state"),        {.kind = CACHE_INT, .number = 3}, TEXT("sequence"), TEXT("-4"),
        TEXT("last_seen_ms"), TEXT("9223372036854775807"),      TEXT("ws")};
    const struct cache_reply list = {.kind = CACHE_LIST, .n = 8, .items = good};
    const struct cache_reply half = {.kind = CACHE_LIST, .n = 7, .items = odd};
    const struct cache_reply none = {.kind = CACHE_LIST};
    struct session_runtime now;

    (void)state;
    assert_true(kept_read_runtime(&list, &now));
    assert_true(now.is_known && now.state == SESSION_CONNECTED && now.ws == SESSION_WS_OPEN);
    assert_int_equal(now.sequence, 12);
    assert_int_equal(now.last_seen_us, 1000000);
    assert_true(kept_read_runtime(&half, &now));
    assert_true(now.is_known && now.state == SESSION_NONE && now.ws == SESSION_WS_NONE);
    assert_true(now.sequence == 0 && now.last_seen_us == INT64_MIN && now.start_time_ms == 0);
    assert_false(kept_read_runtime(&none, &now));
    assert_false(kept_read_runtime(&odd[1], &now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_decider_answers_is_a_verdict),
        cmocka_unit_test(what_is_no_verdict_changes_nothing),
        cmocka_unit_test(depth_is_refused),
        cmocka_unit_test(an_answer_comes_back_as_it_was_kept),
        cmocka_unit_test(a_key_has_an_owner),
        cmocka_unit_test(what_is_sealed_opens_under_its_own_name_alone),
        cmocka_unit_test(a_code_is_shown_until_it_expires),
        cmocka_unit_test(lines_that_are_none_are_left_out),
        cmocka_unit_test(a_runtime_is_taken_as_far_as_it_makes_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
