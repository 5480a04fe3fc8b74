/* The transition table of a session, cell by cell: given the state of the column, when the row
 * comes, then what the cell says. A command, observation, question or state without a row or cell
 * fails.
 *
 * A cell says "NEXT: Event, Event" or "= Event" where the state stays, "-" where nothing happened,
 * with what the shell is told all the same, "x VERDICT" for a refusal. Events are named without
 * their prefix "Session". */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "domain/session_tester.h"
#include "testkit/testkit.h"

enum { CELL_MAX = 200 };

/* Where no event says it: what the shell is to do. */
static void nothing_but_orders(const struct session_decision *made, char out[CELL_MAX])
{
    static const char *const orders[] = {"open",  "open later", "close",        "unlink",
                                         "erase", "drop QR",    "fail messages"};
    struct buf text = {0};

    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if ((made->effects & 1U << i) != 0) {
            buf_addf(&text, "%s%s", text.n > 0 ? ", " : " (", orders[i]);
        }
    }
    (void)snprintf(out, CELL_MAX, "-%s%s", buf_text(&text), text.n > 0 ? ")" : "");
    buf_done(&text);
}

/* Why, where the table says it. */
static const char *reason_of(const struct session_event *event)
{
    switch (event->kind) {
    case SESSION_EVENT_LOGGED_OUT:
        return event->as.logged_out.reason;
    case SESSION_EVENT_DISCONNECTED:
        return event->as.disconnected.reason;
    case SESSION_EVENT_CONNECTION_LOST:
        return strcmp(event->as.connection_lost.reason, "closed") == 0
                   ? NULL
                   : event->as.connection_lost.reason;
    default:
        return NULL;
    }
}

/* Folds the events into @session. */
static void add_events(struct session *session, const struct session_decision *made,
                       struct buf *text)
{
    for (unsigned i = 0; i < made->n; i++) {
        const char *reason = reason_of(&made->at[i]);

        assert_int_equal(made->at[i].sequence, session->sequence + 1);
        session_evolve(session, &made->at[i]);
        buf_addf(text, "%s%s", i > 0 ? ", " : "",
                 record_session_event_type.cases[made->at[i].kind - 1].event_type + 7);
        if (reason != NULL) {
            buf_addf(text, "(%s)", reason);
        }
    }
}

/* What happened, written as a cell; folds the events into @session. */
static const char *outcome(struct session *session, const struct session_decision *made,
                           char out[CELL_MAX])
{
    enum session_phase before = session->phase;
    struct buf text = {0};

    add_events(session, made, &text);
    if (made->verdict != VERDICT_OK) {
        assert_int_equal(made->n, 0);
        (void)snprintf(out, CELL_MAX, "x %s", verdict_text(made->verdict));
    } else if (made->n == 0) {
        nothing_but_orders(made, out);
    } else if (session->phase == before) {
        (void)snprintf(out, CELL_MAX, "= %s", buf_text(&text));
    } else {
        (void)snprintf(out, CELL_MAX, "%s: %s", session_phase_name(session->phase),
                       buf_text(&text));
    }
    buf_done(&text);
    return out;
}

/* The columns of the table are the phases; a phase without a cell fails. */
enum { COLUMNS = SESSION_PHASE_COUNT };

static const char *cell_at(const char *row, const char *const cells[COLUMNS], int column)
{
    if (cells[column] == NULL) {
        fail_msg("%s has no cell for %s", row, session_phase_name((enum session_phase)column));
    }
    return cells[column];
}

static void check_cell(const char *row, const char *const cells[COLUMNS], int column,
                       const char *got)
{
    if (strcmp(got, cell_at(row, cells, column)) != 0) {
        fail_msg("%s in %s: %s, want %s", row, session_phase_name((enum session_phase)column), got,
                 cells[column]);
    }
}

struct command_row {
    const char *name;
    enum session_command_kind kind;
    bool linked;    /* CONNECTING and DISCONNECTED of a linked account */
    bool with_news; /* it says something new, where it may say nothing new */
    const char *cells[COLUMNS];
};

#define REMOVED    "LOGGED_OUT: LoggedOut(removed)"
#define EXISTS     "x exists already"
#define NOT_FOUND  "x not found"
#define NO_SESSION "x no session"

