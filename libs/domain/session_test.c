/* The transition table of a session (domain.md 3.4, with design.md's additions), cell by cell.
 *
 * A cell says "NEXT: Event, Event" or "= Event" where the state stays, "-" for nothing, "x VERDICT"
 * for a refusal. Events are named without their prefix "Session". */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "domain/event_names.h"
#include "domain/session.h"
#include "testkit/testkit.h"

enum { CELL_MAX = 200 };

static const char *const everything[] = {"All"};
static const struct session_context at_noon = {.now_us = INT64_C(1757246400000000), .tries = 0};

static struct session_event fact(enum session_event_kind kind)
{
    return (struct session_event){.kind = kind,
                                  .aggregate_id = "5e551000-0000-5000-8000-000000000001",
                                  .session_key = "sales",
                                  .user_id = 7,
                                  .occurred_at = at_noon.now_us - 3600000000};
}

static void fold(struct session *session, struct session_event event)
{
    event.sequence = session->sequence + 1;
    session_evolve(session, &event);
}

static void fold_created(struct session *session)
{
    struct session_event created = fact(SESSION_EVENT_CREATED);
    const char *names[] = {everything[0]};

    created.as.created = (struct session_created){
        .id = 1, .name = "Sales", .webhook_url = "", .subscribe = {1, names}};
    fold(session, created);
}

static void fold_login(struct session *session)
{
    struct session_event paired = fact(SESSION_EVENT_PAIRED);
    struct session_event login = fact(SESSION_EVENT_LOGGED_IN);

    paired.as.paired = (struct session_paired){
        .jid = "6281233784490:4@s.whatsapp.net", .lid = "9001:4@lid", .phone = "6281233784490"};
    fold(session, fact(SESSION_EVENT_QR_ISSUED));
    fold(session, paired);
    fold(session, login);
}

/* A session that came into @phase the usual way. */
static struct session given(enum session_phase phase, bool linked)
{
    struct session session = {0};

    if (phase == SESSION_NONE) {
        return session;
    }
    fold_created(&session);
    if (phase == SESSION_CREATED) {
        return session;
    }
    fold(&session, fact(SESSION_EVENT_CONNECT_REQUESTED));
    if (linked || phase == SESSION_CONNECTED || phase == SESSION_RECONNECTING) {
        fold_login(&session);
    }
    switch (phase) {
    case SESSION_CONNECTING:
        if (linked) {
            fold(&session, fact(SESSION_EVENT_DISCONNECTED));
            fold(&session, fact(SESSION_EVENT_CONNECT_REQUESTED));
        }
        break;
    case SESSION_WAITING_FOR_SCAN:
        fold(&session, fact(SESSION_EVENT_QR_ISSUED));
        break;
    case SESSION_PAIRING:
        session = given(SESSION_WAITING_FOR_SCAN, false);
        fold(&session, fact(SESSION_EVENT_PAIRED));
        break;
    case SESSION_RECONNECTING:
        fold(&session, fact(SESSION_EVENT_CONNECTION_LOST));
        break;
    case SESSION_DISCONNECTED:
        fold(&session, fact(SESSION_EVENT_DISCONNECTED));
        break;
    case SESSION_LOGGED_OUT:
        fold(&session, fact(SESSION_EVENT_LOGGED_OUT));
        break;
    case SESSION_DELETED:
        fold(&session, fact(SESSION_EVENT_DELETED));
        break;
    case SESSION_NONE:
    case SESSION_CREATED:
    case SESSION_CONNECTED:
    case SESSION_PHASE_COUNT:
        break;
    }
    assert_int_equal(session.phase, phase);
    return session;
}

