/* The shapes of the contract, against its own examples (tests/vectors/contract). */
#include "testkit/testkit.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "http/http.h"
#include "ingress/family.h"
#include "ingress/request.h"
#include "ingress/shape.h"
#include "ingress/view.h"

/* 2025-09-07 at a time of day, in microseconds */
#define AT(hour, minute, second) \
    ((1757203200LL + (hour)*3600LL + (minute)*60LL + (second)) * 1000000LL)

static json_t *example(const char *name)
{
    char path[512];
    json_error_t why;
    json_t *json;

    (void)snprintf(path, sizeof(path), "%s/%s", CONTRACT_EXAMPLES, name);
    json = json_load_file(path, 0, &why);
    if (json == NULL) {
        fail_msg("%s: %s", path, why.text);
    }
    return json;
}

/* Everything in @want is in @have with the same value; @have may have more (contract 0.4). */
static void expect_same(json_t *want, const json_t *have, const char *where)
{
    json_t *value;
    size_t i;

    if (have == NULL || json_typeof(want) != json_typeof(have)) {
        fail_msg("%s is missing or of another type", where);
    }
    if (json_is_object(want)) {
        for (void *at = json_object_iter(want); at != NULL; at = json_object_iter_next(want, at)) {
            const char *name = json_object_iter_key(at);

            expect_same(json_object_iter_value(at), json_object_get(have, name), name);
        }
    } else if (json_is_array(want)) {
        assert_int_equal(json_array_size(want), json_array_size(have));
        json_array_foreach(want, i, value)
        {
            expect_same(value, json_array_get(have, i), where);
        }
    } else if (!json_equal(want, have)) {
        fail_msg("%s differs", where);
    }
}

static struct blast_row blank_blast(void)
{
    return (struct blast_row){
        .uuid = "u",
        .user_id = 1,
        .estimated_completion_us = SHAPE_NO_TIME,
        .started_at_us = SHAPE_NO_TIME,
        .paused_at_us = SHAPE_NO_TIME,
        .resumed_at_us = SHAPE_NO_TIME,
        .completed_at_us = SHAPE_NO_TIME,
        .stopped_at_us = SHAPE_NO_TIME,
    };
}

static struct blast_row running_blast(const struct session_row *session)
{
    struct blast_row row = blank_blast();

    row.id = 1;
    row.blast_key = "blast_20250907_001";
    row.session_key = "wa_business_main";
    row.status = "RUNNING";
    row.campaign_name = "Promo Akhir Tahun";
    row.message_template = "Hello {{name}}, special offer for you!";
    row.total_messages = 1500;
    row.current_index = 1275;
    row.sent_count = 1275;
    row.failed_count = 45;
    row.estimated_completion_us = AT(16, 30, 0);
    row.started_at_us = AT(10, 30, 0);
    row.config =
        "{\"messageDelay\":{\"min\":1000,\"max\":3000},\"contactDelay\":{\"min\":2000,"
        "\"max\":5000},\"businessHours\":{\"enabled\":true,\"startHour\":9,\"endHour\":17}}";
    row.created_at_us = AT(10, 30, 0);
    row.updated_at_us = AT(15, 45, 0) + 999999;
    row.session = session;
    return row;
}

static struct blast_row paused_blast(const struct session_row *session)
{
    struct blast_row row = blank_blast();

    row.id = 2;
    row.blast_key = "blast_20250907_002";
    row.session_key = "wa_customer_service";
    row.status = "PAUSED";
    row.campaign_name = "Follow Up Customer";
    row.message_template = "Hi {{name}}, thank you for your interest!";
    row.total_messages = 850;
    row.current_index = 320;
    row.sent_count = 320;
    row.failed_count = 12;
    row.started_at_us = AT(9, 15, 0);
    row.paused_at_us = AT(14, 20, 0);
    row.config =
        "{\"messageDelay\":{\"min\":2000,\"max\":4000},\"contactDelay\":{\"min\":3000,"
        "\"max\":6000},\"businessHours\":{\"enabled\":true,\"startHour\":8,\"endHour\":18}}";
    row.created_at_us = AT(9, 15, 0);
    row.updated_at_us = AT(14, 20, 15);
    row.session = session;
    return row;
}

static struct blast_row idle_blast(void)
{
    struct blast_row row = blank_blast();

    row.id = 3;
    row.blast_key = "blast_20250907_003";
    row.session_key = "wa_missing_session";
    row.status = "IDLE";
    row.campaign_name = "Newsletter Campaign";
    row.message_template = "Monthly newsletter for {{name}}";
    row.total_messages = 2000;
    row.config = "{\"messageDelay\":{\"min\":1500,\"max\":3500},\"contactDelay\":{\"min\":2500,"
                 "\"max\":5500},\"businessHours\":{\"enabled\":false}}";
    row.created_at_us = AT(8, 45, 0);
    row.updated_at_us = AT(8, 45, 0);
    return row;
}