/* clang-format off */
static const struct command_row command_rows[] = {
    /* NONE, CREATED, CONNECTING, WAITING_FOR_SCAN, PAIRING, CONNECTED, RECONNECTING, DISCONNECTED, LOGGED_OUT, DELETED */
    {"CreateSession", SESSION_COMMAND_CREATE, false, true,
     {"CREATED: Created", EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"ConnectSession", SESSION_COMMAND_CONNECT, false, true,
     {NOT_FOUND, "CONNECTING: ConnectRequested", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet",
      "CONNECTING: ConnectRequested", "CONNECTING: ConnectRequested", "CONNECTING: ConnectRequested", NOT_FOUND}},
    {"ConnectSession, nothing new", SESSION_COMMAND_CONNECT, false, false,
     {NOT_FOUND, "CONNECTING: ConnectRequested", "-", "-", "-", "-", "CONNECTING: ConnectRequested",
      "CONNECTING: ConnectRequested", "CONNECTING: ConnectRequested", NOT_FOUND}},
    {"DisconnectSession", SESSION_COMMAND_DISCONNECT, false, true,
     {NOT_FOUND, "-", "DISCONNECTED: DisconnectRequested", "DISCONNECTED: DisconnectRequested", "DISCONNECTED: DisconnectRequested",
      "DISCONNECTED: DisconnectRequested", "DISCONNECTED: DisconnectRequested", "-", "-", NOT_FOUND}},
    {"LogoutSession", SESSION_COMMAND_LOGOUT, false, true,
     {NOT_FOUND, NO_SESSION, NO_SESSION, NO_SESSION, "= LogoutRequested", "= LogoutRequested", "= LogoutRequested", NO_SESSION,
      NO_SESSION, NOT_FOUND}},
    {"LogoutSession, linked", SESSION_COMMAND_LOGOUT, true, true,
     {NOT_FOUND, NO_SESSION, "= LogoutRequested", NO_SESSION, "= LogoutRequested", "= LogoutRequested", "= LogoutRequested",
      "= LogoutRequested", NO_SESSION, NOT_FOUND}},
    {"RemoveAccount", SESSION_COMMAND_REMOVE, false, true,
     {NOT_FOUND, REMOVED, REMOVED, REMOVED, REMOVED,
      REMOVED, REMOVED, REMOVED, "-", NOT_FOUND}},
    {"DeleteSession", SESSION_COMMAND_REMOVE_SESSION, false, true,
     {NOT_FOUND, "DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted",
      "DELETED: Deleted", "DELETED: Deleted", "DELETED: Deleted", NOT_FOUND}},
    {"RenameSession", SESSION_COMMAND_RENAME_TO, false, true,
     {NOT_FOUND, "= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", "= Renamed", NOT_FOUND}},
    {"RenameSession, nothing new", SESSION_COMMAND_RENAME_TO, false, false,
     {NOT_FOUND, "-", "-", "-", "-", "-", "-", "-", "-", NOT_FOUND}},
    {"SetWebhook", SESSION_COMMAND_SET_WEBHOOK, false, true,
     {NOT_FOUND, "= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet", "= WebhookSet",
      "= WebhookSet", NOT_FOUND}},
    {"SetWebhook, nothing new", SESSION_COMMAND_SET_WEBHOOK, false, false,
     {NOT_FOUND, "-", "-", "-", "-", "-", "-", "-", "-", NOT_FOUND}},
    /* the subscription is all that can be configured so far */
    {"ConfigureSession", SESSION_COMMAND_CONFIGURE, false, true,
     {NOT_FOUND, "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet",
      "= SubscriptionSet", "= SubscriptionSet", "= SubscriptionSet", NOT_FOUND}},
    {"ConfigureSession, nothing new", SESSION_COMMAND_CONFIGURE, false, false,
     {NOT_FOUND, "-", "-", "-", "-", "-", "-", "-", "-", NOT_FOUND}},
};
/* clang-format on */

static void check_command(const struct command_row *row, int column)
{
    enum session_phase phase = (enum session_phase)column;
    bool linked = row->linked && (phase == SESSION_CONNECTING || phase == SESSION_DISCONNECTED);
    struct session session = session_tester_given(phase, linked);
    struct session_command command = session_tester_command(row->kind, row->with_news);
    struct session_decision made;
    char got[CELL_MAX];

    session_decide(&session, &command, &session_tester_noon, &made);
    check_cell(row->name, row->cells, column, outcome(&session, &made, got));
    session_decide(&session, &command, &session_tester_noon, &made);
    assert_int_equal(made.n, 0); /* once more adds nothing */
}

static void every_command_in_every_state(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (size_t row = 0; row < sizeof(command_rows) / sizeof(command_rows[0]); row++) {
        seen |= 1U << command_rows[row].kind;
        for (int column = 0; column < COLUMNS; column++) {
            check_command(&command_rows[row], column);
        }
    }
    for (size_t i = 0; i < record_session_command_type.cases_n; i++) {
        if ((seen & 1U << (i + 1)) == 0) {
            fail_msg("%s has no row", record_session_command_type.cases[i].event_type);
        }
    }
}

enum given {
    LINKED = 1 << 0,   /* CONNECTING and DISCONNECTED of a linked account */
    TAKEN = 1 << 1,    /* the phone is another session's */
    ASKED = 1 << 2,    /* an order of ours waits: disconnect in DISCONNECTED, logout elsewhere */
    REPLACED = 1 << 3, /* another login took over a minute ago */
    TOLD = 1 << 4,     /* that the server refuses it, with the same code */
};

struct seen_row {
    const char *name;
    enum session_observation_kind kind;
    enum session_close close;
    unsigned given; /* of enum given */
    const char *cells[COLUMNS];
};

#define BY_USER       "LOGGED_OUT: LoggedOut(user)"
#define REMOTE        "LOGGED_OUT: LoggedOut(remote)"
#define QR_TIMEOUT    "DISCONNECTED: Disconnected(qr_timeout)"
#define BANNED        "DISCONNECTED: Disconnected(banned)"
#define TOOK_OVER     "DISCONNECTED: Disconnected(replaced)"
#define IDLE          "DISCONNECTED: Disconnected(idle)"
#define STOPPED       "DISCONNECTED: Disconnected(restart)"
#define LOST          "RECONNECTING: ConnectionLost, ReconnectScheduled"
#define RESTART       "RECONNECTING: ConnectionLost(restart)"
#define REPLACED_ONCE "RECONNECTING: ConnectionLost(replaced), ReconnectScheduled"
#define OUTDATED      "RECONNECTING: ConnectionLost(outdated), ReconnectScheduled"
#define REFUSED       "RECONNECTING: ConnectionLost(refused), ReconnectScheduled"
#define CLOSE         "- (close)"
#define LATER         "- (open later)"

/* clang-format off */
static const struct seen_row seen_rows[] = {
    /* NONE, CREATED, CONNECTING, WAITING_FOR_SCAN, PAIRING, CONNECTED, RECONNECTING, DISCONNECTED, LOGGED_OUT, DELETED */
    {"disconnect confirmed", SESSION_SAW_DISCONNECT_CONFIRMED, 0, ASKED,
     {"-", "-", "-", "-", "-", "-", "-", "= Disconnected(user)", "-", "-"}},
    {"disconnect failed", SESSION_SAW_DISCONNECT_FAILED, 0, ASKED,
     {"-", "-", "-", "-", "-", "-", "-", "= DisconnectFailed", "-", "-"}},
    {"disconnect confirmed, nobody asked", SESSION_SAW_DISCONNECT_CONFIRMED, 0, 0,
     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"disconnect failed, nobody asked", SESSION_SAW_DISCONNECT_FAILED, 0, 0,
     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"LogoutConfirmed, nobody asked", SESSION_SAW_LOGOUT_CONFIRMED, 0, 0,
     {"-", "-", BY_USER, "-", BY_USER, BY_USER, BY_USER, BY_USER, "-", "-"}},
    {"LogoutRefused, nobody asked", SESSION_SAW_LOGOUT_FAILED, 0, LINKED,
     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"LogoutConfirmed", SESSION_SAW_LOGOUT_CONFIRMED, 0, LINKED | ASKED,
     {"-", "-", BY_USER, "-", BY_USER, BY_USER, BY_USER, BY_USER, "-", "-"}},
    {"LogoutRefused", SESSION_SAW_LOGOUT_FAILED, 0, LINKED | ASKED,
     {"-", "-", "= LogoutFailed", "-", "= LogoutFailed", "= LogoutFailed", "= LogoutFailed", "= LogoutFailed", "-", "-"}},
    /* tries of a reconnection are metrics, so no SocketOpened in RECONNECTING */
    {"SocketOpened", SESSION_SAW_SOCKET_OPENED, 0, 0,
     {"-", "-", "= SocketOpened", "-", "= SocketOpened", "-", "-", CLOSE, CLOSE, CLOSE}},
    {"QrIssued", SESSION_SAW_QR_ISSUED, 0, 0,
     {"-", "-", "WAITING_FOR_SCAN: QrIssued", "= QrIssued", "-", "-", "-", "-", "-", "-"}},
    {"QrIssued, linked", SESSION_SAW_QR_ISSUED, 0, LINKED,
     {"-", "-", "-", "= QrIssued", "-", "-", "-", "-", "-", "-"}},
    {"QrUsedUp", SESSION_SAW_QR_USED_UP, 0, 0,
     {"-", "-", "-", QR_TIMEOUT, "-", "-", "-", "-", "-", "-"}},
    {"PairCodeIssued", SESSION_SAW_PAIR_CODE_ISSUED, 0, 0,
     {"-", "-", "-", "= PairCodeIssued", "-", "-", "-", "-", "-", "-"}},
    {"PairSucceeded, phone free", SESSION_SAW_PAIRED, 0, 0,
     {"-", "-", "-", "PAIRING: Paired", "-", "-", "-", "-", "-", "-"}},
    {"PairSucceeded, phone taken", SESSION_SAW_PAIRED, 0, TAKEN,
     {"-", "-", "-", "LOGGED_OUT: PairRejected, LoggedOut(phone_conflict)", "-", "-", "-", "-", "-", "-"}},
    {"LoginSucceeded", SESSION_SAW_LOGGED_IN, 0, 0,
     {"-", "-", "CONNECTED: LoggedIn", "-", "CONNECTED: LoggedIn", "-", "CONNECTED: LoggedIn", CLOSE, CLOSE, CLOSE}},
    {"Closed, not 401", SESSION_SAW_CLOSED, SESSION_CLOSE_LOST, 0,
     {"-", "-", "= ConnectionLost", "CONNECTING: ConnectionLost", LOST, LOST, LATER, "-", "-", "-"}},
    {"Closed, not 401, linked", SESSION_SAW_CLOSED, SESSION_CLOSE_LOST, LINKED,
     {"-", "-", LOST, "CONNECTING: ConnectionLost", LOST, LOST, LATER, "-", "-", "-"}},
    {"Closed, 401", SESSION_SAW_CLOSED, SESSION_CLOSE_LOGGED_OUT, 0,
     {"-", "-", REMOTE, REMOTE, REMOTE, REMOTE, REMOTE, REMOTE, "-", "-"}},
    {"Closed, banned", SESSION_SAW_CLOSED, SESSION_CLOSE_BANNED, 0,
     {"-", "-", BANNED, BANNED, BANNED, BANNED, BANNED, "-", "-", "-"}},
    {"Closed, replaced, first time", SESSION_SAW_CLOSED, SESSION_CLOSE_REPLACED, LINKED,
     {"-", "-", REPLACED_ONCE, "CONNECTING: ConnectionLost(replaced)", REPLACED_ONCE, REPLACED_ONCE, "= ConnectionLost(replaced)", "-", "-", "-"}},
    {"Closed, replaced, again within five minutes", SESSION_SAW_CLOSED, SESSION_CLOSE_REPLACED, LINKED | REPLACED,
     {"-", "-", TOOK_OVER, TOOK_OVER, TOOK_OVER, TOOK_OVER, TOOK_OVER, "-", "-", "-"}},
    {"Closed, outdated", SESSION_SAW_CLOSED, SESSION_CLOSE_OUTDATED, LINKED,
     {"-", "-", OUTDATED, "CONNECTING: ConnectionLost(outdated)", OUTDATED, OUTDATED, "= ConnectionLost(outdated)", "-", "-", "-"}},
    {"Closed, outdated, not linked", SESSION_SAW_CLOSED, SESSION_CLOSE_OUTDATED, 0,
     {"-", "-", "= ConnectionLost(outdated)", "CONNECTING: ConnectionLost(outdated)", OUTDATED, OUTDATED, "= ConnectionLost(outdated)",
      "-", "-", "-"}},
    {"Closed, outdated, as was told", SESSION_SAW_CLOSED, SESSION_CLOSE_OUTDATED, LINKED | TOLD,
     {"-", "-", OUTDATED, "CONNECTING: ConnectionLost(outdated)", OUTDATED, OUTDATED, LATER, "-", "-", "-"}},
    {"Closed, refused", SESSION_SAW_CLOSED, SESSION_CLOSE_REFUSED, LINKED,
     {"-", "-", REFUSED, "CONNECTING: ConnectionLost(refused)", REFUSED, REFUSED, "= ConnectionLost(refused)", "-", "-", "-"}},
    {"Closed, refused, as was told", SESSION_SAW_CLOSED, SESSION_CLOSE_REFUSED, LINKED | TOLD,
     {"-", "-", REFUSED, "CONNECTING: ConnectionLost(refused)", REFUSED, REFUSED, LATER, "-", "-", "-"}},
    {"IdleTimeout", SESSION_SAW_IDLE, 0, 0,
     {"-", "-", IDLE, IDLE, "-", "-", "-", "-", "-", "-"}},
    {"IdleTimeout, linked", SESSION_SAW_IDLE, 0, LINKED,
     {"-", "-", "-", IDLE, "-", "-", "-", "-", "-", "-"}},
    {"ConnectorRestarted", SESSION_SAW_RESTARTED, 0, 0,
     {"-", "-", STOPPED, STOPPED, RESTART, RESTART,
      "- (open)", "-", "-", "-"}},
    {"ConnectorRestarted, linked", SESSION_SAW_RESTARTED, 0, LINKED,
     {"-", "-", RESTART, STOPPED, RESTART, RESTART,
      "- (open)", "-", "-", "-"}},
    {"profile", SESSION_SAW_PROFILE, 0, LINKED,
     {"-", "-", "= ProfileUpdated", "-", "= ProfileUpdated", "= ProfileUpdated", "= ProfileUpdated", "= ProfileUpdated",
      "-", "-"}},
};
/* clang-format on */

static struct session_observation seen_of(const struct seen_row *row)
{
    static const struct session_closed refused = {.has_code = true, .code = 405};
    bool is_refused = row->close == SESSION_CLOSE_OUTDATED || row->close == SESSION_CLOSE_REFUSED;

    return (struct session_observation){
        .kind = row->kind,
        .close = row->close,
        .closed = is_refused ? &refused : NULL,
        .connector_id = "connector-1",
        .detail = "no answer",
        .qr = {.ordinal = 1, .expires_at = 1},
        .code = {.phone = "6281233784490", .expires_at = 1},
        .paired = {.jid = "6281233784490:4@s.whatsapp.net", .phone = "6281233784490"},
        .phone_taken = (row->given & TAKEN) != 0,
        .login = {.jid = "6281233784490:4@s.whatsapp.net"},
        .profile = {.push_name = "Budi"},
    };
}

static struct session given_for(const struct seen_row *row, enum session_phase phase)
{
    bool either = phase == SESSION_CONNECTING || phase == SESSION_DISCONNECTED;
    struct session session = session_tester_given(phase, (row->given & LINKED) != 0 && either);
    bool disconnect =
        row->kind == SESSION_SAW_DISCONNECT_CONFIRMED || row->kind == SESSION_SAW_DISCONNECT_FAILED;

    if ((row->given & REPLACED) != 0) {
        session.replaced_at_us = session_tester_noon.now_us - 60000000;
    }
    if ((row->given & TOLD) != 0) {
        session.refused_code = 405;
    }
    if ((row->given & ASKED) == 0) {
        return session;
    }
    if (disconnect && phase == SESSION_DISCONNECTED) {
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_DISCONNECT_REQUESTED));
    } else if (!disconnect && session.linked) {
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_LOGOUT_REQUESTED));
    }
    return session;
}

