#include "wa/wa_message.h"

#include "wa/wa_ack.h"
#include "wa/wa_test.h"

static struct wa_enc enc_of(enum wa_enc_type type, const char *bytes)
{
    return (struct wa_enc){.type = type, .bytes = wa_test_bytes(bytes)};
}

static void fan_out_arrives_as_it_was(void **state)
{
    struct arena *arena = *state;
    struct wa_message_target targets[] = {
        {wa_test_jid("491@s.whatsapp.net"), true, enc_of(WA_ENC_PKMSG, "one")},
        {wa_test_jid("491:7@s.whatsapp.net"), true, enc_of(WA_ENC_MSG, "two")},
        {wa_test_jid("500@s.whatsapp.net"), true, enc_of(WA_ENC_MSG, "own")}};
    const struct wa_message_sent message = {.id = "3EB0AA",
                                            .to = wa_test_jid("491@s.whatsapp.net"),
                                            .type = "text",
                                            .targets = targets,
                                            .n_targets = 3,
                                            .device_identity = wa_test_bytes("adv")};
    struct wa_node *node;
    struct wa_message_sent got;

    targets[0].enc.mediatype = "image";
    targets[1].enc.hide_failure = true;
    node = wa_test_wire(arena, wa_message_sent_build(arena, &message));
    assert_int_equal(wa_message_sent_parse(node, arena, &got, NULL), 0);
    assert_string_equal(got.id, "3EB0AA");
    assert_int_equal(got.n_targets, 3);
    assert_false(got.has_enc);
    assert_int_equal(got.targets[0].enc.type, WA_ENC_PKMSG);
    assert_string_equal(got.targets[0].enc.mediatype, "image");
    assert_true(got.targets[1].enc.hide_failure && !got.targets[0].enc.hide_failure);
    WA_TEST_JID(&got.targets[1].device, "491:7@s.whatsapp.net");
    assert_int_equal(got.device_identity.n, 3);
    assert_true(wa_message_sent_has_pkmsg(&got));
}

static void device_identity_goes_along_only_with_a_pkmsg(void **state)
{
    struct arena *arena = *state;
    struct wa_message_target target = {wa_test_jid("491@s.whatsapp.net"), true,
                                       enc_of(WA_ENC_MSG, "x")};
    struct wa_message_sent message = {.id = "A",
                                      .to = wa_test_jid("491@s.whatsapp.net"),
                                      .type = "text",
                                      .targets = &target,
                                      .n_targets = 1,
                                      .device_identity = wa_test_bytes("adv")};

    assert_null(wa_node_find(wa_message_sent_build(arena, &message), "device-identity"));
    target.enc.type = WA_ENC_PKMSG;
    assert_non_null(wa_node_find(wa_message_sent_build(arena, &message), "device-identity"));
}

static void retry_goes_to_one_device(void **state)
{
    struct arena *arena = *state;
    struct wa_message_sent message = {.id = "A",
                                      .to = wa_test_jid("491:7@s.whatsapp.net"),
                                      .type = "text",
                                      .has_enc = true,
                                      .enc = enc_of(WA_ENC_PKMSG, "again"),
                                      .single_device = true,
                                      .time = 1700000000,
                                      .device_identity = wa_test_bytes("adv")};
    struct wa_message_sent got;

    message.enc.count = 2;
    assert_int_equal(
        wa_message_sent_parse(wa_test_wire(arena, wa_message_sent_build(arena, &message)), arena,
                              &got, NULL),
        0);
    assert_true(got.has_enc && got.single_device);
    assert_int_equal(got.enc.count, 2);
    assert_int_equal(got.to.device, 7);
    assert_int_equal(got.time, 1700000000);
}