/* What happened, written as a cell; folds the events into @session. */
static const char *outcome(struct session *session, const struct session_decision *made,
                           char out[CELL_MAX])
{
    enum session_phase before = session->phase;
    struct buf text = {0};

    for (unsigned i = 0; i < made->n; i++) {
        assert_int_equal(made->at[i].sequence, session->sequence + 1);
        session_evolve(session, &made->at[i]);
        buf_addf(&text, "%s%s", i > 0 ? ", " : "",
                 record_session_event_type.cases[made->at[i].kind - 1].event_type + 7);
    }
    if (made->verdict != VERDICT_OK) {
        assert_int_equal(made->n, 0);
        (void)snprintf(out, CELL_MAX, "x %s", verdict_text(made->verdict));
    } else if (made->n == 0) {
        (void)snprintf(out, CELL_MAX, "-");
    } else if (session->phase == before) {
        (void)snprintf(out, CELL_MAX, "= %s", buf_text(&text));
    } else {
        (void)snprintf(out, CELL_MAX, "%s: %s", session_phase_name(session->phase),
                       buf_text(&text));
    }
    buf_done(&text);
    return out;
}

/* The columns of the table. */
#define COLUMNS 9
static const enum session_phase columns[COLUMNS] = {
    SESSION_CREATED,      SESSION_CONNECTING, SESSION_WAITING_FOR_SCAN,
    SESSION_PAIRING,      SESSION_CONNECTED,  SESSION_RECONNECTING,
    SESSION_DISCONNECTED, SESSION_LOGGED_OUT, SESSION_DELETED};

struct command_row {
    const char *name;
    enum session_command_kind kind;
    bool linked; /* CONNECTING and DISCONNECTED of a linked account */
    const char *cells[COLUMNS];
};

#define EXISTS     "x exists already"
#define NOT_FOUND  "x not found"
#define NO_SESSION "x no session"

