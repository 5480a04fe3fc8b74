#include "webhooks/payload.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "testkit/testkit.h"

static struct message_event received(void)
{
    return (struct message_event){
        .session_key = "1234567890",
        .kind = MESSAGE_EVENT_RECEIVED,
        .as.received = {.wa_message_id = "3EB0BEDDE45EF384377BD7",
                        .from = "6281381393739:12@s.whatsapp.net",
                        .to = "6282260790996@s.whatsapp.net",
                        .kind = "text",
                        .text = "Hello!",
                        .timestamp = 1643723400},
    };
}

/* Members, types and values, no more and no less. */
static void assert_same_as_example(const char *body, const char *name)
{
    json_error_t why;
    char path[512];
    json_t *have = json_loads(body, JSON_REJECT_DUPLICATES, &why);
    json_t *want;

    assert_non_null(have);
    (void)snprintf(path, sizeof(path), "%s/%s", CONTRACT_EXAMPLES, name);
    want = json_load_file(path, 0, &why);
    if (want == NULL) {
        fail_msg("%s: %s", path, why.text);
    }
    if (!json_equal(want, have)) {
        fail_msg("%s is not %s", body, name);
    }
    json_decref(want);
    json_decref(have);
}

static void an_inbound_message_has_the_form_of_the_contract(void **state)
{
    struct message_event event = received();
    struct payload payload;
    struct arena arena = {0};

    (void)state;
    assert_true(payload_of_message(&event, &arena, &payload));
    assert_int_equal(payload.name, EVENT_NAME_MESSAGE);
    assert_same_as_example(payload.body, "004-multi-webhook-message.request.json");
    event.as.received.kind = "image";
    event.as.received.text = "Büdi";
    event.as.received.from = "120363@g.us";
    event.as.received.participant = "6281:3@s.whatsapp.net";
    assert_true(payload_of_message(&event, &arena, &payload));
    assert_non_null(strstr(payload.body, "\"from\":\"120363@g.us\""));
    assert_non_null(strstr(payload.body, "\"message\":\"Büdi\""));
    assert_non_null(strstr(payload.body, "\"participant\":\"6281@s.whatsapp.net\""));
    assert_non_null(strstr(payload.body, "\"media\":{\"type\":\"image\"}"));
    event.kind = MESSAGE_EVENT_SENT;
    assert_false(payload_of_message(&event, &arena, &payload));
    arena_done(&arena);
}

static void a_receipt_names_message_and_chat(void **state)
{
    struct message_event event = {
        .session_key = "s", .kind = MESSAGE_EVENT_READ, .as.read = {.at = 1643723400999}};
    struct payload_receipt about = {"3EB0", "6281@s.whatsapp.net", "6282:7@s.whatsapp.net"};
    struct payload payload;
    struct arena arena = {0};

    (void)state;
    payload_of_receipt(&event, &about, &arena, &payload);
    assert_int_equal(payload.name, EVENT_NAME_READ_RECEIPT);
    assert_string_equal(payload.body,
                        "{\"session_id\":\"s\",\"event\":\"ReadReceipt\",\"receipt\":{\"ids\":[\"3E"
                        "B0\"],\"from\":\"6281@s.whatsapp.net\",\"to\":\"6282@s.whatsapp.net\",\"ty"
                        "pe\":\"read\",\"timestamp\":1643723400}}");
    arena_done(&arena);
}

static void session_events_that_have_a_name_are_told(void **state)
{
    static const struct {
        struct session_event event;
        const char *body;
    } told[] = {
        {{.kind = SESSION_EVENT_LOGGED_IN, .as.logged_in = {.jid = "6281:3@s.whatsapp.net"}},
         "{\"session_id\":\"s\",\"event\":\"Connected\",\"jid\":\"6281:3@s.whatsapp.net\","
         "\"timestamp"
         "\":7}"},
        {{.kind = SESSION_EVENT_CONNECTION_LOST, .as.connection_lost = {.reason = "stream"}},
         "{\"session_id\":\"s\",\"event\":\"Disconnected\",\"reason\":\"stream\",\"timestamp\":7}"},
        {{.kind = SESSION_EVENT_DISCONNECTED, .as.disconnected = {.reason = "api"}},
         "{\"session_id\":\"s\",\"event\":\"Disconnected\",\"reason\":\"api\",\"timestamp\":7}"},
        {{.kind = SESSION_EVENT_LOGGED_OUT, .as.logged_out = {.reason = "phone"}},
         "{\"session_id\":\"s\",\"event\":\"LoggedOut\",\"reason\":\"phone\",\"timestamp\":7}"},
        {{.kind = SESSION_EVENT_QR_ISSUED, .as.qr_issued = {.ordinal = 2, .expires_at = 9000}},
         "{\"session_id\":\"s\",\"event\":\"QR\",\"ordinal\":2,\"expires_at\":9,\"timestamp\":7}"},
        {{.kind = SESSION_EVENT_PAIRED, .as.paired = {.jid = "j", .phone = "6281"}},
         "{\"session_id\":\"s\",\"event\":\"PairSuccess\",\"jid\":\"j\",\"phone\":\"6281\","
         "\"timestamp"
         "\":7}"},
    };
    struct arena arena = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        struct session_event event = told[i].event;
        struct payload payload;

        event.session_key = "s";
        event.occurred_at = 7999999;
        assert_true(payload_of_session(&event, &arena, &payload));
        assert_string_equal(payload.body, told[i].body);
    }
    arena_done(&arena);
}

static void other_session_events_are_not_told(void **state)
{
    struct session_event event = {.session_key = "s", .kind = SESSION_EVENT_RENAMED};
    struct payload payload;
    struct arena arena = {0};

    (void)state;
    assert_false(payload_of_session(&event, &arena, &payload));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inbound_message_has_the_form_of_the_contract),
        cmocka_unit_test(a_receipt_names_message_and_chat),
        cmocka_unit_test(session_events_that_have_a_name_are_told),
        cmocka_unit_test(other_session_events_are_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
