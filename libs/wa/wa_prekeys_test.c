#include "wa/wa_prekeys.h"

#include "wa/wa_iq.h"
#include "wa/wa_test.h"

enum { KEYS = 3 };

/* An account's keys: properly signed. */
static void make_own(struct wa_bundle *own)
{
    struct crypto_pair identity;
    struct crypto_pair key;
    uint8_t message[1 + CRYPTO_KEY] = {5};

    crypto_pair_new(&identity);
    crypto_pair_new(&key);
    *own = (struct wa_bundle){.registration_id = 0x01020304, .signed_id = 7};
    memcpy(own->identity, identity.pub, CRYPTO_KEY);
    memcpy(own->signed_public, key.pub, CRYPTO_KEY);
    memcpy(message + 1, key.pub, CRYPTO_KEY);
    crypto_xeddsa_sign(identity.priv, (struct bytes){message, sizeof(message)}, own->signature);
}

static struct wa_prekeys_upload make_upload(struct arena *arena)
{
    struct wa_prekeys_upload upload = {.n = KEYS};
    struct wa_prekey *keys = arena_array0(arena, KEYS, sizeof(*keys));

    make_own(&upload.own);
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i].id = 0xFFFFFC + i;
        crypto_random(keys[i].public_key, CRYPTO_KEY);
    }
    upload.keys = keys;
    return upload;
}

static void upload_arrives_as_it_was(void **state)
{
    struct arena *arena = *state;
    struct wa_prekeys_upload upload = make_upload(arena);
    struct wa_node *iq = wa_test_wire(arena, wa_prekeys_upload(arena, "1", &upload));
    struct wa_prekeys_upload got;

    assert_int_equal(wa_prekeys_request(iq), WA_PREKEYS_UPLOAD);
    assert_int_equal(wa_node_bytes(wa_node_find(iq, "registration")).n, 4);
    assert_int_equal(wa_node_bytes(wa_node_path(iq, "list/key/id")).n, 3);
    assert_int_equal(wa_prekeys_upload_parse(iq, arena, &got, NULL), 0);
    assert_int_equal(got.n, KEYS);
    assert_memory_equal(got.keys, upload.keys, KEYS * sizeof(*got.keys));
    assert_memory_equal(&got.own, &upload.own, sizeof(got.own));
}

static void upload_of_one_id_twice_is_refused(void **state)
{
    struct arena *arena = *state;
    struct wa_prekeys_upload upload = make_upload(arena);
    const struct wa_prekey twice[] = {upload.keys[0], upload.keys[1], upload.keys[0]};
    struct wa_prekeys_upload got;

    upload.keys = twice;
    upload.n = 3;
    assert_int_equal(
        wa_prekeys_upload_parse(wa_prekeys_upload(arena, "1", &upload), arena, &got, NULL),
        -ERR_INVALID);
}

static void upload_with_a_wrong_signature_is_refused(void **state)
{
    struct arena *arena = *state;
    struct wa_prekeys_upload upload = make_upload(arena);
    struct wa_prekeys_upload got;

    upload.own.signature[9] ^= 1;
    assert_int_equal(
        wa_prekeys_upload_parse(wa_prekeys_upload(arena, "1", &upload), arena, &got, NULL),
        -ERR_CRYPTO);
}

static void upload_that_lacks_a_part_is_refused(void **state)
{
    static const char *const parts[] = {"registration", "identity", "list", "skey"};
    struct arena *arena = *state;
    struct wa_prekeys_upload upload = make_upload(arena);
    struct wa_prekeys_upload got;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct wa_node *iq = wa_prekeys_upload(arena, "1", &upload);

        wa_node_find(iq, parts[i])->tag = "other";
        assert_int_equal(wa_prekeys_upload_parse(iq, arena, &got, NULL), -ERR_INVALID);
    }
    upload.own.signed_id = 0;
    assert_int_equal(
        wa_prekeys_upload_parse(wa_prekeys_upload(arena, "1", &upload), arena, &got, NULL),
        -ERR_INVALID);
}

static void count_goes_both_ways(void **state)
{
    struct arena *arena = *state;
    struct wa_node *iq = wa_test_wire(arena, wa_prekeys_count(arena, "3"));
    struct wa_node *answer;
    uint32_t count = 0;

    assert_int_equal(wa_prekeys_request(iq), WA_PREKEYS_COUNT);
    answer = wa_test_wire(arena, wa_prekeys_count_answer(arena, iq, 42));
    assert_int_equal(wa_iq_code(answer, NULL), 0);
    assert_string_equal(wa_node_attr(answer, "id"), "3");
    assert_true(wa_prekeys_count_parse(answer, &count));
    assert_int_equal(count, 42);
    assert_false(wa_prekeys_count_parse(iq, &count));
}

