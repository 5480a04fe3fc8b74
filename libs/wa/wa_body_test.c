#include "wa/wa_body.h"

#include "e2e.pb-c.h"
#include "wa/wa_proto.h"
#include "wa/wa_test.h"

/* What a message built from @m is read as. */
static struct wa_body read_back(struct arena *arena, const Wa__Message *m)
{
    struct buf packed = {0};
    struct wa_body body;

    wa_proto_pack(m, &packed);
    assert_int_equal(wa_body_parse(buf_bytes(&packed), arena, &body, NULL), 0);
    buf_done(&packed);
    return body;
}

static void text_goes_through_padding_and_back(void **state)
{
    struct arena *arena = *state;

    for (unsigned i = 0; i < 100; i++) {
        struct buf plain = {0};
        struct wa_body body;
        struct bytes bytes;

        wa_body_text("Hi \xf0\x9f\x91\x8b", &plain);
        wa_body_pad(&plain);
        bytes = buf_bytes(&plain);
        assert_true(wa_body_unpad(&bytes));
        assert_int_equal(wa_body_parse(bytes, arena, &body, NULL), 0);
        assert_int_equal(body.kind, WA_BODY_TEXT);
        assert_string_equal(body.text, "Hi \xf0\x9f\x91\x8b");
        assert_true(wa_body_is_for_people(body.kind) && !body.is_device_sent);
        buf_done(&plain);
    }
}

static void wrong_padding_is_refused(void **state)
{
    const uint8_t good[] = {9, 9, 3, 3, 3};
    const uint8_t uneven[] = {9, 9, 3, 2, 3};
    const uint8_t zero[] = {9, 0};
    const uint8_t longer[] = {4, 4, 4};
    uint8_t much[17];
    struct bytes bytes = {good, sizeof(good)};

    (void)state;
    memset(much, 17, sizeof(much));
    assert_true(wa_body_unpad(&bytes));
    assert_int_equal(bytes.n, 2);
    bytes = (struct bytes){uneven, sizeof(uneven)};
    assert_false(wa_body_unpad(&bytes));
    bytes = (struct bytes){zero, sizeof(zero)};
    assert_false(wa_body_unpad(&bytes));
    bytes = (struct bytes){longer, sizeof(longer)};
    assert_false(wa_body_unpad(&bytes));
    bytes = (struct bytes){much, sizeof(much)};
    assert_false(wa_body_unpad(&bytes));
    bytes = (struct bytes){NULL, 0};
    assert_false(wa_body_unpad(&bytes));
}

static bool contains(const struct buf *buf, const char *part, size_t n)
{
    for (size_t i = 0; i + n <= buf->n; i++) {
        if (memcmp(buf->p + i, part, n) == 0) {
            return true;
        }
    }
    return false;
}

static void device_sent_keeps_content_and_secret(void **state)
{
    struct arena *arena = *state;
    Wa__Message message = WA__MESSAGE__INIT;
    Wa__MessageContextInfo info = WA__MESSAGE_CONTEXT_INFO__INIT;
    char text[] = "hello";
    uint8_t secret[32] = {7};
    struct buf inner = {0};
    struct buf outer = {0};
    struct wa_body body;

    info.has_message_secret = true;
    info.message_secret = (ProtobufCBinaryData){.len = sizeof(secret), .data = secret};
    message.conversation = text;
    message.message_context_info = &info;
    wa_proto_pack(&message, &inner);
    buf_add(&inner, "\xd2\x0f\x01x", 4); /* field 250, which nobody here knows */
    wa_body_device_sent("491@s.whatsapp.net", buf_bytes(&inner), &outer);

    assert_int_equal(wa_body_parse(buf_bytes(&outer), arena, &body, NULL), 0);
    assert_true(body.is_device_sent);
    assert_string_equal(body.destination, "491@s.whatsapp.net");
    assert_string_equal(body.text, "hello");
    assert_int_equal(body.message_secret.n, 32);
    assert_true(contains(&outer, "\xd2\x0f\x01x", 4));
    buf_done(&inner);
    buf_done(&outer);
}