static void malformed_messages_are_refused(void **state)
{
    struct arena *arena = *state;
    struct wa_node *node = wa_node_new(arena, "message");
    struct wa_jid to = wa_test_jid("491@s.whatsapp.net");
    struct wa_node *enc;
    struct wa_message_sent got;

    wa_node_set(node, "id", "A");
    assert_int_equal(wa_message_sent_parse(node, arena, &got, NULL), -ERR_INVALID); /* no to */
    wa_node_set_jid(node, "to", &to);
    assert_int_equal(wa_message_sent_parse(node, arena, &got, NULL), -ERR_INVALID); /* no type */
    wa_node_set(node, "type", "text");
    assert_int_equal(wa_message_sent_parse(node, arena, &got, NULL), -ERR_INVALID); /* nobody */
    enc = wa_node_child(node, "enc");
    wa_node_set(enc, "v", "2");
    wa_node_set(enc, "type", "pkmsg");
    assert_int_equal(wa_message_sent_parse(node, arena, &got, NULL), -ERR_INVALID); /* no bytes */
    wa_node_set_bytes(enc, wa_test_bytes("x"));
    assert_int_equal(wa_message_sent_parse(node, arena, &got, NULL), 0);
    wa_node_set(enc, "type", "xmsg");
    assert_int_equal(wa_message_sent_parse(node, arena, &got, NULL), -ERR_INVALID);
}

static struct wa_message_received received(const char *from)
{
    return (struct wa_message_received){
        .id = "M1", .from = wa_test_jid(from), .time = 1700000000, .type = "text", .offline = -1};
}

/* Through the wire, then as its reader 500 (LID 55) sees it. */
static bool see(struct arena *arena, const struct wa_message_received *message,
                struct wa_message_received *got, struct wa_message_view *view)
{
    struct wa_jid pn = wa_test_jid("500:3@s.whatsapp.net");
    struct wa_jid lid = wa_test_jid("55:3@lid");
    struct wa_node *node = wa_test_wire(arena, wa_message_received_build(arena, message));

    assert_int_equal(wa_message_received_parse(node, arena, got, NULL), 0);
    return wa_message_view(got, &pn, &lid, view);
}

static void direct_message_is_seen_with_both_forms(void **state)
{
    struct arena *arena = *state;
    struct wa_message_received message = received("88:7@lid");
    struct wa_enc enc = enc_of(WA_ENC_PKMSG, "x");
    struct wa_message_received got;
    struct wa_message_view view;

    message.sender_pn = wa_test_jid("491@s.whatsapp.net");
    message.notify = "Bob";
    message.offline = 3;
    message.encs = &enc;
    message.n_encs = 1;
    message.device_identity = wa_test_bytes("adv");
    assert_true(see(arena, &message, &got, &view));
    assert_string_equal(got.notify, "Bob");
    assert_int_equal(got.offline, 3);
    assert_int_equal(got.n_encs, 1);
    assert_int_equal(got.encs[0].type, WA_ENC_PKMSG);
    assert_int_equal(got.device_identity.n, 3);
    WA_TEST_JID(&view.chat, "88@lid");
    WA_TEST_JID(&view.chat_alt, "491@s.whatsapp.net");
    WA_TEST_JID(&view.sender, "88:7@lid");
    WA_TEST_JID(&view.sender_alt, "491:7@s.whatsapp.net");
    assert_false(view.from_me || view.is_group || view.is_peer);
}

static void echo_of_an_own_device_belongs_to_the_chat(void **state)
{
    struct arena *arena = *state;
    struct wa_message_received message = received("500@s.whatsapp.net");
    struct wa_message_received got;
    struct wa_message_view view;

    message.recipient = wa_test_jid("491@s.whatsapp.net");
    message.peer_recipient_lid = wa_test_jid("88@lid");
    assert_true(see(arena, &message, &got, &view));
    assert_true(view.from_me);
    WA_TEST_JID(&view.chat, "491@s.whatsapp.net");
    WA_TEST_JID(&view.chat_alt, "88@lid");
    WA_TEST_JID(&view.sender_alt, "55@lid");

    message.from = wa_test_jid("491@s.whatsapp.net"); /* a foreigner who claims to be us */
    assert_false(see(arena, &message, &got, &view));
}