static void digest_shows_whether_the_server_has_our_keys(void **state)
{
    struct arena *arena = *state;
    struct wa_prekeys_upload upload = make_upload(arena);
    struct wa_prekeys_upload fewer = upload;
    struct wa_node *iq = wa_test_wire(arena, wa_prekeys_digest(arena, "4"));
    struct wa_node *answer;

    assert_int_equal(wa_prekeys_request(iq), WA_PREKEYS_DIGEST);
    fewer.n--; /* the server handed one out */
    answer = wa_test_wire(arena, wa_prekeys_digest_answer(arena, iq, &fewer));
    assert_true(wa_prekeys_digest_holds(answer, &upload));
    answer = wa_test_wire(arena, wa_prekeys_digest_answer(arena, iq, &upload));
    assert_false(wa_prekeys_digest_holds(answer, &fewer)); /* has one that we do not know */
    upload.own.identity[0] ^= 1;
    assert_false(wa_prekeys_digest_holds(answer, &upload));
    assert_false(wa_prekeys_digest_holds(iq, &upload));
}

static void bundles_are_asked_for_and_found(void **state)
{
    struct arena *arena = *state;
    const struct wa_jid devices[] = {wa_test_jid("491@s.whatsapp.net"), wa_test_jid("88:7@lid")};
    struct wa_node *iq = wa_test_wire(arena, wa_prekeys_fetch(arena, "5", devices, 2));
    struct wa_node *answer;
    struct wa_node *list;
    struct wa_prekeys_wanted wanted;
    struct wa_prekeys_found *found;
    struct wa_bundle bundle;
    size_t n;

    assert_int_equal(wa_prekeys_request(iq), WA_PREKEYS_FETCH);
    assert_int_equal(wa_prekeys_fetch_parse(iq, arena, &wanted, NULL), 0);
    assert_int_equal(wanted.n, 2);
    assert_true(wa_jid_equal(&wanted.devices[1], &devices[1]));

    answer = wa_iq_result(arena, iq);
    list = wa_node_child(answer, "list");
    make_own(&bundle);
    wa_prekeys_list_add(list, &devices[0], &bundle, (struct bytes){NULL, 0});
    bundle.has_prekey = true;
    bundle.prekey_id = 9;
    crypto_random(bundle.prekey_public, CRYPTO_KEY);
    wa_prekeys_list_add(list, &devices[1], &bundle, wa_test_bytes("identity"));
    wa_node_set_jid(wa_node_child(list, "user"), "jid", &devices[0]);

    assert_int_equal(wa_prekeys_answer_parse(wa_test_wire(arena, answer), arena, &found, &n, NULL),
                     0);
    assert_int_equal(n, 3);
    assert_true(found[0].ok && !found[0].bundle.has_prekey && found[0].device_identity.n == 0);
    assert_true(wa_bundle_holds(&found[0].bundle));
    assert_true(found[1].ok && wa_jid_equal(&found[1].device, &devices[1]));
    assert_memory_equal(&found[1].bundle, &bundle, sizeof(bundle));
    assert_int_equal(found[1].device_identity.n, 8);
    assert_false(found[2].ok);
    assert_int_equal(wa_prekeys_answer_parse(iq, arena, &found, &n, NULL), -ERR_INVALID);
}

static void keys_with_their_type_byte_are_taken(void **state)
{
    struct arena *arena = *state;
    struct wa_node *key = wa_node_new(arena, "key");
    uint8_t typed[1 + CRYPTO_KEY] = {5, 77};
    struct wa_prekey got;

    wa_node_set_be(wa_node_child(key, "id"), 5, 3);
    wa_node_set_bytes(wa_node_child(key, "value"), (struct bytes){typed, sizeof(typed)});
    assert_true(wa_prekeys_take_key(key, &got));
    assert_int_equal(got.public_key[0], 77);
    typed[0] = 6;
    wa_node_set_bytes(wa_node_find(key, "value"), (struct bytes){typed, sizeof(typed)});
    assert_false(wa_prekeys_take_key(key, &got));
}

static void rotation_carries_a_signed_prekey(void **state)
{
    struct arena *arena = *state;
    struct wa_node *iq = wa_node_iq(arena, "set", "encrypt", "6");
    struct wa_bundle own;
    struct wa_bundle got = {0};

    make_own(&own);
    wa_prekeys_add_skey(wa_node_child(iq, "rotate"), &own);
    iq = wa_test_wire(arena, iq);
    assert_int_equal(wa_prekeys_request(iq), WA_PREKEYS_ROTATE);
    assert_int_equal(wa_prekeys_rotate_parse(iq, &got, NULL), 0);
    assert_int_equal(got.signed_id, own.signed_id);
    memcpy(got.identity, own.identity, CRYPTO_KEY);
    assert_true(wa_bundle_holds(&got));
    assert_int_equal(wa_prekeys_request(wa_node_iq(arena, "set", "encrypt", "7")), WA_PREKEYS_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WA_TEST(upload_arrives_as_it_was),
        WA_TEST(upload_of_one_id_twice_is_refused),
        WA_TEST(upload_with_a_wrong_signature_is_refused),
        WA_TEST(upload_that_lacks_a_part_is_refused),
        WA_TEST(count_goes_both_ways),
        WA_TEST(digest_shows_whether_the_server_has_our_keys),
        WA_TEST(bundles_are_asked_for_and_found),
        WA_TEST(keys_with_their_type_byte_are_taken),
        WA_TEST(rotation_carries_a_signed_prekey),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
