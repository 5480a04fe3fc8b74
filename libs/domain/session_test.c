/* What the table of a session does not say: times, delays, orders to the shell, rows. */
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "domain/event_names.h"
#include "domain/session_tester.h"
#include "testkit/testkit.h"

static void an_observation_of_an_older_owner_is_dropped(void **state)
{
    struct session session = session_tester_given(SESSION_CONNECTED, true);
    struct session_observation seen = {.kind = SESSION_SAW_CLOSED, .epoch = 3};
    struct session_decision made;

    (void)state;
    session.epoch = 4;
    session_observe(&session, &seen, &session_tester_noon, &made);
    assert_int_equal(made.n, 0);
    assert_int_equal(made.effects, 0);
    seen.epoch = 4;
    session_observe(&session, &seen, &session_tester_noon, &made);
    assert_int_equal(made.n, 2);
}

static struct session_decision see(struct session *session, struct session_observation seen,
                                   int64_t now_us)
{
    struct session_context context = {.now_us = now_us};
    struct session_decision made;

    session_observe(session, &seen, &context, &made);
    for (unsigned i = 0; i < made.n; i++) {
        session_evolve(session, &made.at[i]);
    }
    return made;
}

static void a_second_login_elsewhere_within_five_minutes_ends_it(void **state)
{
    struct session_observation replaced = {.kind = SESSION_SAW_CLOSED,
                                           .close = SESSION_CLOSE_REPLACED};
    struct session_observation login = {.kind = SESSION_SAW_LOGGED_IN};
    int64_t now = session_tester_noon.now_us;

    (void)state;
    for (int late = 0; late <= 1; late++) {
        struct session session = session_tester_given(SESSION_CONNECTED, true);
        struct session_decision made = see(&session, replaced, now);

        assert_string_equal(made.at[0].as.connection_lost.reason, "replaced");
        assert_int_equal(made.effects, SESSION_OPEN_LATER);
        see(&session, login, now + 1000000);
        assert_int_equal(session.phase, SESSION_CONNECTED);
        made = see(&session, replaced, now + (late == 1 ? 300000000 : 299000000));
        if (late == 1) {
            assert_int_equal(session.phase, SESSION_RECONNECTING);
        } else {
            assert_int_equal(session.phase, SESSION_DISCONNECTED);
            assert_string_equal(made.at[0].as.disconnected.reason, "replaced");
            assert_false(session.wants_online);
            assert_true(session.linked);
        }
    }
}

static void an_unlinked_connection_is_tried_five_more_times(void **state)
{
    struct session session = session_tester_given(SESSION_CONNECTING, false);
    struct session_observation closed = {.kind = SESSION_SAW_CLOSED};
    static const int64_t delays[] = {1000, 2000, 4000, 8000, 16000};

    (void)state;
    for (int i = 0; i < SESSION_UNLINKED_TRIES; i++) {
        struct session_decision made = see(&session, closed, session_tester_noon.now_us);

        assert_int_equal(made.at[0].kind, SESSION_EVENT_CONNECTION_LOST);
        assert_int_equal(made.effects, SESSION_OPEN_LATER);
        assert_int_equal(made.delay_ms, delays[i]);
        assert_int_equal(session.phase, SESSION_CONNECTING);
    }
    struct session_decision last = see(&session, closed, session_tester_noon.now_us);

    assert_string_equal(last.at[0].as.disconnected.reason, "connect_failed");
    assert_int_equal(session.phase, SESSION_DISCONNECTED);
    assert_false(session.wants_online);
}

static void delays_double_up_to_thirty_seconds(void **state)
{
    static const int64_t want[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};

    (void)state;
    for (int tries = 0; tries < 8; tries++) {
        assert_int_equal(session_reconnect_delay_ms(tries, 0), want[tries]);
        for (uint32_t random = 0; random < 5000; random += 7) {
            int64_t delay = session_reconnect_delay_ms(tries, random);

            assert_true(delay <= want[tries] && delay >= want[tries] * 4 / 5); /* INV-25 */
        }
    }
    assert_int_equal(session_reconnect_delay_ms(1000000, 0), 30000);
    assert_int_equal(session_reconnect_delay_ms(-1, 0), 1000);
}

static void tries_of_a_reconnection_make_no_event(void **state)
{
    struct session session = session_tester_given(SESSION_RECONNECTING, true);
    struct session_observation closed = {.kind = SESSION_SAW_CLOSED};
    struct session_context context = {.now_us = 1, .tries = 3};
    struct session_decision made;

    (void)state;
    session_observe(&session, &closed, &context, &made);
    assert_int_equal(made.n, 0);
    assert_int_equal(made.effects, SESSION_OPEN_LATER);
    assert_int_equal(made.delay_ms, 8000);
}