static void check_seen(const struct seen_row *row, int column)
{
    struct session session = given_for(row, (enum session_phase)column);
    struct session_observation seen = seen_of(row);
    struct session_decision made;
    char got[CELL_MAX];

    session_observe(&session, &seen, &session_tester_noon, &made);
    check_cell(row->name, row->cells, column, outcome(&session, &made, got));
}

static void every_observation_in_every_state(void **state)
{
    static const char *const kinds[] = {
#define KIND_TEXT(name) #name,
        SESSION_OBSERVATION_LIST(KIND_TEXT)
#undef KIND_TEXT
    };
    static const char *const closes[] = {
#define CLOSE_TEXT(name) #name,
        SESSION_CLOSE_LIST(CLOSE_TEXT)
#undef CLOSE_TEXT
    };
    bool has_row[SESSION_OBSERVATION_COUNT] = {false};
    bool has_close[SESSION_CLOSE_COUNT] = {false};

    (void)state;
    for (size_t row = 0; row < sizeof(seen_rows) / sizeof(seen_rows[0]); row++) {
        has_row[seen_rows[row].kind] = true;
        has_close[seen_rows[row].close] = true;
        for (int column = 0; column < COLUMNS; column++) {
            check_seen(&seen_rows[row], column);
        }
    }
    for (size_t i = 0; i < SESSION_OBSERVATION_COUNT; i++) {
        if (!has_row[i]) {
            fail_msg("%s has no row", kinds[i]);
        }
    }
    for (size_t i = 0; i < SESSION_CLOSE_COUNT; i++) {
        if (!has_close[i]) {
            fail_msg("CLOSED, %s has no row", closes[i]);
        }
    }
}

