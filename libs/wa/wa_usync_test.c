#include "wa/wa_usync.h"

#include "wa/wa_iq.h"
#include "wa/wa_test.h"

static void devices_are_asked_for(void **state)
{
    struct arena *arena = *state;
    const struct wa_usync_asked users[] = {{.jid = wa_test_jid("491@s.whatsapp.net")},
                                           {.contact = "+49123456"}};
    const struct wa_usync_query query = {.protocols = WA_USYNC_DEVICES | WA_USYNC_LID,
                                         .sid = "s1",
                                         .mode = "query",
                                         .context = "message",
                                         .users = users,
                                         .n = 2};
    struct wa_node *iq = wa_test_wire(arena, wa_usync_query(arena, "1", &query));
    struct wa_usync_query got;

    assert_true(wa_node_attr_is(wa_node_path(iq, "usync/query/devices"), "version", "2"));
    assert_int_equal(wa_usync_query_parse(iq, arena, &got, NULL), 0);
    assert_int_equal(got.protocols, WA_USYNC_DEVICES | WA_USYNC_LID);
    assert_string_equal(got.sid, "s1");
    assert_string_equal(got.context, "message");
    assert_int_equal(got.n, 2);
    WA_TEST_JID(&got.users[0].jid, "491@s.whatsapp.net");
    assert_null(got.users[0].contact);
    assert_string_equal(got.users[1].contact, "+49123456");
    assert_string_equal(wa_usync_digits(arena, got.users[1].contact), "49123456");
}

static void numbers_are_read_in_every_spelling(void **state)
{
    struct arena *arena = *state;

    assert_string_equal(wa_usync_digits(arena, "4912345"), "4912345");
    assert_string_equal(wa_usync_digits(arena, "+4912345@c.us"), "4912345");
    assert_null(wa_usync_digits(arena, "+"));
    assert_null(wa_usync_digits(arena, "12a45678"));
    assert_null(wa_usync_digits(arena, "123456789012345678901"));
}

static void malformed_requests_are_refused(void **state)
{
    struct arena *arena = *state;
    struct wa_node *iq = wa_node_iq(arena, "get", "usync", "1");
    struct wa_node *usync = wa_node_child(iq, "usync");
    struct wa_node *list;
    struct wa_usync_query got;

    assert_int_equal(wa_usync_query_parse(iq, arena, &got, NULL), -ERR_INVALID);
    (void)wa_node_child(usync, "query");
    list = wa_node_child(usync, "list");
    assert_int_equal(wa_usync_query_parse(iq, arena, &got, NULL), 0);
    (void)wa_node_child(list, "user");
    assert_int_equal(wa_usync_query_parse(iq, arena, &got, NULL), -ERR_INVALID);
    for (unsigned i = 0; i < WA_USYNC_USERS_MAX; i++) {
        (void)wa_node_child(list, "user");
    }
    assert_int_equal(wa_usync_query_parse(iq, arena, &got, NULL), -ERR_LIMIT);
}

static void answer_arrives_as_it_was(void **state)
{
    struct arena *arena = *state;
    struct wa_node *request =
        wa_usync_query(arena, "9",
                       &(struct wa_usync_query){.protocols = WA_USYNC_DEVICES | WA_USYNC_CONTACT,
                                                .sid = "s2",
                                                .mode = "query",
                                                .context = "message"});
    const struct wa_usync_device devices[] = {
        {.id = 0}, {.id = 7, .key_index = 2}, {.id = 99, .key_index = 3, .is_hosted = true}};
    const struct wa_usync_found bob = {.jid = wa_test_jid("491@s.whatsapp.net"),
                                       .has_devices = true,
                                       .devices = devices,
                                       .n_devices = 3,
                                       .key_index_list = wa_test_bytes("list"),
                                       .key_index_time = 1700000000,
                                       .has_lid = true,
                                       .lid = wa_test_jid("88@lid"),
                                       .has_contact = true,
                                       .is_in = true,
                                       .contact = "+491"};
    const struct wa_usync_found nobody = {.jid = wa_test_jid("492@s.whatsapp.net"),
                                          .has_contact = true};
    struct wa_node *iq;
    struct wa_node *list = wa_usync_answer(arena, request, &iq);
    struct wa_usync_answer got;
    struct wa_jid hosted;

    (void)wa_usync_answer_add(list, &bob);
    (void)wa_usync_answer_add(list, &nobody);
    iq = wa_test_wire(arena, iq);
    assert_int_equal(wa_iq_code(iq, NULL), 0);
    assert_string_equal(wa_node_attr(wa_node_find(iq, "usync"), "sid"), "s2");
    assert_non_null(wa_node_path(iq, "usync/result/devices"));
    assert_int_equal(wa_usync_answer_parse(iq, arena, &got, NULL), 0);
    assert_int_equal(got.n, 2);
    assert_true(got.users[0].has_devices && got.users[0].has_lid && got.users[0].is_in);
    assert_int_equal(got.users[0].n_devices, 3);
    assert_int_equal(got.users[0].devices[1].id, 7);
    assert_int_equal(got.users[0].devices[1].key_index, 2);
    assert_int_equal(got.users[0].key_index_time, 1700000000);
    assert_int_equal(got.users[0].key_index_list.n, 4);
    assert_string_equal(got.users[0].contact, "+491");
    WA_TEST_JID(&got.users[0].lid, "88@lid");
    hosted = wa_usync_device_jid(&bob.jid, &got.users[0].devices[2]);
    assert_int_equal(hosted.server, WA_SERVER_HOSTED);
    assert_false(got.users[1].has_devices || got.users[1].is_in);
    assert_true(got.users[1].has_contact);
}

static void errors_carry_their_code(void **state)
{
    struct arena *arena = *state;
    struct wa_node *request = wa_usync_query(arena, "9", &(struct wa_usync_query){0});
    struct wa_node *answer =
        wa_test_wire(arena, wa_iq_error(arena, request, 429, "rate-overlimit"));
    struct wa_usync_answer got;
    const char *text = NULL;

    assert_int_equal(wa_iq_code(answer, &text), 429);
    assert_string_equal(text, "rate-overlimit");
    assert_int_equal(wa_usync_answer_parse(answer, arena, &got, NULL), -ERR_INVALID);
    assert_int_equal(wa_iq_code(request, NULL), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WA_TEST(devices_are_asked_for),          WA_TEST(numbers_are_read_in_every_spelling),
        WA_TEST(malformed_requests_are_refused), WA_TEST(answer_arrives_as_it_was),
        WA_TEST(errors_carry_their_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
