#include "wa/wa_receipt.h"

#include "wa/wa_test.h"

static void receipt_arrives_as_it_was(void **state)
{
    struct arena *arena = *state;
    const char *const more[] = {"M2", "M3"};
    const struct wa_receipt receipt = {.id = "M1",
                                       .type = WA_RECEIPT_READ,
                                       .peer = wa_test_jid("120363000000000000@g.us"),
                                       .participant = wa_test_jid("88@lid"),
                                       .time = 1700000000,
                                       .offline = 2,
                                       .more = more,
                                       .n_more = 2};
    struct wa_receipt got;
    struct wa_node *node = wa_test_wire(arena, wa_receipt_to_client(arena, &receipt));

    assert_int_equal(wa_receipt_from_server(node, arena, &got, NULL), 0);
    assert_int_equal(got.type, WA_RECEIPT_READ);
    WA_TEST_JID(&got.peer, "120363000000000000@g.us");
    WA_TEST_JID(&got.participant, "88@lid");
    assert_int_equal(got.n_more, 2);
    assert_string_equal(got.more[1], "M3");
    assert_int_equal(got.offline, 2);

    node = wa_test_wire(arena, wa_receipt_to_server(arena, &receipt));
    assert_int_equal(wa_receipt_from_client(node, arena, &got, NULL), 0);
    WA_TEST_JID(&got.peer, "120363000000000000@g.us");
    assert_int_equal(wa_receipt_from_server(node, arena, &got, NULL), -ERR_INVALID);
}

static void what_makes_no_sense_in_a_receipt_is_left_out(void **state)
{
    struct arena *arena = *state;
    const char *long_id = arena_printf(arena, "%0*d", WA_MESSAGE_ID_MAX + 1, 1);
    const char *const more[] = {long_id, "M2"};
    const struct wa_receipt receipt = {.id = "M1",
                                       .type = WA_RECEIPT_READ,
                                       .peer = wa_test_jid("491@s.whatsapp.net"),
                                       .time = INT64_C(1700000000000), /* milliseconds */
                                       .offline = -1,
                                       .more = more,
                                       .n_more = 2};
    struct wa_receipt got;

    assert_int_equal(
        wa_receipt_from_server(wa_test_wire(arena, wa_receipt_to_client(arena, &receipt)), arena,
                               &got, NULL),
        0);
    assert_int_equal(got.time, 0);
    assert_int_equal(got.n_more, 1);
    assert_string_equal(got.more[0], "M2");
}

static void delivery_has_no_type_and_unknown_ones_are_kept_apart(void **state)
{
    struct arena *arena = *state;
    const struct wa_receipt receipt = {
        .id = "M1", .type = WA_RECEIPT_DELIVERED, .peer = wa_test_jid("491:7@s.whatsapp.net")};
    struct wa_node *node = wa_receipt_to_server(arena, &receipt);
    struct wa_receipt got;

    assert_null(wa_node_attr(node, "type"));
    assert_int_equal(wa_receipt_from_client(node, arena, &got, NULL), 0);
    assert_int_equal(got.type, WA_RECEIPT_DELIVERED);
    wa_node_set(node, "type", "enc_rekey_retry");
    assert_int_equal(wa_receipt_from_client(node, arena, &got, NULL), 0);
    assert_int_equal(got.type, WA_RECEIPT_OTHER);
    (void)wa_node_unset(node, "id");
    assert_int_equal(wa_receipt_from_client(node, arena, &got, NULL), -ERR_INVALID);
}

static void group_receipt_lists_its_readers(void **state)
{
    struct arena *arena = *state;
    const struct wa_receipt_user users[] = {{wa_test_jid("88@lid"), 1700000001},
                                            {wa_test_jid("89@lid"), 1700000002}};
    const struct wa_receipt receipt = {.id = "M1",
                                       .type = WA_RECEIPT_READ,
                                       .peer = wa_test_jid("120363000000000000@g.us"),
                                       .time = 1700000000,
                                       .offline = -1,
                                       .users = users,
                                       .n_users = 2};
    struct wa_receipt got;

    assert_int_equal(
        wa_receipt_from_server(wa_test_wire(arena, wa_receipt_to_client(arena, &receipt)), arena,
                               &got, NULL),
        0);
    assert_int_equal(got.n_users, 2);
    assert_int_equal(got.users[1].time, 1700000002);
    WA_TEST_JID(&got.users[1].user, "89@lid");
}

