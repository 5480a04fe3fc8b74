#include <stdlib.h>
#include <string.h>

#include "adv.pb-c.h"
#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_adv.h"
#include "wa/wa_payload.h"
#include "wa/wa_proto.h"
#include "wa/wa_qr.h"

struct fixture {
    struct crypto_pair account;
    struct wa_creds creds;
    struct wa_adv_offer offer;
    struct buf raw;
    struct buf reply;
};

static int setup(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    crypto_pair_new(&f->account);
    wa_creds_make(&f->creds);
    crypto_pair_new(&f->creds.identity);
    f->offer = (struct wa_adv_offer){.raw_id = 77, .key_index = 3, .timestamp_s = 1700000000};
    memcpy(f->offer.identity, f->creds.identity.pub, CRYPTO_KEY);
    memcpy(f->offer.adv_secret, f->creds.adv_secret, CRYPTO_KEY);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    buf_done(&f->raw);
    buf_done(&f->reply);
    free(f);
    return 0;
}

static enum wa_adv_verdict offer_and_accept(struct fixture *f)
{
    wa_adv_offer_make(&f->offer, &f->account, &f->raw);
    return wa_adv_accept(buf_bytes(&f->raw), &f->creds, &f->reply);
}

static void an_offer_is_accepted_and_the_reply_holds(void **state)
{
    struct fixture *f = *state;
    uint32_t index = 0;

    assert_int_equal(offer_and_accept(f), WA_ADV_OK);
    assert_int_equal(f->creds.key_index, 3);
    assert_int_equal(wa_adv_reply_verify(buf_bytes(&f->reply), f->creds.identity.pub,
                                         f->account.pub, &index, NULL),
                     0);
    assert_int_equal(index, 3);
    /* what is kept is the reply with the account's key */
    assert_int_equal(f->creds.device_identity_n, f->reply.n + 2 + CRYPTO_KEY);
    assert_int_equal(
        wa_adv_reply_verify((struct bytes){f->creds.device_identity, f->creds.device_identity_n},
                            f->creds.identity.pub, f->account.pub, &index, NULL),
        0);
}

static void another_secret_is_an_hmac_mismatch(void **state)
{
    struct fixture *f = *state;

    f->offer.adv_secret[0] ^= 1;
    assert_int_equal(offer_and_accept(f), WA_ADV_HMAC);
    assert_int_equal(f->reply.n, 0);
    assert_int_equal(f->creds.device_identity_n, 0);
    assert_int_equal(wa_adv_verdict_code(WA_ADV_HMAC), 401);
    assert_string_equal(wa_adv_verdict_text(WA_ADV_HMAC), "hmac-mismatch");
}

static void a_signature_for_another_companion_is_a_mismatch(void **state)
{
    struct fixture *f = *state;

    f->offer.identity[0] ^= 1;
    assert_int_equal(offer_and_accept(f), WA_ADV_SIGNATURE);
    assert_int_equal(f->reply.n, 0);
    assert_string_equal(wa_adv_verdict_text(WA_ADV_SIGNATURE), "signature-mismatch");
}

static void rubbish_is_malformed(void **state)
{
    struct fixture *f = *state;
    struct bytes rubbish = {(const uint8_t *)"\x0a\xff", 2};

    assert_int_equal(wa_adv_accept(rubbish, &f->creds, &f->reply), WA_ADV_MALFORMED);
    assert_int_equal(wa_adv_accept((struct bytes){0}, &f->creds, &f->reply), WA_ADV_HMAC);
    assert_int_equal(wa_adv_verdict_code(WA_ADV_MALFORMED), 500);
}