static void phone_data_is_told_apart(void **state)
{
    struct arena *arena = *state;
    struct wa_message_received message = received("500@s.whatsapp.net");
    struct wa_message_received got;
    struct wa_message_view view;

    message.category = "peer";
    assert_true(see(arena, &message, &got, &view));
    assert_true(view.from_me && view.is_peer);
    WA_TEST_JID(&view.chat, "500@s.whatsapp.net");
    message.from = wa_test_jid("491@s.whatsapp.net");
    assert_true(see(arena, &message, &got, &view));
    assert_false(view.is_peer);
}

static void group_message_names_its_sender(void **state)
{
    struct arena *arena = *state;
    struct wa_message_received message = received("120363000000000000@g.us");
    struct wa_message_received got;
    struct wa_message_view view;

    assert_int_equal(
        wa_message_received_parse(wa_message_received_build(arena, &message), arena, &got, NULL),
        -ERR_INVALID);
    message.participant = wa_test_jid("88:2@lid");
    message.participant_pn = wa_test_jid("491@s.whatsapp.net");
    message.addressing_mode = "lid";
    assert_true(see(arena, &message, &got, &view));
    assert_true(view.is_group && !view.from_me);
    WA_TEST_JID(&view.chat, "120363000000000000@g.us");
    WA_TEST_JID(&view.sender_alt, "491:2@s.whatsapp.net");
    message.participant = wa_test_jid("55:9@lid");
    assert_true(see(arena, &message, &got, &view));
    assert_true(view.from_me);
}

/* Devices that the wire has no form for, and senders that have no sessions. */
static void who_cannot_have_written_is_not_read(void **state)
{
    static const struct {
        const char *from;
        const char *participant;
        bool parses;
    } cases[] = {
        {"491:300@s.whatsapp.net", NULL, false},
        {"1:2@g.us", NULL, false},
        {"1@g.us", "491:300@lid", false},
        {"1@g.us", "1:2@g.us", false},
        {"491:300@msgr", NULL, true},
        {"1@g.us", "491:300@msgr", true},
        {"1@newsletter", NULL, true},
        {"g.us", NULL, true},
    };
    struct arena *arena = *state;
    struct wa_jid pn = wa_test_jid("500:3@s.whatsapp.net");
    struct wa_jid none = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wa_message_received message = received("491@s.whatsapp.net");
        struct wa_node *node = wa_message_received_build(arena, &message);
        struct wa_message_view view;
        struct wa_node *ack;

        wa_node_set(node, "from", cases[i].from);
        wa_node_set(node, "participant", cases[i].participant);
        assert_int_equal(wa_message_received_parse(node, arena, &message, NULL),
                         cases[i].parses ? 0 : -ERR_INVALID);
        if (cases[i].parses) {
            assert_false(wa_message_view(&message, &pn, &none, &view));
        }
        ack = wa_test_wire(arena, wa_ack_for(arena, node, WA_NACK_PARSE));
        assert_string_equal(wa_node_attr(ack, "to"), cases[i].from); /* as it came */
        if (cases[i].participant != NULL) {
            assert_string_equal(wa_node_attr(ack, "participant"), cases[i].participant);
        }
    }
}

static void a_message_of_no_time_is_read_all_the_same(void **state)
{
    struct arena *arena = *state;
    struct wa_message_received message = received("491@s.whatsapp.net");
    struct wa_message_received got;
    struct wa_node *node;
    struct wa_ack ack;

    message.time = INT64_C(1700000000000); /* milliseconds */
    node = wa_message_received_build(arena, &message);
    assert_int_equal(wa_message_received_parse(node, arena, &got, NULL), 0);
    assert_int_equal(got.time, 0);
    (void)wa_node_unset(node, "t");
    assert_int_equal(wa_message_received_parse(node, arena, &got, NULL), -ERR_INVALID);
    assert_true(wa_ack_parse(wa_ack_sent(arena, node, message.time, 0), &ack));
    assert_int_equal(ack.time, 0);
}

