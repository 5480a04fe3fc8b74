#include "domain/session_tester.h"

#include "testkit/testkit.h"

static const char *const everything[] = {"All"};

const struct session_context session_tester_noon = {.now_us = INT64_C(1757246400000000)};

struct session_event session_tester_fact(enum session_event_kind kind)
{
    return (struct session_event){.kind = kind,
                                  .aggregate_id = "5e551000-0000-5000-8000-000000000001",
                                  .session_key = "sales",
                                  .user_id = 7,
                                  .occurred_at = session_tester_noon.now_us - 3600000000};
}

void session_tester_fold(struct session *session, struct session_event event)
{
    event.sequence = session->sequence + 1;
    session_evolve(session, &event);
}

static void fold_created(struct session *session)
{
    struct session_event created = session_tester_fact(SESSION_EVENT_CREATED);
    const char *names[] = {everything[0]};

    created.as.created = (struct session_created){
        .id = 1, .name = "Sales", .webhook_url = "", .subscribe = {1, names}};
    session_tester_fold(session, created);
}

static void fold_login(struct session *session)
{
    struct session_event paired = session_tester_fact(SESSION_EVENT_PAIRED);
    struct session_event login = session_tester_fact(SESSION_EVENT_LOGGED_IN);

    paired.as.paired = (struct session_paired){
        .jid = "6281233784490:4@s.whatsapp.net", .lid = "9001:4@lid", .phone = "6281233784490"};
    session_tester_fold(session, session_tester_fact(SESSION_EVENT_QR_ISSUED));
    session_tester_fold(session, paired);
    session_tester_fold(session, login);
}

struct session session_tester_given(enum session_phase phase, bool linked)
{
    struct session session = {0};

    if (phase == SESSION_NONE) {
        return session;
    }
    fold_created(&session);
    if (phase == SESSION_CREATED) {
        return session;
    }
    session_tester_fold(&session, session_tester_fact(SESSION_EVENT_CONNECT_REQUESTED));
    if (linked || phase == SESSION_CONNECTED || phase == SESSION_RECONNECTING) {
        fold_login(&session);
    }
    switch (phase) {
    case SESSION_CONNECTING:
        if (linked) {
            session_tester_fold(&session, session_tester_fact(SESSION_EVENT_DISCONNECTED));
            session_tester_fold(&session, session_tester_fact(SESSION_EVENT_CONNECT_REQUESTED));
        }
        break;
    case SESSION_WAITING_FOR_SCAN:
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_QR_ISSUED));
        break;
    case SESSION_PAIRING:
        session = session_tester_given(SESSION_WAITING_FOR_SCAN, false);
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_PAIRED));
        break;
    case SESSION_RECONNECTING:
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_CONNECTION_LOST));
        break;
    case SESSION_DISCONNECTED:
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_DISCONNECTED));
        break;
    case SESSION_LOGGED_OUT:
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_LOGGED_OUT));
        break;
    case SESSION_DELETED:
        session_tester_fold(&session, session_tester_fact(SESSION_EVENT_DELETED));
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

struct session_command session_tester_command(enum session_command_kind kind, bool with_news)
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
        command.as.connect.subscribe = (struct record_strings){with_news ? 2 : 0, names};
        break;
    case SESSION_COMMAND_CONFIGURE:
        command.as.configure.subscribe = (struct record_strings){with_news ? 2 : 0, names};
        break;
    case SESSION_COMMAND_DISCONNECT:
        command.as.disconnect.origin = "f4";
        break;
    case SESSION_COMMAND_RENAME_TO:
        command.as.rename_to.name = with_news ? "Support" : "Sales";
        break;
    case SESSION_COMMAND_SET_WEBHOOK:
        command.as.set_webhook.webhook_url = with_news ? "https://example.test/hook" : "";
        break;
    case SESSION_COMMAND_NONE:
    case SESSION_COMMAND_LOGOUT:
    case SESSION_COMMAND_REMOVE:
    case SESSION_COMMAND_REMOVE_SESSION:
        break;
    }
    return command;
}
