#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "payload.pb-c.h"
#include "testkit/testkit.h"
#include "wa/wa_payload.h"
#include "wa/wa_proto.h"

/* Credentials of a device that is not paired yet. */
static struct wa_creds fresh_creds(void)
{
    struct wa_creds creds;
    struct crypto_pair prekey;
    uint8_t typed[1 + CRYPTO_KEY] = {5};

    wa_creds_make(&creds);
    crypto_pair_new(&creds.identity);
    crypto_pair_new(&prekey);
    creds.registration_id = 0x01020304;
    creds.signed_prekey_id = 0x0a0b0c;
    memcpy(creds.signed_prekey, prekey.pub, CRYPTO_KEY);
    memcpy(typed + 1, prekey.pub, CRYPTO_KEY);
    crypto_xeddsa_sign(creds.identity.priv, (struct bytes){typed, sizeof(typed)},
                       creds.signed_prekey_signature);
    return creds;
}

static struct wa_creds paired_creds(void)
{
    struct wa_creds creds = fresh_creds();

    creds.pn = wa_jid_make(WA_SERVER_PN, "491701234567", 7);
    creds.lid = wa_jid_make(WA_SERVER_LID, "100000000000001", 7);
    creds.key_index = 3;
    creds.device_identity_n = 5;
    memcpy(creds.device_identity, "adv\0x", 5);
    memcpy(creds.business_name, "Shop \xc3\xa4", 8);
    memcpy(creds.platform, "android", 8);
    return creds;
}

static void a_registration_is_read_as_it_was_made(void **state)
{
    struct wa_creds creds = fresh_creds();
    struct wa_profile profile = wa_profile_default;
    struct wa_payload got;
    struct buf raw = {0};

    (void)state;
    profile.os = "Test machine";
    profile.full_history = true;
    wa_payload_make(&creds, &profile, &raw);
    assert_int_equal(wa_payload_parse(buf_bytes(&raw), &got, NULL), 0);
    assert_true(got.is_registration && !got.passive && !got.has_device);
    assert_int_equal(got.username, 0);
    assert_int_equal(got.platform, 14);
    assert_int_equal(got.version.secondary, 3000);
    assert_int_equal(got.registration.registration_id, 0x01020304);
    assert_int_equal(got.registration.signed_prekey_id, 0x0a0b0c);
    assert_memory_equal(got.registration.identity, creds.identity.pub, CRYPTO_KEY);
    assert_memory_equal(got.registration.signed_prekey, creds.signed_prekey, CRYPTO_KEY);
    assert_true(got.registration.build_hash_fits && got.registration.full_history);
    assert_string_equal(got.registration.os, "Test machine");
    assert_int_equal(got.registration.platform_type, WA_PLATFORM_CHROME);
    buf_done(&raw);
}

static void a_login_names_phone_and_device(void **state)
{
    struct wa_creds creds = paired_creds();
    struct wa_payload got;
    struct buf raw = {0};

    (void)state;
    wa_payload_make(&creds, &wa_profile_default, &raw);
    assert_int_equal(wa_payload_parse(buf_bytes(&raw), &got, NULL), 0);
    assert_true(!got.is_registration && got.passive && got.has_device);
    assert_true(got.username == 491701234567ULL);
    assert_int_equal(got.device, 7);
    buf_done(&raw);
}

static void a_login_without_a_device_is_told_apart(void **state)
{
    static const uint8_t raw[] = {0x08, 0x81, 0x01}; /* username only */
    struct wa_payload got;

    (void)state;
    assert_int_equal(wa_payload_parse((struct bytes){raw, sizeof(raw)}, &got, NULL), 0);
    assert_true(!got.is_registration && !got.has_device && !got.passive);
    assert_int_equal(got.username, 129);
}

static void a_signed_prekey_of_another_identity_is_refused(void **state)
{
    struct wa_creds creds = fresh_creds();
    struct wa_payload got = {.device = 77};
    struct buf raw = {0};

    (void)state;
    creds.signed_prekey[3] ^= 1;
    wa_payload_make(&creds, &wa_profile_default, &raw);
    assert_int_equal(wa_payload_parse(buf_bytes(&raw), &got, NULL), -ERR_CRYPTO);
    assert_int_equal(got.device, 77);
    buf_done(&raw);
}

static void a_registration_with_a_short_key_is_refused(void **state)
{
    struct wa_creds creds = fresh_creds();
    struct ProtobufCMessage *message = NULL;
    struct wa_payload got;
    struct buf raw = {0};
    struct buf short_raw = {0};

    (void)state;
    wa_payload_make(&creds, &wa_profile_default, &raw);
    assert_int_equal(
        wa_proto_unpack(&wa__client_payload__descriptor, buf_bytes(&raw), &message, NULL), 0);
    ((Wa__ClientPayload *)message)->device_pairing_data->identity.len--;
    wa_proto_pack(message, &short_raw);
    assert_int_equal(wa_payload_parse(buf_bytes(&short_raw), &got, NULL), -ERR_INVALID);
    wa_proto_free(&message);
    buf_done(&raw);
    buf_done(&short_raw);
}

static void a_long_name_is_cut_at_a_character(void **state)
{
    struct wa_creds creds = fresh_creds();
    struct wa_profile profile = wa_profile_default;
    struct wa_payload got;
    struct buf raw = {0};
    char os[129] = {0};

    (void)state;
    for (size_t i = 0; i < 64; i++) {
        os[2 * i] = '\xc3';
        os[2 * i + 1] = '\xa4';
    }
    profile.os = os;
    wa_payload_make(&creds, &profile, &raw);
    assert_int_equal(wa_payload_parse(buf_bytes(&raw), &got, NULL), 0);
    assert_int_equal(strlen(got.registration.os), 62);
    buf_done(&raw);
}

static void credentials_are_kept_whole(void **state)
{
    struct wa_creds all[] = {fresh_creds(), paired_creds()};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct wa_creds got = {0};
        struct buf raw = {0};

        wa_creds_encode(&all[i], &raw);
        assert_int_equal(wa_creds_decode(buf_bytes(&raw), &got, NULL), 0);
        assert_int_equal(wa_creds_is_paired(&got), i == 1);
        assert_memory_equal(&got.noise, &all[i].noise, sizeof(got.noise));
        assert_memory_equal(&got.identity, &all[i].identity, sizeof(got.identity));
        assert_memory_equal(got.adv_secret, all[i].adv_secret, CRYPTO_KEY);
        assert_true(wa_jid_equal(&got.pn, &all[i].pn) && wa_jid_equal(&got.lid, &all[i].lid));
        assert_int_equal(got.key_index, all[i].key_index);
        assert_int_equal(got.device_identity_n, all[i].device_identity_n);
        assert_memory_equal(got.device_identity, all[i].device_identity, 5);
        assert_string_equal(got.business_name, all[i].business_name);
        assert_string_equal(got.platform, all[i].platform);
        assert_int_equal(wa_creds_decode((struct bytes){raw.p, 20}, &got, NULL), -ERR_INVALID);
        buf_wipe(&raw);
        wa_creds_wipe(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_is_read_as_it_was_made),
        cmocka_unit_test(a_login_names_phone_and_device),
        cmocka_unit_test(a_login_without_a_device_is_told_apart),
        cmocka_unit_test(a_signed_prekey_of_another_identity_is_refused),
        cmocka_unit_test(a_registration_with_a_short_key_is_refused),
        cmocka_unit_test(a_long_name_is_cut_at_a_character),
        cmocka_unit_test(credentials_are_kept_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
