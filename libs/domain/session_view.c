#include "domain/session_view.h"

#include <string.h>

static const char *quality(enum session_ws ws)
{
    switch (ws) {
    case SESSION_WS_OPEN:
        return "excellent";
    case SESSION_WS_CONNECTING:
        return "good";
    case SESSION_WS_CLOSING:
    case SESSION_WS_CLOSED:
        return "poor";
    case SESSION_WS_NONE:
        break;
    }
    return "unknown";
}

/* What depends on the phase alone. */
static const struct session_view rows[SESSION_PHASE_COUNT] = {
    [SESSION_NONE] = {.f0_status = "unknown", .f3_connection_status = "DISCONNECTED"},
    [SESSION_CREATED] = {.exists = true,
                         .f0_status = "disconnected",
                         .f2_status = "disconnected",
                         .f3_status = "disconnected",
                         .f3_connection_status = "DISCONNECTED"},
    [SESSION_CONNECTING] = {.exists = true,
                            .f0_status = "connecting",
                            .f2_status = "connecting",
                            .f3_status = "connecting",
                            .f3_connection_status = "CONNECTING"},
    [SESSION_WAITING_FOR_SCAN] = {.exists = true,
                                  .f0_status = "connecting",
                                  .connected = true,
                                  .f2_status = "waiting_for_scan",
                                  .f3_status = "connecting",
                                  .f3_connection_status = "CONNECTED"},
    [SESSION_PAIRING] = {.exists = true,
                         .f0_status = "connecting",
                         .logged_in = true,
                         .f2_status = "connecting",
                         .f3_status = "authenticated",
                         .f3_connection_status = "CONNECTED"},
    [SESSION_CONNECTED] = {.exists = true,
                           .f0_status = "connected",
                           .connected = true,
                           .logged_in = true,
                           .f2_status = "connected",
                           .f2_is_active = true,
                           .f3_status = "connected",
                           .f3_connection_status = "AUTHENTICATED"},
    [SESSION_RECONNECTING] = {.exists = true,
                              .f0_status = "connecting",
                              .logged_in = true,
                              .f2_status = "reconnecting",
                              .f2_is_active = true,
                              .f3_status = "connecting",
                              .f3_connection_status = "CONNECTING"},
    [SESSION_DISCONNECTED] = {.exists = true,
                              .f0_status = "disconnected",
                              .f2_status = "disconnected",
                              .f3_status = "disconnected",
                              .f3_connection_status = "DISCONNECTED"},
    [SESSION_LOGGED_OUT] = {.exists = true,
                            .f0_status = "disconnected",
                            .f2_status = "inactive",
                            .f3_status = "logged_out",
                            .f3_connection_status = "DISCONNECTED"},
    [SESSION_DELETED] = {.f0_status = "unknown", .f3_connection_status = "DISCONNECTED"},
};

/* An online state whose connector died: what is known for sure is only what is stored. */
static void nobody_holds(const struct session_facts *facts, struct session_view *view)
{
    view->f0_status = "unknown";
    view->f0_quality = "unknown";
    view->connected = false;
    view->logged_in = facts->linked;
    view->f2_status = "reconnecting";
    view->f2_is_active = facts->linked;
    view->f3_is_active = false;
    view->f3_is_authenticated = false;
    view->f3_connection_status = "DISCONNECTED";
}

struct session_view session_view_of(const struct session_facts *facts)
{
    struct session_view view = rows[facts->phase];
    bool online = session_is_online(facts->phase);

    if (online && !facts->held) {
        nobody_holds(facts, &view);
        return view;
    }
    view.f0_quality = online ? quality(facts->ws) : "unknown";
    view.f3_is_active = online;
    switch (facts->phase) {
    case SESSION_CONNECTING:
        view.connected = facts->ws == SESSION_WS_OPEN;
        view.logged_in = facts->linked;
        view.f2_is_active = facts->linked;
        break;
    case SESSION_PAIRING:
        view.connected = facts->ws == SESSION_WS_OPEN;
        break;
    case SESSION_CONNECTED:
        view.f3_is_authenticated = true;
        break;
    case SESSION_DISCONNECTED:
        view.f0_quality = "poor";
        view.logged_in = facts->linked;
        break;
    case SESSION_LOGGED_OUT:
        view.f0_quality = "poor";
        break;
    case SESSION_NONE:
    case SESSION_CREATED:
    case SESSION_WAITING_FOR_SCAN:
    case SESSION_RECONNECTING:
    case SESSION_DELETED:
    case SESSION_PHASE_COUNT:
        break;
    }
    return view;
}

bool session_ws_parse(const char *name, enum session_ws *out)
{
    static const char *const names[] = {
        [SESSION_WS_NONE] = "NONE",
        [SESSION_WS_OPEN] = "OPEN",
        [SESSION_WS_CONNECTING] = "CONNECTING",
        [SESSION_WS_CLOSING] = "CLOSING",
        [SESSION_WS_CLOSED] = "CLOSED",
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum session_ws)i;
            return true;
        }
    }
    return false;
}