/* Answers of 3.4 that make no event. */
static void every_question_in_every_state(void **state)
{
    static const struct {
        enum session_question question;
        const char *cells[COLUMNS];
    } rows[] = {
        {SESSION_ASKS_PAIR_PHONE,
         {"x not found", "x no session", "wait, x not connected", "now", "x already paired",
          "x already paired", "x already paired", "x no session", "x no session", "x not found"}},
        {SESSION_ASKS_GET_QR_F1,
         {"x not found", "x no session", "wait, x not connected", "now", "x already logged in",
          "x already logged in", "x already logged in", "x no session", "x no session",
          "x not found"}},
        {SESSION_ASKS_GET_QR_F2,
         {"x not found", "connect", "wait, x not connected", "now", "empty", "empty", "empty",
          "connect", "connect", "x not found"}},
        {SESSION_ASKS_GET_QR_F3,
         {"x not found", "x not available", "wait, x not available", "now", "empty", "empty",
          "empty", "x not available", "x not available", "x not found"}},
        {SESSION_ASKS_CHECK_NUMBER,
         {"x not found", "x session is not logged in", "x session is not logged in",
          "x session is not logged in", "x session is not logged in", "now",
          "x session is not logged in", "x session is not logged in", "x session is not logged in",
          "x not found"}},
        {SESSION_ASKS_LIST_GROUPS,
         {"x not found", "x session is not logged in", "x session is not logged in",
          "x session is not logged in", "x session is not logged in", "now",
          "x session is not logged in", "x session is not logged in", "x session is not logged in",
          "x not found"}},
        {SESSION_ASKS_SEND,
         {"x not found", "x session is not logged in", "x session is not logged in",
          "x session is not logged in", "x session is not logged in", "now",
          "x session is not logged in", "x session is not logged in", "x session is not logged in",
          "x not found"}},
    };
    static const char *const questions[] = {
#define QUESTION_TEXT(name) #name,
        SESSION_QUESTION_LIST(QUESTION_TEXT)
#undef QUESTION_TEXT
    };
    static const char *const words[] = {[SESSION_ANSWER_REFUSE] = "",
                                        [SESSION_ANSWER_NOW] = "now",
                                        [SESSION_ANSWER_EMPTY] = "empty",
                                        [SESSION_ANSWER_WAIT] = "wait, ",
                                        [SESSION_ANSWER_CONNECT] = "connect"};

    unsigned seen = 0;

    (void)state;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        seen |= 1U << rows[row].question;
        for (int column = 0; column < COLUMNS; column++) {
            enum verdict verdict = VERDICT_OK;
            enum session_answer answer =
                session_ask((enum session_phase)column, rows[row].question, &verdict);
            char got[CELL_MAX];

            (void)snprintf(got, sizeof(got), "%s%s%s", words[answer],
                           verdict != VERDICT_OK ? "x " : "", verdict_text(verdict));
            check_cell(questions[rows[row].question], rows[row].cells, column, got);
        }
    }
    assert_int_equal(seen, (1U << SESSION_QUESTION_COUNT) - 1); /* each has a row */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_in_every_state),
        cmocka_unit_test(every_observation_in_every_state),
        cmocka_unit_test(every_question_in_every_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