/* clang-format off */
static const struct command_row command_rows[] = {
    /*                                  CREATED, CONNECTING, WAITING_FOR_SCAN, PAIRING, CONNECTED, RECONNECTING, DISCONNECTED, LOGGED_OUT, DELETED */
    {"CreateSession", SESSION_COMMAND_CREATE, false,
     {EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"ConnectSession", SESSION_COMMAND_CONNECT, false,
     {"CONNECTING: ConnectRequested", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet",
      "CONNECTING: ConnectRequested", "CONNECTING: ConnectRequested", "CONNECTING: ConnectRequested", NOT_FOUND}},
    {"DisconnectSession", SESSION_COMMAND_DISCONNECT, false,
     {"-", "DISCONNECTED: DisconnectRequested", "DISCONNECTED: DisconnectRequested", "DISCONNECTED: DisconnectRequested",
      "DISCONNECTED: DisconnectRequested", "DISCONNECTED: DisconnectRequested", "-", "-", NOT_FOUND}},
    {"LogoutSession", SESSION_COMMAND_LOGOUT, false,
     {NO_SESSION, NO_SESSION, NO_SESSION, "= LogoutRequested", "= LogoutRequested", "= LogoutRequested", NO_SESSION,
      NO_SESSION, NOT_FOUND}},
    {"LogoutSession, linked", SESSION_COMMAND_LOGOUT, true,
     {NO_SESSION, "= LogoutRequested", NO_SESSION, "= LogoutRequested", "= LogoutRequested", "= LogoutRequested",
      "= LogoutRequested", NO_SESSION, NOT_FOUND}},
    {"RemoveAccount", SESSION_COMMAND_REMOVE, false,
     {"LOGGED_OUT: LoggedOut", "LOGGED_OUT: LoggedOut", "LOGGED_OUT: LoggedOut", "LOGGED_OUT: LoggedOut",
      "LOGGED_OUT: LoggedOut", "LOGGED_OUT: LoggedOut", "LOGGED_OUT: LoggedOut", "-", NOT_FOUND}},
    {"DeleteSession", SESSION_COMMAND_REMOVE_SESSION, false,
     {"DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted",
      "DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted", NOT_FOUND}},
    {"RenameSession", SESSION_COMMAND_RENAME_TO, false,
     {"= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", NOT_FOUND}},
    {"SetWebhook", SESSION_COMMAND_SET_WEBHOOK, false,
     {"= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet",
      "= WebhookSet", NOT_FOUND}},
    /* the subscription is all that can be configured so far */
    {"ConfigureSession", SESSION_COMMAND_CONFIGURE, false,
     {"= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet",
      "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", NOT_FOUND}},
};
/* clang-format on */

static struct session_command command_of(enum session_command_kind kind)
{
    static const char *names[] = {"Message", "ReadReceipt"};
    struct session_command command = {.kind = kind,
                                      .command_id = "c",
                                      .aggregate_id = "5e551000-0000-5000-8000-000000000001",
                                      .user_id = 7};

    switch (kind) {
    case SESSION_COMMAND_CREATE:
        command.as.create = (struct create_session){.session_key = "sales", .webhook_url = ""};
        break;
    case SESSION_COMMAND_CONNECT:
        command.as.connect.subscribe = (struct record_strings){2, names};
        break;
    case SESSION_COMMAND_CONFIGURE:
        command.as.configure.subscribe = (struct record_strings){2, names};
        break;
    case SESSION_COMMAND_DISCONNECT:
        command.as.disconnect.origin = "f4";
        break;
    case SESSION_COMMAND_RENAME_TO:
        command.as.rename_to.name = "Support";
        break;
    case SESSION_COMMAND_SET_WEBHOOK:
        command.as.set_webhook.webhook_url = "https://example.test/hook";
        break;
    case SESSION_COMMAND_NONE:
    case SESSION_COMMAND_LOGOUT:
    case SESSION_COMMAND_REMOVE:
    case SESSION_COMMAND_REMOVE_SESSION:
        break;
    }
    return command;
}

static void check_command(const struct command_row *row, int column)
{
    enum session_phase phase = columns[column];
    bool linked = row->linked && (phase == SESSION_CONNECTING || phase == SESSION_DISCONNECTED);
    struct session session = given(phase, linked);
    struct session_command command = command_of(row->kind);
    struct session_decision made;
    char got[CELL_MAX];

    session_decide(&session, &command, &at_noon, &made);
    if (strcmp(outcome(&session, &made, got), row->cells[column]) != 0) {
        fail_msg("%s in %s: %s, want %s", row->name, session_phase_name(phase), got,
                 row->cells[column]);
    }
    session_decide(&session, &command, &at_noon, &made);
    assert_int_equal(made.n, 0); /* once more adds nothing */
}

static void every_command_in_every_state(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof(command_rows) / sizeof(command_rows[0]); row++) {
        for (int column = 0; column < COLUMNS; column++) {
            check_command(&command_rows[row], column);
        }
    }
}

static void a_session_that_never_existed_can_only_be_created(void **state)
{
    (void)state;
    for (int kind = SESSION_COMMAND_CREATE; kind <= SESSION_COMMAND_CONFIGURE; kind++) {
        struct session session = {0};
        struct session_command command = command_of((enum session_command_kind)kind);
        struct session_decision made;
        char got[CELL_MAX];

        session_decide(&session, &command, &at_noon, &made);
        assert_string_equal(outcome(&session, &made, got),
                            kind == SESSION_COMMAND_CREATE ? "CREATED: Created" : NOT_FOUND);
    }
}

struct seen_row {
    const char *name;
    enum session_observation_kind kind;
    enum session_close close;
    bool linked; /* CONNECTING of a linked account; DISCONNECTED too */
    bool phone_taken;
    bool asked; /* an order of ours waits: disconnect in DISCONNECTED, logout elsewhere */
    const char *cells[COLUMNS];
};

#define LOST     "RECONNECTING: ConnectionLost, ReconnectScheduled"
#define REMOTE   "LOGGED_OUT: LoggedOut"
#define GIVEN_UP "DISCONNECTED: Disconnected"