static const struct session_row main_account = {
    .session_key = "wa_business_main",
    .name = "another name",
    .phone = "628123456789",
    .display_name = "PT. Digital Solutions - Main",
    .profile_picture = "data:image/jpeg;base64,/9j/4AAQSkZJRgABA...",
    .operator_provider = "Telkomsel",
    .operator_type = "Postpaid",
    .state = SESSION_CONNECTED,
    .linked = true,
    .last_seen_us = AT(12, 0, 0),
    .runtime = {.is_known = true,
                .ws = SESSION_WS_OPEN,
                .state = SESSION_CONNECTED,
                .last_seen_us = AT(15, 45, 30)},
};
static const struct session_row service_account = {
    .session_key = "wa_customer_service",
    .name = "Customer Service Team",
    .phone = "628234567890",
    .operator_provider = "Indosat",
    .operator_type = "Prepaid",
    .state = SESSION_DISCONNECTED,
    .linked = true,
    .last_seen_us = AT(14, 20, 15),
};

static void the_list_of_blasts_is_the_contracts(void **state)
{
    json_t *want = example("000-blast-control-sessions-list.response.json");
    const struct page page = {.total = 3, .limit = 50, .offset = 0};
    const struct blast_row rows[] = {running_blast(&main_account), paused_blast(&service_account),
                                     idle_blast()};
    json_t *sessions = json_array();
    json_t *have;

    (void)state;
    for (int i = 0; i < 3; i++) {
        (void)json_array_append_new(sessions, view_f0_blast(&rows[i]));
    }
    have = json_pack("{s:b, s:{s:o, s:o}}", "success", 1, "data", "sessions", sessions,
                     "pagination", view_f0_page(&page, 3));
    expect_same(want, have, "the answer");
    json_decref(have);
    json_decref(want);
}

static void a_session_shows_what_it_is_now(void **state)
{
    struct session_row row = {.session_key = "1234567890",
                              .name = "User 1 Session",
                              .position = 2,
                              .state = SESSION_CREATED,
                              .applied_seq = 1};
    json_t *have = view_f4_session(&row);
    json_t *want = json_pack("{s:s, s:b, s:b, s:s, s:s, s:s, s:s, s:i}", "id", "1234567890",
                             "connected", 0, "logged_in", 0, "phone", "", "name", "User 1 Session",
                             "webhook_url", "", "actual_phone", "", "position", 2);

    (void)state;
    expect_same(want, have, "the session");
    assert_int_equal(json_object_size(have), 8);
    json_decref(want);
    json_decref(have);
    row.runtime = (struct session_runtime){.is_known = true,
                                           .ws = SESSION_WS_OPEN,
                                           .state = SESSION_WAITING_FOR_SCAN,
                                           .sequence = 4}; /* newer than the projection */
    have = view_f4_session(&row);
    assert_true(json_is_true(json_object_get(have, "connected")));
    assert_true(json_is_false(json_object_get(have, "logged_in")));
    json_decref(have);
}

static void statuses_are_shown_and_found_by_one_name(void **state)
{
    static const char *const names[][2] = {
        {"PENDING", "pending"},     {"DISPATCHED", "pending"}, {"SENT", "sent"},
        {"DELIVERED", "delivered"}, {"READ", "read"},          {"FAILED", "failed"},
        {"FAILED_RETRY", "failed"}, {"SKIPPED", "skipped"},    {"CANCELLED", "cancelled"},
        {"LATER", "pending"},
    };
    struct arena arena = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct message_row row = {
            .id = "m", .recipient = "62", .text = "Hi", .status = names[i][0]};
        json_t *shown = view_f0_message(&row, &arena);
        const char *const *stored = view_f0_stored_statuses(names[i][1]);

        assert_string_equal(json_string_value(json_object_get(shown, "status")), names[i][1]);
        assert_true(strcmp(stored[0], names[i][0]) == 0 || strcmp(stored[1], names[i][0]) == 0 ||
                    strcmp(names[i][0], "LATER") == 0);
        json_decref(shown);
    }
    assert_null(view_f0_stored_statuses("PENDING"));
    arena_done(&arena);
}

static void a_message_shows_its_status(void **state)
{
    const struct message_row row = {.id = "m",
                                    .message_index = 3,
                                    .recipient = "6281381393739",
                                    .text = "Hi",
                                    .status = "DISPATCHED",
                                    .attempt_count = 1,
                                    .sent_at_us = AT(1, 2, 3),
                                    .delivered_at_us = SHAPE_NO_TIME,
                                    .read_at_us = SHAPE_NO_TIME};
    json_t *want = json_pack("{s:s, s:i, s:s, s:n, s:s, s:s, s:i, s:n, s:s, s:n, s:n}", "id", "m",
                             "messageIndex", 3, "phone", "+6281381393739", "contactName", "message",
                             "Hi", "status", "pending", "attemptCount", 1, "lastError", "sentAt",
                             "2025-09-07T01:02:03Z", "deliveredAt", "readAt");
    struct arena arena = {0};
    json_t *have = view_f0_message(&row, &arena);

    (void)state;
    assert_true(json_equal(want, have));
    json_decref(want);
    json_decref(have);
    arena_done(&arena);
}