static void caption_of_wrapped_media_is_found(void **state)
{
    struct arena *arena = *state;
    Wa__Message inner = WA__MESSAGE__INIT;
    Wa__Message outer = WA__MESSAGE__INIT;
    Wa__FutureProof wrapper = WA__FUTURE_PROOF__INIT;
    Wa__Image image = WA__IMAGE__INIT;
    Wa__ContextInfo context = WA__CONTEXT_INFO__INIT;
    char caption[] = "look";
    char mimetype[] = "image/jpeg";
    char id[] = "QUOTED";
    struct wa_body body;

    context.stanza_id = id;
    context.has_is_forwarded = true;
    context.is_forwarded = true;
    image.caption = caption;
    image.mimetype = mimetype;
    image.context_info = &context;
    inner.image = &image;
    wrapper.message = &inner;
    outer.view_once_v2 = &wrapper;
    body = read_back(arena, &outer);
    assert_int_equal(body.kind, WA_BODY_IMAGE);
    assert_string_equal(body.text, "look");
    assert_string_equal(body.mimetype, "image/jpeg");
    assert_string_equal(body.quoted_id, "QUOTED");
    assert_true(body.is_view_once && body.is_forwarded);
}

/* One length-delimited field with @inner, which is shorter than 16 KiB. */
static void add_field(struct buf *out, const char *tag, const struct buf *inner)
{
    buf_add_str(out, tag);
    buf_add_u8(out, (uint8_t)(inner->n | 0x80));
    buf_add_u8(out, (uint8_t)(inner->n >> 7));
    buf_add(out, inner->p, inner->n);
}

static void messages_in_too_many_others_are_refused(void **state)
{
    enum { DEEP = 100 };
    struct arena *arena = *state;
    struct buf packed = {0};
    struct wa_body body;

    wa_body_text("x", &packed);
    for (unsigned i = 1; i <= DEEP; i++) {
        struct buf middle = {0};
        struct buf outer = {0};
        int rc;

        add_field(&middle, "\x0a", &packed); /* ephemeral(40){ message(1) } */
        add_field(&outer, "\xc2\x02", &middle);
        buf_done(&middle);
        buf_done(&packed);
        packed = outer;
        rc = wa_body_parse(buf_bytes(&packed), arena, &body, NULL);
        assert_int_equal(rc, i <= WA_BODY_WRAPPERS_MAX ? 0 : -ERR_LIMIT);
    }
    assert_string_equal(body.text, "x");
    buf_done(&packed);
}

static void reaction_edit_and_revoke_name_their_target(void **state)
{
    struct arena *arena = *state;
    Wa__MessageKey key = WA__MESSAGE_KEY__INIT;
    Wa__Reaction reaction = WA__REACTION__INIT;
    Wa__Protocol protocol = WA__PROTOCOL__INIT;
    Wa__Message edited = WA__MESSAGE__INIT;
    Wa__Message message = WA__MESSAGE__INIT;
    char id[] = "TARGET";
    char sign[] = "+1";
    struct wa_body body;

    key.id = id;
    key.has_from_me = true;
    key.from_me = true;
    reaction.key = &key;
    reaction.text = sign;
    message.reaction = &reaction;
    body = read_back(arena, &message);
    assert_int_equal(body.kind, WA_BODY_REACTION);
    assert_string_equal(body.target_id, "TARGET");
    assert_true(body.target_from_me);

    message.reaction = NULL;
    message.protocol = &protocol;
    protocol.key = &key;
    protocol.has_type = true;
    protocol.type = WA__PROTOCOL__TYPE__REVOKE;
    body = read_back(arena, &message);
    assert_int_equal(body.kind, WA_BODY_REVOKE);
    assert_string_equal(body.text, "");

    edited.conversation = sign;
    protocol.type = WA__PROTOCOL__TYPE__MESSAGE_EDIT;
    protocol.edited_message = &edited;
    body = read_back(arena, &message);
    assert_int_equal(body.kind, WA_BODY_EDIT);
    assert_string_equal(body.text, "+1");
    assert_string_equal(body.target_id, "TARGET");
}

static void key_material_alone_is_nothing_for_people(void **state)
{
    struct arena *arena = *state;
    Wa__Message message = WA__MESSAGE__INIT;
    Wa__SenderKeyDistribution skdm = WA__SENDER_KEY_DISTRIBUTION__INIT;
    char group[] = "12036@g.us";
    uint8_t bytes[] = {0x33, 1, 2};
    struct wa_body body;

    skdm.group_id = group;
    skdm.has_axolotl = true;
    skdm.axolotl = (ProtobufCBinaryData){.len = sizeof(bytes), .data = bytes};
    message.sender_key_distribution = &skdm;
    body = read_back(arena, &message);
    assert_int_equal(body.kind, WA_BODY_NOTHING);
    assert_false(wa_body_is_for_people(body.kind));
    assert_int_equal(body.sender_key.n, 3);
    assert_string_equal(body.sender_key_group, "12036@g.us");
}