/* clang-format off */
static const struct seen_row seen_rows[] = {
    /* CREATED, CONNECTING, WAITING_FOR_SCAN, PAIRING, CONNECTED, RECONNECTING, DISCONNECTED, LOGGED_OUT, DELETED */
    {"disconnect confirmed", SESSION_SAW_DISCONNECT_CONFIRMED, 0, false, false, true,
     {"-", "-", "-", "-", "-", "-", "= Disconnected", "-", "-"}},
    {"disconnect failed", SESSION_SAW_DISCONNECT_FAILED, 0, false, false, true,
     {"-", "-", "-", "-", "-", "-", "= DisconnectFailed", "-", "-"}},
    {"LogoutConfirmed", SESSION_SAW_LOGOUT_CONFIRMED, 0, true, false, true,
     {"-", REMOTE, "-", REMOTE, REMOTE, REMOTE, REMOTE, "-", "-"}},
    {"LogoutRefused", SESSION_SAW_LOGOUT_FAILED, 0, true, false, true,
     {"-", "= LogoutFailed", "-", "= LogoutFailed", "= LogoutFailed", "= LogoutFailed", "= LogoutFailed", "-", "-"}},
    /* tries of a reconnection are metrics, so no SocketOpened in RECONNECTING */
    {"SocketOpened", SESSION_SAW_SOCKET_OPENED, 0, false, false, false,
     {"-", "= SocketOpened", "-", "= SocketOpened", "-", "-", "-", "-", "-"}},
    {"QrIssued", SESSION_SAW_QR_ISSUED, 0, false, false, false,
     {"-", "WAITING_FOR_SCAN: QrIssued", "= QrIssued", "-", "-", "-", "-", "-", "-"}},
    {"QrIssued, linked", SESSION_SAW_QR_ISSUED, 0, true, false, false,
     {"-", "-", "= QrIssued", "-", "-", "-", "-", "-", "-"}},
    {"QrUsedUp", SESSION_SAW_QR_USED_UP, 0, false, false, false,
     {"-", "-", GIVEN_UP, "-", "-", "-", "-", "-", "-"}},
    {"PairCodeIssued", SESSION_SAW_PAIR_CODE_ISSUED, 0, false, false, false,
     {"-", "-", "= PairCodeIssued", "-", "-", "-", "-", "-", "-"}},
    {"PairSucceeded, phone free", SESSION_SAW_PAIRED, 0, false, false, false,
     {"-", "-", "PAIRING: Paired", "-", "-", "-", "-", "-", "-"}},
    {"PairSucceeded, phone taken", SESSION_SAW_PAIRED, 0, false, true, false,
     {"-", "-", "LOGGED_OUT: PairRejected, LoggedOut", "-", "-", "-", "-", "-", "-"}},
    {"LoginSucceeded", SESSION_SAW_LOGGED_IN, 0, false, false, false,
     {"-", "CONNECTED: LoggedIn", "-", "CONNECTED: LoggedIn", "-", "CONNECTED: LoggedIn", "-", "-", "-"}},
    {"Closed, not 401", SESSION_SAW_CLOSED, SESSION_CLOSE_LOST, false, false, false,
     {"-", "= ConnectionLost", "CONNECTING: ConnectionLost", LOST, LOST, "-", "-", "-", "-"}},
    {"Closed, not 401, linked", SESSION_SAW_CLOSED, SESSION_CLOSE_LOST, true, false, false,
     {"-", LOST, "CONNECTING: ConnectionLost", LOST, LOST, "-", "-", "-", "-"}},
    {"Closed, 401", SESSION_SAW_CLOSED, SESSION_CLOSE_LOGGED_OUT, false, false, false,
     {"-", REMOTE, REMOTE, REMOTE, REMOTE, REMOTE, REMOTE, "-", "-"}},
    {"Closed, banned", SESSION_SAW_CLOSED, SESSION_CLOSE_BANNED, false, false, false,
     {"-", GIVEN_UP, GIVEN_UP, GIVEN_UP, GIVEN_UP, GIVEN_UP, "-", "-", "-"}},
    {"Closed, replaced, first time", SESSION_SAW_CLOSED, SESSION_CLOSE_REPLACED, true, false, false,
     {"-", LOST, "CONNECTING: ConnectionLost", LOST, LOST, "= ConnectionLost", "-", "-", "-"}},
    {"IdleTimeout", SESSION_SAW_IDLE, 0, false, false, false,
     {"-", GIVEN_UP, GIVEN_UP, "-", "-", "-", "-", "-", "-"}},
    {"IdleTimeout, linked", SESSION_SAW_IDLE, 0, true, false, false,
     {"-", "-", GIVEN_UP, "-", "-", "-", "-", "-", "-"}},
    {"ConnectorRestarted", SESSION_SAW_RESTARTED, 0, false, false, false,
     {"-", GIVEN_UP, GIVEN_UP, "RECONNECTING: ConnectionLost", "RECONNECTING: ConnectionLost", "-", "-", "-", "-"}},
    {"ConnectorRestarted, linked", SESSION_SAW_RESTARTED, 0, true, false, false,
     {"-", "RECONNECTING: ConnectionLost", GIVEN_UP, "RECONNECTING: ConnectionLost", "RECONNECTING: ConnectionLost",
      "-", "-", "-", "-"}},
    {"profile", SESSION_SAW_PROFILE, 0, true, false, false,
     {"-", "= ProfileUpdated", "-", "= ProfileUpdated", "= ProfileUpdated", "= ProfileUpdated", "= ProfileUpdated",
      "-", "-"}},
};
/* clang-format on */