static struct wa_receipt owed(const char *from, const char *recipient, const char *category,
                              bool active)
{
    struct wa_jid pn = wa_test_jid("500:3@s.whatsapp.net");
    struct wa_jid lid = wa_test_jid("55@lid");
    struct wa_message_received message = {
        .id = "M1", .from = wa_test_jid(from), .time = 1, .category = category, .offline = -1};
    struct wa_message_view view;
    struct wa_receipt out;

    if (recipient != NULL) {
        message.recipient = wa_test_jid(recipient);
    }
    assert_true(wa_message_view(&message, &pn, &lid, &view));
    wa_receipt_for(&message, &view, active, &out);
    return out;
}

static void each_kind_of_message_gets_its_receipt(void **state)
{
    struct wa_receipt receipt = owed("491:7@s.whatsapp.net", NULL, NULL, true);

    (void)state;
    assert_int_equal(receipt.type, WA_RECEIPT_DELIVERED);
    WA_TEST_JID(&receipt.peer, "491:7@s.whatsapp.net");
    receipt = owed("491:7@s.whatsapp.net", NULL, NULL, false);
    assert_int_equal(receipt.type, WA_RECEIPT_INACTIVE);
    receipt = owed("500:4@s.whatsapp.net", "491@s.whatsapp.net", NULL, true);
    assert_int_equal(receipt.type, WA_RECEIPT_SENDER);
    WA_TEST_JID(&receipt.peer, "500:4@s.whatsapp.net");
    WA_TEST_JID(&receipt.recipient, "491@s.whatsapp.net");
    receipt = owed("500@s.whatsapp.net", NULL, "peer", true);
    assert_int_equal(receipt.type, WA_RECEIPT_PEER);
    WA_TEST_JID(&receipt.peer, "500@s.whatsapp.net");
}

static struct wa_retry make_retry(void)
{
    struct wa_retry retry = {.count = 2,
                             .reason = 4,
                             .registration_id = 77,
                             .has_keys = true,
                             .keys = {.signed_id = 3, .has_prekey = true, .prekey_id = 9},
                             .device_identity = wa_test_bytes("adv")};
    struct crypto_pair identity;
    struct crypto_pair key;
    uint8_t message[1 + CRYPTO_KEY] = {5};

    crypto_pair_new(&identity);
    crypto_pair_new(&key);
    memcpy(retry.keys.identity, identity.pub, CRYPTO_KEY);
    memcpy(retry.keys.signed_public, key.pub, CRYPTO_KEY);
    memcpy(message + 1, key.pub, CRYPTO_KEY);
    crypto_xeddsa_sign(identity.priv, (struct bytes){message, sizeof(message)},
                       retry.keys.signature);
    crypto_random(retry.keys.prekey_public, CRYPTO_KEY);
    return retry;
}

static void retry_carries_keys_and_reason(void **state)
{
    struct arena *arena = *state;
    struct wa_retry retry = make_retry();
    const struct wa_message_received message = {
        .id = "M1", .from = wa_test_jid("491:7@s.whatsapp.net"), .time = 1700000000};
    struct wa_node *node = wa_test_wire(arena, wa_retry_to_server(arena, &message, &retry));
    struct wa_receipt receipt;
    struct wa_retry got;

    assert_int_equal(wa_receipt_from_client(node, arena, &receipt, NULL), 0);
    assert_int_equal(receipt.type, WA_RECEIPT_RETRY);
    assert_int_equal(wa_retry_parse(node, &got, NULL), 0);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.reason, 4);
    assert_string_equal(got.id, "M1");
    assert_int_equal(got.time, 1700000000);
    assert_true(got.has_keys);
    retry.keys.registration_id = 77;
    assert_memory_equal(&got.keys, &retry.keys, sizeof(got.keys));
    assert_int_equal(got.device_identity.n, 3);
}

static void retry_with_bad_keys_has_none(void **state)
{
    struct arena *arena = *state;
    struct wa_retry retry = make_retry();
    const struct wa_message_received message = {.id = "M1",
                                                .from = wa_test_jid("491:7@s.whatsapp.net")};
    struct wa_retry got;
    struct wa_node *node;

    retry.keys.signature[0] ^= 1;
    node = wa_retry_to_server(arena, &message, &retry);
    assert_int_equal(wa_retry_parse(node, &got, NULL), 0);
    assert_false(got.has_keys);
    wa_node_find(node, "registration")->tag = "other";
    assert_int_equal(wa_retry_parse(node, &got, NULL), -ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WA_TEST(receipt_arrives_as_it_was),
        WA_TEST(what_makes_no_sense_in_a_receipt_is_left_out),
        WA_TEST(delivery_has_no_type_and_unknown_ones_are_kept_apart),
        WA_TEST(group_receipt_lists_its_readers),
        WA_TEST(each_kind_of_message_gets_its_receipt),
        WA_TEST(retry_carries_keys_and_reason),
        WA_TEST(retry_with_bad_keys_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
