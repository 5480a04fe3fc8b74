/* session_view: the words that each API family has for a session's state. The one place that
 * maps. */
#ifndef DOMAIN_SESSION_VIEW_H
#define DOMAIN_SESSION_VIEW_H

#include <stdbool.h>

#include "domain/session.h"

enum session_ws {
    SESSION_WS_NONE,
    SESSION_WS_OPEN,
    SESSION_WS_CONNECTING,
    SESSION_WS_CLOSING,
    SESSION_WS_CLOSED
};

struct session_facts {
    enum session_phase phase; /* projected, or newer from the runtime key; NONE, DELETED: none */
    bool linked;
    bool held;          /* a connector's heartbeat key exists */
    enum session_ws ws; /* of that key */
};

struct session_view {
    const char *f0_status;
    const char *f0_quality;
    const char *f2_status;
    const char *f3_status;
    const char *f3_connection_status;
    bool exists;    /* false: the family says 404, F0 its fall-back object */
    bool connected; /* F1, F4 */
    bool logged_in; /* F1, F4 */
    bool f2_is_active;
    bool f3_is_active;
    bool f3_is_authenticated;
};

struct session_view session_view_of(const struct session_facts *facts);

bool session_ws_parse(const char *name, enum session_ws *out); /* "OPEN", ... of the runtime key */

#endif