static void unreadable_encs_are_counted(void **state)
{
    struct arena *arena = *state;
    struct wa_message_received message = received("491@s.whatsapp.net");
    struct wa_node *node = wa_message_received_build(arena, &message);
    struct wa_message_received got;

    for (unsigned i = 0; i < WA_MESSAGE_ENCS_MAX; i++) {
        (void)wa_node_child(node, "enc");
    }
    assert_int_equal(wa_message_received_parse(node, arena, &got, NULL), 0);
    assert_int_equal(got.n_encs, 0);
    assert_int_equal(got.n_unknown, WA_MESSAGE_ENCS_MAX);
    (void)wa_node_child(node, "enc");
    assert_int_equal(wa_message_received_parse(node, arena, &got, NULL), -ERR_LIMIT);
}

static void acks_copy_what_the_server_matches_by(void **state)
{
    struct arena *arena = *state;
    struct wa_message_received message = received("500@s.whatsapp.net");
    struct wa_ack ack;

    message.recipient = wa_test_jid("491@s.whatsapp.net");
    assert_true(wa_ack_parse(
        wa_test_wire(
            arena, wa_ack_for(arena, wa_message_received_build(arena, &message), WA_NACK_PROTOBUF)),
        &ack));
    assert_string_equal(ack.class, "message");
    assert_string_equal(ack.id, "M1");
    assert_string_equal(ack.type, "text");
    assert_int_equal(ack.error, 491);
    WA_TEST_JID(&ack.to, "500@s.whatsapp.net");
    WA_TEST_JID(&ack.recipient, "491@s.whatsapp.net");
}

static void server_ack_answers_from_the_chat(void **state)
{
    struct arena *arena = *state;
    const struct wa_message_sent message = {.id = "A",
                                            .to = wa_test_jid("491@s.whatsapp.net"),
                                            .type = "text",
                                            .has_enc = true,
                                            .enc = enc_of(WA_ENC_MSG, "x")};
    struct wa_node *sent = wa_message_sent_build(arena, &message);
    struct wa_node *node = wa_test_wire(arena, wa_ack_sent(arena, sent, 1700000000, 0));
    struct wa_ack ack;

    assert_true(wa_ack_parse(node, &ack));
    WA_TEST_JID(&ack.from, "491@s.whatsapp.net");
    assert_int_equal(ack.time, 1700000000);
    assert_int_equal(ack.error, 0);
    assert_true(wa_ack_parse(wa_ack_sent(arena, sent, 0, 463), &ack));
    assert_int_equal(ack.error, 463);
    assert_false(wa_ack_parse(sent, &ack));
    wa_node_set(node, "error", "no");
    assert_true(wa_ack_parse(node, &ack));
    assert_int_equal(ack.error, WA_NACK_UNHANDLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WA_TEST(fan_out_arrives_as_it_was),
        WA_TEST(device_identity_goes_along_only_with_a_pkmsg),
        WA_TEST(retry_goes_to_one_device),
        WA_TEST(malformed_messages_are_refused),
        WA_TEST(direct_message_is_seen_with_both_forms),
        WA_TEST(echo_of_an_own_device_belongs_to_the_chat),
        WA_TEST(phone_data_is_told_apart),
        WA_TEST(group_message_names_its_sender),
        WA_TEST(who_cannot_have_written_is_not_read),
        WA_TEST(a_message_of_no_time_is_read_all_the_same),
        WA_TEST(unreadable_encs_are_counted),
        WA_TEST(acks_copy_what_the_server_matches_by),
        WA_TEST(server_ack_answers_from_the_chat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