static struct session_observation seen_of(const struct seen_row *row)
{
    return (struct session_observation){
        .kind = row->kind,
        .close = row->close,
        .connector_id = "connector-1",
        .detail = "no answer",
        .qr = {.ordinal = 1, .expires_at = 1},
        .code = {.phone = "6281233784490", .expires_at = 1},
        .paired = {.jid = "6281233784490:4@s.whatsapp.net", .phone = "6281233784490"},
        .phone_taken = row->phone_taken,
        .login = {.jid = "6281233784490:4@s.whatsapp.net"},
        .profile = {.push_name = "Budi"},
    };
}

static struct session given_for(const struct seen_row *row, enum session_phase phase)
{
    bool either = phase == SESSION_CONNECTING || phase == SESSION_DISCONNECTED;
    struct session session = given(phase, row->linked && either);
    bool disconnect =
        row->kind == SESSION_SAW_DISCONNECT_CONFIRMED || row->kind == SESSION_SAW_DISCONNECT_FAILED;

    if (row->asked && disconnect && phase == SESSION_DISCONNECTED) {
        fold(&session, fact(SESSION_EVENT_DISCONNECT_REQUESTED));
    } else if (row->asked && !disconnect && session.linked) {
        fold(&session, fact(SESSION_EVENT_LOGOUT_REQUESTED));
    }
    return session;
}

static void check_seen(const struct seen_row *row, int column)
{
    struct session session = given_for(row, columns[column]);
    struct session_observation seen = seen_of(row);
    struct session_decision made;
    char got[CELL_MAX];

    session_observe(&session, &seen, &at_noon, &made);
    if (strcmp(outcome(&session, &made, got), row->cells[column]) != 0) {
        fail_msg("%s in %s: %s, want %s", row->name, session_phase_name(columns[column]), got,
                 row->cells[column]);
    }
}

static void every_observation_in_every_state(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof(seen_rows) / sizeof(seen_rows[0]); row++) {
        for (int column = 0; column < COLUMNS; column++) {
            check_seen(&seen_rows[row], column);
        }
    }
}