static void orders_to_the_shell_follow_the_decision(void **state)
{
    struct session_command logout = session_tester_command(SESSION_COMMAND_LOGOUT, true);
    struct session_command delete = session_tester_command(SESSION_COMMAND_REMOVE_SESSION, true);
    struct session session = session_tester_given(SESSION_CONNECTED, true);
    struct session_decision made;

    (void)state;
    session_decide(&session, &delete, &session_tester_noon, &made);
    assert_int_equal(made.effects, SESSION_CLOSE | SESSION_UNLINK | SESSION_ERASE |
                                       SESSION_DROP_QR | SESSION_FAIL_MESSAGES);
    session_decide(&session, &logout, &session_tester_noon, &made);
    assert_int_equal(made.effects, SESSION_UNLINK);
    session = session_tester_given(SESSION_CREATED, false);
    session_decide(&session, &delete, &session_tester_noon, &made);
    assert_int_equal(made.effects & SESSION_UNLINK, 0);

    struct session_observation opened = {.kind = SESSION_SAW_SOCKET_OPENED};

    session = session_tester_given(SESSION_DISCONNECTED, true);
    session_observe(&session, &opened, &session_tester_noon, &made);
    assert_int_equal(made.effects, SESSION_CLOSE); /* "- (close it)" */
}

static void an_order_to_log_out_survives_a_restart(void **state)
{
    struct session session = session_tester_given(SESSION_CONNECTED, true);
    struct session_observation restarted = {.kind = SESSION_SAW_RESTARTED};
    struct session_decision made;

    (void)state;
    session_tester_fold(&session, session_tester_fact(SESSION_EVENT_LOGOUT_REQUESTED));
    session_observe(&session, &restarted, &session_tester_noon, &made);
    assert_int_equal(made.effects, SESSION_OPEN | SESSION_UNLINK);
}

static void unknown_event_names_change_nothing(void **state)
{
    static const char *unknown[] = {"Nonsense"};
    static const char *both[] = {"Nonsense", "ReadReceipt"};
    struct session session = session_tester_given(SESSION_CONNECTED, true);
    struct session_command command = session_tester_command(SESSION_COMMAND_CONNECT, true);
    struct session_decision made;

    (void)state;
    command.as.connect.subscribe = (struct record_strings){1, unknown};
    session_decide(&session, &command, &session_tester_noon, &made);
    assert_int_equal(made.n, 0);
    command.as.connect.subscribe = (struct record_strings){2, both};
    session_decide(&session, &command, &session_tester_noon, &made);
    assert_int_equal(made.n, 1);
    session_evolve(&session, &made.at[0]);
    assert_int_equal(session.subscribe, UINT32_C(1) << EVENT_NAME_READ_RECEIPT);
    assert_true(event_names_want(session.subscribe, EVENT_NAME_READ_RECEIPT));
    assert_false(event_names_want(session.subscribe, EVENT_NAME_MESSAGE));
    assert_true(event_names_want(UINT32_C(1) << EVENT_NAME_ALL, EVENT_NAME_MESSAGE));
    assert_false(event_names_want(UINT32_C(1) << EVENT_NAME_ALL, EVENT_NAME_READ_RECEIPT));
}

static void a_pairing_records_another_phone_than_the_declared_one(void **state)
{
    struct session session = session_tester_given(SESSION_WAITING_FOR_SCAN, false);
    struct session_observation seen = {
        .kind = SESSION_SAW_PAIRED,
        .paired = {.jid = "62812:1@s.whatsapp.net", .phone = "628123456789"}};
    struct session_decision made;

    (void)state;
    session_observe(&session, &seen, &session_tester_noon, &made);
    assert_null(made.at[0].as.paired.declared_phone);
    assert_false(made.at[0].as.paired.phone_mismatch);
    (void)snprintf(session.declared_phone, sizeof(session.declared_phone), "6281111111111");
    session_observe(&session, &seen, &session_tester_noon, &made);
    assert_string_equal(made.at[0].as.paired.declared_phone, "6281111111111");
    assert_true(made.at[0].as.paired.phone_mismatch);
}

static void the_state_survives_a_row(void **state)
{
    struct session session = session_tester_given(SESSION_CONNECTED, true);
    struct session again = {0};
    struct buf json = {0};
    struct err err = {0};

    (void)state;
    session_tester_fold(&session,
                        (struct session_event){.kind = SESSION_EVENT_RENAMED,
                                               .epoch = 9,
                                               .as.renamed.name = "\"quoted\" \xc3\xbc \xff"});
    session_to_json(&session, &json);
    assert_int_equal(session_from_json(buf_text(&json), json.n, &again, &err), 0);
    assert_memory_equal(&session, &again, sizeof(session));
    assert_int_equal(session_from_json("{}", 2, &again, &err), -ERR_INVALID);
    assert_string_equal(err.text, "phase is none of its words");
    buf_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_observation_of_an_older_owner_is_dropped),
        cmocka_unit_test(a_second_login_elsewhere_within_five_minutes_ends_it),
        cmocka_unit_test(an_unlinked_connection_is_tried_five_more_times),
        cmocka_unit_test(delays_double_up_to_thirty_seconds),
        cmocka_unit_test(tries_of_a_reconnection_make_no_event),
        cmocka_unit_test(orders_to_the_shell_follow_the_decision),
        cmocka_unit_test(an_order_to_log_out_survives_a_restart),
        cmocka_unit_test(unknown_event_names_change_nothing),
        cmocka_unit_test(a_pairing_records_another_phone_than_the_declared_one),
        cmocka_unit_test(the_state_survives_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