static void phone_shares_keys_names_and_mappings(void **state)
{
    struct arena *arena = *state;
    const struct wa_body_key key = {
        .id = wa_test_bytes("keyid1"), .data = wa_test_bytes("secret"), .time_ms = 5};
    const struct wa_body_lid lids[] = {{491, 88}, {492, 89}};
    const struct wa_body_name names[] = {{"491@s.whatsapp.net", "Bob"}};
    const struct wa_body_name pairs[] = {{"491@s.whatsapp.net", "88@lid"}};
    const struct wa_body_sync sync = {
        .sync_type = 4, .progress = 100, .names = names, .n_names = 1, .lids = pairs, .n_lids = 1};
    struct wa_body_sync got;
    struct buf packed = {0};
    struct wa_body body;

    wa_body_key_share(&key, 1, &packed);
    assert_int_equal(wa_body_parse(buf_bytes(&packed), arena, &body, NULL), 0);
    assert_int_equal(body.kind, WA_BODY_KEY_SHARE);
    assert_int_equal(body.n_keys, 1);
    assert_memory_equal(body.keys[0].id.p, "keyid1", 6);
    assert_memory_equal(body.keys[0].data.p, "secret", 6);
    assert_true(wa_body_is_for_self(body.kind) && !wa_body_is_for_people(body.kind));

    buf_clear(&packed);
    wa_body_lid_mapping(lids, 2, &packed);
    assert_int_equal(wa_body_parse(buf_bytes(&packed), arena, &body, NULL), 0);
    assert_int_equal(body.kind, WA_BODY_LID_MAPPING);
    assert_int_equal(body.n_lids, 2);
    assert_int_equal(body.lids[1].lid, 89);

    buf_clear(&packed);
    wa_body_history_inline(&sync, &packed);
    assert_int_equal(wa_body_parse(buf_bytes(&packed), arena, &body, NULL), 0);
    assert_int_equal(body.kind, WA_BODY_HISTORY);
    assert_int_equal(body.history.sync_type, 4);
    assert_int_equal(wa_body_history_open(body.history.inline_payload, arena, &got, NULL), 0);
    assert_int_equal(got.n_names, 1);
    assert_string_equal(got.names[0].name, "Bob");
    assert_string_equal(got.lids[0].name, "88@lid");
    assert_int_equal(got.progress, 100);
    body.history.inline_payload.n--;
    assert_int_equal(wa_body_history_open(body.history.inline_payload, arena, &got, NULL),
                     -ERR_INVALID);
    buf_done(&packed);
}

static void broken_messages_are_refused_and_texts_are_clean(void **state)
{
    struct arena *arena = *state;
    struct wa_body body;

    assert_int_equal(wa_body_parse(wa_test_bytes("\x0a\x05hi"), arena, &body, NULL), -ERR_INVALID);
    assert_int_equal(wa_body_parse(wa_test_bytes("\x0a\x03h\xffi"), arena, &body, NULL), 0);
    assert_string_equal(body.text, "h\xef\xbf\xbdi");
    assert_int_equal(wa_body_parse((struct bytes){NULL, 0}, arena, &body, NULL), 0);
    assert_int_equal(body.kind, WA_BODY_NOTHING);
    assert_int_equal(wa_body_parse(wa_test_bytes("\xd2\x0f\x01x"), arena, &body, NULL), 0);
    assert_int_equal(body.kind, WA_BODY_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WA_TEST(text_goes_through_padding_and_back),
        WA_TEST(wrong_padding_is_refused),
        WA_TEST(device_sent_keeps_content_and_secret),
        WA_TEST(caption_of_wrapped_media_is_found),
        WA_TEST(messages_in_too_many_others_are_refused),
        WA_TEST(reaction_edit_and_revoke_name_their_target),
        WA_TEST(key_material_alone_is_nothing_for_people),
        WA_TEST(phone_shares_keys_names_and_mappings),
        WA_TEST(broken_messages_are_refused_and_texts_are_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