static void an_observation_of_an_older_owner_is_dropped(void **state)
{
    struct session session = given(SESSION_CONNECTED, true);
    struct session_observation seen = {.kind = SESSION_SAW_CLOSED, .epoch = 3};
    struct session_decision made;

    (void)state;
    session.epoch = 4;
    session_observe(&session, &seen, &at_noon, &made);
    assert_int_equal(made.n, 0);
    assert_int_equal(made.effects, 0);
    seen.epoch = 4;
    session_observe(&session, &seen, &at_noon, &made);
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
    int64_t now = at_noon.now_us;

    (void)state;
    for (int late = 0; late <= 1; late++) {
        struct session session = given(SESSION_CONNECTED, true);
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
    struct session session = given(SESSION_CONNECTING, false);
    struct session_observation closed = {.kind = SESSION_SAW_CLOSED};
    static const int64_t delays[] = {1000, 2000, 4000, 8000, 16000};

    (void)state;
    for (int i = 0; i < SESSION_UNLINKED_TRIES; i++) {
        struct session_decision made = see(&session, closed, at_noon.now_us);

        assert_int_equal(made.at[0].kind, SESSION_EVENT_CONNECTION_LOST);
        assert_int_equal(made.effects, SESSION_OPEN_LATER);
        assert_int_equal(made.delay_ms, delays[i]);
        assert_int_equal(session.phase, SESSION_CONNECTING);
    }
    struct session_decision last = see(&session, closed, at_noon.now_us);

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
    struct session session = given(SESSION_RECONNECTING, true);
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
    struct session_command logout = command_of(SESSION_COMMAND_LOGOUT);
    struct session_command delete = command_of(SESSION_COMMAND_REMOVE_SESSION);
    struct session session = given(SESSION_CONNECTED, true);
    struct session_decision made;

    (void)state;
    session_decide(&session, &delete, &at_noon, &made);
    assert_int_equal(made.effects, SESSION_CLOSE | SESSION_UNLINK | SESSION_ERASE |
                                       SESSION_DROP_QR | SESSION_FAIL_MESSAGES);
    session_decide(&session, &logout, &at_noon, &made);
    assert_int_equal(made.effects, SESSION_UNLINK);
    session = given(SESSION_CREATED, false);
    session_decide(&session, &delete, &at_noon, &made);
    assert_int_equal(made.effects & SESSION_UNLINK, 0);

    struct session_observation opened = {.kind = SESSION_SAW_SOCKET_OPENED};

    session = given(SESSION_DISCONNECTED, true);
    session_observe(&session, &opened, &at_noon, &made);
    assert_int_equal(made.effects, SESSION_CLOSE); /* "- (close it)" */
}

static void an_order_to_log_out_survives_a_restart(void **state)
{
    struct session session = given(SESSION_CONNECTED, true);
    struct session_observation restarted = {.kind = SESSION_SAW_RESTARTED};
    struct session_decision made;

    (void)state;
    fold(&session, fact(SESSION_EVENT_LOGOUT_REQUESTED));
    session_observe(&session, &restarted, &at_noon, &made);
    assert_int_equal(made.effects, SESSION_OPEN | SESSION_UNLINK);
}

static void unknown_event_names_change_nothing(void **state)
{
    static const char *unknown[] = {"Nonsense"};
    static const char *both[] = {"Nonsense", "ReadReceipt"};
    struct session session = given(SESSION_CONNECTED, true);
    struct session_command command = command_of(SESSION_COMMAND_CONNECT);
    struct session_decision made;

    (void)state;
    command.as.connect.subscribe = (struct record_strings){1, unknown};
    session_decide(&session, &command, &at_noon, &made);
    assert_int_equal(made.n, 0);
    command.as.connect.subscribe = (struct record_strings){2, both};
    session_decide(&session, &command, &at_noon, &made);
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
    struct session session = given(SESSION_WAITING_FOR_SCAN, false);
    struct session_observation seen = {
        .kind = SESSION_SAW_PAIRED,
        .paired = {.jid = "62812:1@s.whatsapp.net", .phone = "628123456789"}};
    struct session_decision made;

    (void)state;
    session_observe(&session, &seen, &at_noon, &made);
    assert_null(made.at[0].as.paired.declared_phone);
    assert_false(made.at[0].as.paired.phone_mismatch);
    (void)snprintf(session.declared_phone, sizeof(session.declared_phone), "6281111111111");
    session_observe(&session, &seen, &at_noon, &made);
    assert_string_equal(made.at[0].as.paired.declared_phone, "6281111111111");
    assert_true(made.at[0].as.paired.phone_mismatch);
}

static void the_state_survives_a_row(void **state)
{
    struct session session = given(SESSION_CONNECTED, true);
    struct session again = {0};
    struct buf json = {0};
    struct err err = {0};

    (void)state;
    fold(&session, (struct session_event){.kind = SESSION_EVENT_RENAMED,
                                          .epoch = 9,
                                          .as.renamed.name = "\"quoted\" \xc3\xbc \xff"});
    session_to_json(&session, &json);
    assert_int_equal(session_from_json(buf_text(&json), json.n, &again, &err), 0);
    assert_memory_equal(&session, &again, sizeof(session));
    assert_int_equal(session_from_json("{}", 2, &again, &err), -ERR_INVALID);
    assert_string_equal(err.text, "phase is none of its words");
    buf_done(&json);
}

/* Answers of 3.4 that make no event. */
static void every_question_in_every_state(void **state)
{
    static const struct {
        enum session_question question;
        const char *cells[COLUMNS];
    } rows[] = {
        {SESSION_ASKS_PAIR_PHONE,
         {"x no session", "wait, x not connected", "now", "x already paired", "x already paired",
          "x already paired", "x no session", "x no session", "x not found"}},
        {SESSION_ASKS_GET_QR_F1,
         {"x no session", "wait, x not connected", "now", "x already logged in",
          "x already logged in", "x already logged in", "x no session", "x no session",
          "x not found"}},
        {SESSION_ASKS_GET_QR_F2,
         {"connect", "wait, x not connected", "now", "empty", "empty", "empty", "connect",
          "connect", "x not found"}},
        {SESSION_ASKS_GET_QR_F3,
         {"x not available", "wait, x not available", "now", "empty", "empty", "empty",
          "x not available", "x not available", "x not found"}},
        {SESSION_ASKS_CHECK_NUMBER,
         {"x session is not logged in", "x session is not logged in", "x session is not logged in",
          "x session is not logged in", "now", "x session is not logged in",
          "x session is not logged in", "x session is not logged in", "x not found"}},
        {SESSION_ASKS_LIST_GROUPS,
         {"x session is not logged in", "x session is not logged in", "x session is not logged in",
          "x session is not logged in", "now", "x session is not logged in",
          "x session is not logged in", "x session is not logged in", "x not found"}},
        {SESSION_ASKS_SEND,
         {"x session is not logged in", "x session is not logged in", "x session is not logged in",
          "x session is not logged in", "now", "x session is not logged in",
          "x session is not logged in", "x session is not logged in", "x not found"}},
    };
    static const char *const words[] = {[SESSION_ANSWER_REFUSE] = "",
                                        [SESSION_ANSWER_NOW] = "now",
                                        [SESSION_ANSWER_EMPTY] = "empty",
                                        [SESSION_ANSWER_WAIT] = "wait, ",
                                        [SESSION_ANSWER_CONNECT] = "connect"};

    (void)state;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        for (int column = 0; column < COLUMNS; column++) {
            enum verdict verdict = VERDICT_OK;
            enum session_answer answer = session_ask(columns[column], rows[row].question, &verdict);
            char got[CELL_MAX];

            (void)snprintf(got, sizeof(got), "%s%s%s", words[answer],
                           verdict != VERDICT_OK ? "x " : "", verdict_text(verdict));
            assert_string_equal(got, rows[row].cells[column]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_in_every_state),
        cmocka_unit_test(a_session_that_never_existed_can_only_be_created),
        cmocka_unit_test(every_observation_in_every_state),
        cmocka_unit_test(every_question_in_every_state),
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