static void errors_wear_their_family(void **state)
{
    const struct http_problem problem = {404, "BLAST_SESSION_NOT_FOUND", "Blast session not found",
                                         0};
    json_t *f0 = families[FAMILY_F0].render(&problem);
    json_t *f4 = families[FAMILY_F4].render(&problem);
    json_t *want = example("004-multi-error.error.json");

    (void)state;
    assert_true(json_is_false(json_object_get(f0, "success")));
    assert_string_equal(json_string_value(json_object_get(f0, "error")), "BLAST_SESSION_NOT_FOUND");
    assert_string_equal(json_string_value(json_object_get(f4, "error")), "Not Found");
    assert_int_equal(json_object_size(f4), json_object_size(want));
    for (void *at = json_object_iter(want); at != NULL; at = json_object_iter_next(want, at)) {
        assert_true(json_is_string(json_object_get(f4, json_object_iter_key(at))));
    }
    assert_string_equal(families[FAMILY_COUNT - 1].prefix, "");
    json_decref(f0);
    json_decref(f4);
    json_decref(want);
}

/* ---- requests ---- */

struct creation {
    const char *name;
    const char *webhook_url;
    int64_t count;
    bool flag;
    json_t *list;
};

static const struct request_field creation_fields[] = {
    REQUEST_TEXT(struct creation, name, "name", true, 1, 5),
    REQUEST_TEXT(struct creation, webhook_url, "webhook_url", false, 0, 2048),
    REQUEST_FIELD(struct creation, count, "count", REQUEST_IS_INT, false, 0, 9),
    REQUEST_BOOL(struct creation, flag, "flag"),
    REQUEST_ARRAY(struct creation, list, "list", false, 1, 2),
};

static void expect_request(const char *text, const char *want_error)
{
    struct creation creation = {0};
    struct err err = {0};
    json_t *body = json_loads(text, 0, NULL);
    int rc = request_read(creation_fields, 5, body, &creation, &err);

    assert_non_null(body);
    assert_int_equal(rc, want_error != NULL ? -ERR_INVALID : 0);
    assert_string_equal(err.text, want_error != NULL ? want_error : "");
    json_decref(body);
}

static void request_members_are_checked(void **state)
{
    (void)state;
    expect_request("{\"name\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\",\"odd\":[]}", NULL);
    expect_request("{\"name\":\"a\",\"count\":null,\"flag\":true,\"list\":[1]}", NULL);
    expect_request("{}", "name is required");
    expect_request("{\"name\":null}", "name is required");
    expect_request("{\"name\":\"\"}", "name must be a string of 1 to 5 characters");
    expect_request("{\"name\":7}", "name must be a string of 1 to 5 characters");
    expect_request("{\"name\":\"a\",\"count\":1.5}", "count must be a whole number from 0 to 9");
    expect_request("{\"name\":\"a\",\"flag\":1}", "flag must be true or false");
    expect_request("{\"name\":\"a\",\"list\":[]}", "list must be an array of 1 to 2 elements");
}

static void urls_are_checked(void **state)
{
    static const char *const bad[] = {
        "example.net",      "ftp://example.net",   "http://",     "https:///path", "http://a b",
        "http://u:p@host/", "javascript:alert(1)", "http://:80/", "//host"};

    (void)state;
    assert_int_equal(request_check_url("webhook_url", "", NULL), 0);
    assert_int_equal(request_check_url("webhook_url", "https://myapp.com/webhook", NULL), 0);
    assert_int_equal(request_check_url("webhook_url", "HTTP://127.0.0.1:8080/a?b@c", NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(request_check_url("webhook_url", bad[i], NULL), -ERR_INVALID);
    }
}

static void pages_have_bounds(void **state)
{
    const struct request_number limit = {"limit", 1, 1000, 50};
    int64_t v = 0;

    (void)state;
    assert_int_equal(request_number(&limit, NULL, &v, NULL), 0);
    assert_int_equal(v, 50);
    assert_int_equal(request_number(&limit, "5000", &v, NULL), 0);
    assert_int_equal(v, 1000);
    assert_int_equal(request_number(&limit, "0", &v, NULL), -ERR_INVALID);
    assert_int_equal(request_number(&limit, "1x", &v, NULL), -ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_blasts_is_the_contracts),
        cmocka_unit_test(a_session_shows_what_it_is_now),
        cmocka_unit_test(a_message_shows_its_status),
        cmocka_unit_test(statuses_are_shown_and_found_by_one_name),
        cmocka_unit_test(errors_wear_their_family),
        cmocka_unit_test(request_members_are_checked),
        cmocka_unit_test(urls_are_checked),
        cmocka_unit_test(pages_have_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
