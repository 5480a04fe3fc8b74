/* What each family says of a session in each state, row by row. */
#include <stdio.h>
#include <string.h>

#include "domain/session_view.h"
#include "testkit/testkit.h"

struct row {
    struct session_facts facts;
    const char *want; /* f0 status, quality; connected, logged in; f2 status, active; f3 status,
                         active, authenticated, connection status */
};

#define HELD true
#define GONE false
#define OPEN SESSION_WS_OPEN

/* clang-format off */
static const struct row rows[] = {
    {{SESSION_CREATED, false, GONE, SESSION_WS_NONE}, "disconnected unknown 0 0 disconnected 0 disconnected 0 0 DISCONNECTED"},
    {{SESSION_CONNECTING, false, HELD, SESSION_WS_CONNECTING}, "connecting good 0 0 connecting 0 connecting 1 0 CONNECTING"},
    {{SESSION_CONNECTING, true, HELD, OPEN}, "connecting excellent 1 1 connecting 1 connecting 1 0 CONNECTING"},
    {{SESSION_WAITING_FOR_SCAN, false, HELD, OPEN}, "connecting excellent 1 0 waiting_for_scan 0 connecting 1 0 CONNECTED"},
    {{SESSION_PAIRING, true, HELD, OPEN}, "connecting excellent 1 1 connecting 0 authenticated 1 0 CONNECTED"},
    {{SESSION_PAIRING, true, HELD, SESSION_WS_CLOSED}, "connecting poor 0 1 connecting 0 authenticated 1 0 CONNECTED"},
    {{SESSION_CONNECTED, true, HELD, OPEN}, "connected excellent 1 1 connected 1 connected 1 1 AUTHENTICATED"},
    {{SESSION_CONNECTED, true, HELD, SESSION_WS_CLOSING}, "connected poor 1 1 connected 1 connected 1 1 AUTHENTICATED"},
    {{SESSION_RECONNECTING, true, HELD, SESSION_WS_CLOSED}, "connecting poor 0 1 reconnecting 1 connecting 1 0 CONNECTING"},
    {{SESSION_DISCONNECTED, true, GONE, SESSION_WS_NONE}, "disconnected poor 0 1 disconnected 0 disconnected 0 0 DISCONNECTED"},
    {{SESSION_DISCONNECTED, false, GONE, SESSION_WS_NONE}, "disconnected poor 0 0 disconnected 0 disconnected 0 0 DISCONNECTED"},
    {{SESSION_LOGGED_OUT, false, GONE, SESSION_WS_NONE}, "disconnected poor 0 0 inactive 0 logged_out 0 0 DISCONNECTED"},
    /* the connector died */
    {{SESSION_CONNECTED, true, GONE, SESSION_WS_NONE}, "unknown unknown 0 1 reconnecting 1 connected 0 0 DISCONNECTED"},
    {{SESSION_WAITING_FOR_SCAN, false, GONE, SESSION_WS_NONE}, "unknown unknown 0 0 reconnecting 0 connecting 0 0 DISCONNECTED"},
};
/* clang-format on */

static void every_row_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct session_view v = session_view_of(&rows[i].facts);
        char got[200];

        (void)snprintf(got, sizeof(got), "%s %s %d %d %s %d %s %d %d %s", v.f0_status, v.f0_quality,
                       v.connected, v.logged_in, v.f2_status, v.f2_is_active, v.f3_status,
                       v.f3_is_active, v.f3_is_authenticated, v.f3_connection_status);
        assert_true(v.exists);
        assert_string_equal(got, rows[i].want);
        if (v.f3_is_authenticated) { /* INV-18 */
            assert_true(v.f3_is_active);
            assert_string_equal(v.f3_connection_status, "AUTHENTICATED");
        }
    }
}

static void a_session_that_is_gone_is_unknown(void **state)
{
    static const enum session_phase gone[] = {SESSION_NONE, SESSION_DELETED};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct session_facts facts = {.phase = gone[i]};
        struct session_view view = session_view_of(&facts);

        assert_false(view.exists);
        assert_string_equal(view.f0_status, "unknown");
        assert_string_equal(view.f0_quality, "unknown");
    }
}

static void names_of_the_runtime_key_are_read(void **state)
{
    enum session_ws ws = SESSION_WS_NONE;
    enum session_phase phase = SESSION_NONE;

    (void)state;
    assert_true(session_ws_parse("CLOSING", &ws));
    assert_int_equal(ws, SESSION_WS_CLOSING);
    assert_false(session_ws_parse("open", &ws));
    for (int i = 0; i < SESSION_PHASE_COUNT; i++) {
        assert_true(session_phase_parse(session_phase_name((enum session_phase)i), &phase));
        assert_int_equal(phase, i);
    }
    assert_false(session_phase_parse("connected", &phase));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table),
        cmocka_unit_test(a_session_that_is_gone_is_unknown),
        cmocka_unit_test(names_of_the_runtime_key_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
