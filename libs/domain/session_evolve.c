#include <string.h>

#include "domain/event_names.h"
#include "domain/fixed.h"
#include "domain/session.h"

static void on_created(struct session *session, const struct session_event *event)
{
    const struct session_created *from = &event->as.created;

    session->phase = SESSION_CREATED;
    FIXED_COPY(session->uuid, event->aggregate_id);
    session->id = from->id;
    session->user_id = event->user_id;
    FIXED_COPY(session->session_key, event->session_key);
    FIXED_COPY(session->name, from->name);
    FIXED_COPY(session->declared_phone, from->phone);
    FIXED_COPY(session->webhook_url, from->webhook_url);
    session->subscribe = event_names_set(&from->subscribe);
}

static void subscribe(struct session *session, const struct record_strings *names)
{
    uint32_t set = event_names_set(names);

    if (set != 0) {
        session->subscribe = set;
    }
}

static void on_connect_requested(struct session *session,
                                 const struct session_connect_requested *from)
{
    session->phase = SESSION_CONNECTING;
    session->wants_online = true;
    session->closing = false;
    session->unlinked_losses = 0;
    session->replaced_at_us = 0;
    session->refused_code = 0;
    subscribe(session, &from->subscribe);
}

static void set_text(char *to, size_t cap, const char *from)
{
    if (from != NULL) {
        fixed_copy(to, cap, from);
    }
}

static void on_paired(struct session *session, const struct session_paired *from)
{
    session->phase = SESSION_PAIRING;
    session->linked = true;
    FIXED_COPY(session->jid, from->jid);
    FIXED_COPY(session->lid, from->lid);
    set_text(session->phone, sizeof(session->phone), from->phone);
}

static void on_logged_in(struct session *session, const struct session_logged_in *from)
{
    session->phase = SESSION_CONNECTED;
    session->linked = true;
    session->unlinked_losses = 0;
    session->refused_code = 0;
    set_text(session->jid, sizeof(session->jid), from->jid);
    set_text(session->lid, sizeof(session->lid), from->lid);
    set_text(session->push_name, sizeof(session->push_name), from->push_name);
}

static void on_connection_lost(struct session *session, const struct session_event *event)
{
    const struct session_connection_lost *lost = &event->as.connection_lost;
    const char *reason = lost->reason != NULL ? lost->reason : "";

    if (session->linked) {
        session->phase = SESSION_RECONNECTING;
    } else {
        session->phase = SESSION_CONNECTING;
        session->unlinked_losses++;
    }
    if (strcmp(reason, "replaced") == 0) {
        session->replaced_at_us = event->occurred_at;
    } else if (strcmp(reason, "outdated") == 0 || strcmp(reason, "refused") == 0) {
        session->refused_code = lost->code;
    }
}

static void on_disconnected(struct session *session, bool closing)
{
    session->phase = SESSION_DISCONNECTED;
    session->wants_online = false;
    session->closing = closing;
}

static void on_ended(struct session *session, enum session_phase phase)
{
    session->phase = phase;
    session->wants_online = false;
    session->linked = false;
    session->closing = false;
    session->logging_out = false;
    FIXED_COPY(session->jid, "");
    FIXED_COPY(session->lid, "");
}

static void on_profile(struct session *session, const struct session_profile_updated *from)
{
    set_text(session->display_name, sizeof(session->display_name), from->display_name);
    set_text(session->push_name, sizeof(session->push_name), from->push_name);
}

void session_evolve(struct session *session, const struct session_event *event)
{
    session->sequence = event->sequence;
    session->epoch = event->epoch > session->epoch ? event->epoch : session->epoch;
    switch (event->kind) {
    case SESSION_EVENT_CREATED:
        on_created(session, event);
        break;
    case SESSION_EVENT_RENAMED:
        FIXED_COPY(session->name, event->as.renamed.name);
        break;
    case SESSION_EVENT_WEBHOOK_SET:
        FIXED_COPY(session->webhook_url, event->as.webhook_set.webhook_url);
        break;
    case SESSION_EVENT_SUBSCRIPTION_SET:
        subscribe(session, &event->as.subscription_set.subscribe);
        break;
    case SESSION_EVENT_CONNECT_REQUESTED:
        on_connect_requested(session, &event->as.connect_requested);
        break;
    case SESSION_EVENT_QR_ISSUED:
        session->phase = SESSION_WAITING_FOR_SCAN;
        session->unlinked_losses = 0;
        break;
    case SESSION_EVENT_PAIRED:
        on_paired(session, &event->as.paired);
        break;
    case SESSION_EVENT_LOGGED_IN:
        on_logged_in(session, &event->as.logged_in);
        break;
    case SESSION_EVENT_PROFILE_UPDATED:
        on_profile(session, &event->as.profile_updated);
        break;
    case SESSION_EVENT_CONNECTION_LOST:
        on_connection_lost(session, event);
        break;
    case SESSION_EVENT_DISCONNECT_REQUESTED:
        on_disconnected(session, true);
        break;
    case SESSION_EVENT_DISCONNECTED:
        on_disconnected(session, false);
        break;
    case SESSION_EVENT_DISCONNECT_FAILED:
        session->closing = false;
        break;
    case SESSION_EVENT_LOGOUT_REQUESTED:
        session->logging_out = true;
        break;
    case SESSION_EVENT_LOGOUT_FAILED:
        session->logging_out = false;
        break;
    case SESSION_EVENT_LOGGED_OUT:
        on_ended(session, SESSION_LOGGED_OUT);
        break;
    case SESSION_EVENT_DELETED:
        on_ended(session, SESSION_DELETED);
        break;
    case SESSION_EVENT_NONE:
    case SESSION_EVENT_SOCKET_OPENED:
    case SESSION_EVENT_PAIR_CODE_ISSUED:
    case SESSION_EVENT_PAIR_REJECTED:
    case SESSION_EVENT_RECONNECT_SCHEDULED: /* comes behind a ConnectionLost */
        break;
    }
}
