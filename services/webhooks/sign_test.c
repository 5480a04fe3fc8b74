#include "webhooks/sign.h"

#include <string.h>

#include "testkit/testkit.h"

/* The example of the Standard Webhooks specification and its libraries. */
static const char spec_body[] = "{\"test\": 2432232314}";

static struct sign_delivery spec_delivery(const char *secret)
{
    return (struct sign_delivery){
        .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
        .attempt = 2,
        .now_s = 1614265330,
        .body = {(const uint8_t *)spec_body, sizeof(spec_body) - 1},
        .secret = secret,
    };
}

static void the_signature_is_the_one_of_the_specification(void **state)
{
    struct sign_delivery delivery = spec_delivery("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    const char *out[SIGN_HEADERS_MAX + 1];
    struct arena arena = {0};

    (void)state;
    sign_headers(&delivery, &arena, out);
    assert_string_equal(out[2], "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek");
    assert_string_equal(out[3], "webhook-timestamp: 1614265330");
    assert_string_equal(out[4], "X-Webhook-Id: msg_p5jXN8AQM9LWM0D4loKWxJek");
    assert_string_equal(out[5], "X-Webhook-Attempt: 2");
    assert_string_equal(out[6],
                        "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_non_null(strstr(out[7], "X-Webhook-Signature: sha256="));
    assert_int_equal(strlen(out[7]), strlen("X-Webhook-Signature: sha256=") + 64);
    assert_null(out[8]);
    arena_done(&arena);
}

static void a_secret_of_another_form_is_its_own_key(void **state)
{
    struct sign_delivery delivery = spec_delivery("key");
    const char *out[SIGN_HEADERS_MAX + 1];
    struct arena arena = {0};

    (void)state;
    delivery.body =
        (struct bytes){(const uint8_t *)"The quick brown fox jumps over the lazy dog", 43};
    sign_headers(&delivery, &arena, out);
    assert_string_equal(out[7], "X-Webhook-Signature: sha256=f7bc83f430538424b13298e6aa6fb143ef4d59"
                                "a14946175997479dbc2d1a3cd8");
    delivery = spec_delivery("whsec_not base64");
    sign_headers(&delivery, &arena, out);
    assert_non_null(strstr(out[6], "webhook-signature: v1,"));
    arena_done(&arena);
}

static void without_a_secret_nothing_is_signed(void **state)
{
    struct sign_delivery delivery = spec_delivery(NULL);
    const char *out[SIGN_HEADERS_MAX + 1];
    struct arena arena = {0};

    (void)state;
    sign_headers(&delivery, &arena, out);
    assert_non_null(out[5]);
    assert_null(out[6]);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signature_is_the_one_of_the_specification),
        cmocka_unit_test(a_secret_of_another_form_is_its_own_key),
        cmocka_unit_test(without_a_secret_nothing_is_signed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