static void a_hosted_offer_uses_the_hosted_prefix(void **state)
{
    struct fixture *f = *state;
    struct ProtobufCMessage *message = NULL;
    Wa__ADVSignedDeviceIdentityHMAC *outer;
    struct buf prefixed = {0};
    uint8_t hmac[CRYPTO_SHA256];

    wa_adv_offer_make(&f->offer, &f->account, &f->raw);
    assert_int_equal(wa_proto_unpack(&wa__advsigned_device_identity_hmac__descriptor,
                                     buf_bytes(&f->raw), &message, NULL),
                     0);
    outer = (Wa__ADVSignedDeviceIdentityHMAC *)message;
    outer->has_account_type = 1;
    outer->account_type = 1;
    buf_add(&prefixed, "\x06\x05", 2);
    buf_add(&prefixed, outer->details.data, outer->details.len);
    crypto_hmac((struct bytes){f->creds.adv_secret, CRYPTO_KEY}, buf_bytes(&prefixed), hmac);
    buf_clear(&f->raw);
    wa_proto_pack(outer, &f->raw);
    assert_int_equal(wa_adv_accept(buf_bytes(&f->raw), &f->creds, &f->reply), WA_ADV_HMAC);
    memcpy(outer->hmac.data, hmac, sizeof(hmac));
    buf_clear(&f->raw);
    wa_proto_pack(outer, &f->raw);
    assert_int_equal(wa_adv_accept(buf_bytes(&f->raw), &f->creds, &f->reply), WA_ADV_OK);
    wa_proto_free(&message);
    buf_done(&prefixed);
}

static void a_reply_with_any_byte_changed_is_refused(void **state)
{
    struct fixture *f = *state;
    uint32_t index = 99;

    assert_int_equal(offer_and_accept(f), WA_ADV_OK);
    for (size_t i = 0; i < f->reply.n; i++) {
        f->reply.p[i] ^= 0x10;
        assert_true(wa_adv_reply_verify(buf_bytes(&f->reply), f->creds.identity.pub, f->account.pub,
                                        &index, NULL) < 0);
        f->reply.p[i] ^= 0x10;
    }
    assert_int_equal(index, 99);
    assert_int_equal(
        wa_adv_reply_verify(buf_bytes(&f->reply), f->account.pub, f->account.pub, &index, NULL),
        -ERR_CRYPTO);
}

static void a_key_index_list_says_who_is_valid(void **state)
{
    struct fixture *f = *state;
    struct wa_adv_index_list list = {
        .raw_id = 77, .timestamp_s = 1700000000, .current = 5, .n = 3, .valid = {0, 2, 5}};
    struct wa_adv_index_list got = {0};

    wa_adv_index_list_make(&list, &f->account, &f->raw);
    assert_int_equal(wa_adv_index_list_parse(buf_bytes(&f->raw), &got, NULL), 0);
    assert_int_equal(got.raw_id, 77);
    assert_int_equal(got.timestamp_s, 1700000000);
    assert_true(wa_adv_index_is_valid(&got, 2) && wa_adv_index_is_valid(&got, 6));
    assert_false(wa_adv_index_is_valid(&got, 3));
}

static void the_qr_text_is_read_with_and_without_its_link(void **state)
{
    struct fixture *f = *state;
    struct wa_qr qr;
    const char *text;

    wa_qr_make((struct bytes){(const uint8_t *)"2@ref+/=", 8}, &f->creds, WA_PLATFORM_CHROME,
               &f->raw);
    text = buf_text(&f->raw);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wa_qr_parse(text, &qr, NULL), 0);
        assert_string_equal(qr.ref, "2@ref+/=");
        assert_memory_equal(qr.noise, f->creds.noise.pub, CRYPTO_KEY);
        assert_memory_equal(qr.identity, f->creds.identity.pub, CRYPTO_KEY);
        assert_memory_equal(qr.adv_secret, f->creds.adv_secret, CRYPTO_KEY);
        text = strchr(text, '#') == NULL ? text : strchr(text, '#') + 1;
    }
    assert_string_equal(strrchr(text, ','), ",1");
    f->raw.p[f->raw.n - 2] = '\0'; /* the old form without a type */
    assert_int_equal(wa_qr_parse(text, &qr, NULL), 0);
    assert_int_equal(wa_qr_parse("ref,AAAA,BBBB,CCCC", &qr, NULL), -ERR_INVALID);
    assert_int_equal(wa_qr_parse("", &qr, NULL), -ERR_INVALID);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_offer_is_accepted_and_the_reply_holds),
        T(another_secret_is_an_hmac_mismatch),
        T(a_signature_for_another_companion_is_a_mismatch),
        T(rubbish_is_malformed),
        T(a_hosted_offer_uses_the_hosted_prefix),
        T(a_reply_with_any_byte_changed_is_refused),
        T(a_key_index_list_says_who_is_valid),
        T(the_qr_text_is_read_with_and_without_its_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
