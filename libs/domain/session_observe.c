#include <string.h>

#include "domain/session_internal.h"

static void disconnected(const struct session *session, const char *reason,
                         const struct session_context *context, struct session_decision *out)
{
    session_emit(out, session, context, SESSION_EVENT_DISCONNECTED)->as.disconnected.reason =
        reason;
    out->effects = SESSION_CLOSE | SESSION_DROP_QR;
}

static void logged_out(const struct session *session, const char *reason,
                       const struct session_context *context, struct session_decision *out)
{
    session_emit(out, session, context, SESSION_EVENT_LOGGED_OUT)->as.logged_out.reason = reason;
    out->effects = SESSION_CLOSE | SESSION_ERASE | SESSION_DROP_QR | SESSION_FAIL_MESSAGES;
}

static void connection_lost(const struct session *session, const struct session_observation *seen,
                            const char *reason, const struct session_context *context,
                            struct session_decision *out)
{
    struct session_connection_lost *lost =
        &session_emit(out, session, context, SESSION_EVENT_CONNECTION_LOST)->as.connection_lost;

    lost->reason = reason;
    if (seen->closed != NULL) {
        lost->has_code = seen->closed->has_code;
        lost->code = seen->closed->code;
        if (reason == NULL) {
            lost->reason = seen->closed->reason;
        }
    }
    if (lost->reason == NULL) {
        lost->reason = "closed";
    }
}

static void open_later(int tries, const struct session_context *context,
                       struct session_decision *out)
{
    out->effects |= SESSION_OPEN_LATER;
    out->delay_ms = session_reconnect_delay_ms(tries, context->random);
}

/* Reconnecting begins: the one event for it; the tries that follow are metrics. */
static void reconnect(const struct session *session, const struct session_observation *seen,
                      const char *reason, const struct session_context *context,
                      struct session_decision *out)
{
    connection_lost(session, seen, reason, context, out);
    open_later(session->phase == SESSION_CONNECTING ? context->tries : 0, context, out);
    session_emit(out, session, context, SESSION_EVENT_RECONNECT_SCHEDULED)->as.reconnect_scheduled =
        (struct session_reconnect_scheduled){.attempt = 1, .delay_ms = (int32_t)out->delay_ms};
}

/* While it reconnects a try that fails is a metric, unless it is more than a try: the second login
 * must know of the first, and whoever waits must know why waiting is of no use. */
static bool is_told(const struct session *session, const struct session_observation *seen)
{
    bool is_refused = seen->close == SESSION_CLOSE_OUTDATED || seen->close == SESSION_CLOSE_REFUSED;

    return seen->close == SESSION_CLOSE_REPLACED ||
           (is_refused && seen->closed != NULL && seen->closed->code != session->refused_code);
}

static void lost(const struct session *session, const struct session_observation *seen,
                 const char *reason, const struct session_context *context,
                 struct session_decision *out)
{
    switch (session->phase) {
    case SESSION_CONNECTING:
        if (session->linked) {
            reconnect(session, seen, reason, context, out);
        } else if (session->unlinked_losses >= SESSION_UNLINKED_TRIES) {
            disconnected(session, "connect_failed", context, out);
        } else {
            connection_lost(session, seen, reason, context, out);
            open_later(session->unlinked_losses, context, out);
        }
        break;
    case SESSION_WAITING_FOR_SCAN:
        connection_lost(session, seen, reason, context, out);
        open_later(0, context, out);
        out->effects |= SESSION_DROP_QR;
        break;
    case SESSION_PAIRING:
    case SESSION_CONNECTED:
        reconnect(session, seen, reason, context, out);
        break;
    case SESSION_RECONNECTING:
        if (is_told(session, seen)) {
            connection_lost(session, seen, reason, context, out);
        }
        open_later(context->tries, context, out);
        break;
    case SESSION_NONE:
    case SESSION_CREATED:
    case SESSION_DISCONNECTED:
    case SESSION_LOGGED_OUT:
    case SESSION_DELETED:
    case SESSION_PHASE_COUNT:
        break;
    }
}

static void closed(const struct session *session, const struct session_observation *seen,
                   const struct session_context *context, struct session_decision *out)
{
    bool online = session_is_online(session->phase);

    switch (seen->close) {
    case SESSION_CLOSE_LOGGED_OUT:
        if (online || session->phase == SESSION_DISCONNECTED) {
            logged_out(session, "remote", context, out);
        }
        break;
    case SESSION_CLOSE_BANNED:
        if (online) {
            disconnected(session, "banned", context, out);
        }
        break;
    case SESSION_CLOSE_REPLACED:
        if (online && session->replaced_at_us != 0 &&
            context->now_us - session->replaced_at_us <
                SESSION_REPLACED_WITHIN_MS * INT64_C(1000)) {
            disconnected(session, "replaced", context, out);
        } else {
            lost(session, seen, "replaced", context, out);
        }
        break;
    case SESSION_CLOSE_OUTDATED:
        lost(session, seen, "outdated", context, out);
        break;
    case SESSION_CLOSE_REFUSED:
        lost(session, seen, "refused", context, out);
        break;
    case SESSION_CLOSE_LOST:
        lost(session, seen, NULL, context, out);
        break;
    case SESSION_CLOSE_COUNT:
        break;
    }
}

static void paired(const struct session *session, const struct session_observation *seen,
                   const struct session_context *context, struct session_decision *out)
{
    if (session->phase != SESSION_WAITING_FOR_SCAN) {
        return;
    }
    if (seen->phone_taken) {
        session_emit(out, session, context, SESSION_EVENT_PAIR_REJECTED)->as.pair_rejected =
            (struct session_pair_rejected){.jid = seen->paired.jid, .reason = "phone_conflict"};
        logged_out(session, "phone_conflict", context, out);
        out->effects |= SESSION_UNLINK;
        return;
    }
    struct session_paired *made =
        &session_emit(out, session, context, SESSION_EVENT_PAIRED)->as.paired;

    *made = seen->paired;
    made->declared_phone = session->declared_phone[0] == '\0' ? NULL : session->declared_phone;
    made->phone_mismatch = made->declared_phone != NULL && made->phone != NULL &&
                           strcmp(made->declared_phone, made->phone) != 0;
    out->effects = SESSION_DROP_QR;
}

static bool is_news(const char *text, const char *known)
{
    return text != NULL && strcmp(text, known) != 0;
}

static void profile(const struct session *session, const struct session_profile_updated *seen,
                    const struct session_context *context, struct session_decision *out)
{
    bool news = is_news(seen->display_name, session->display_name) ||
                is_news(seen->push_name, session->push_name) || seen->profile_picture != NULL ||
                seen->operator_provider != NULL || seen->operator_type != NULL;

    if (session->linked && news) {
        session_emit(out, session, context, SESSION_EVENT_PROFILE_UPDATED)->as.profile_updated =
            *seen;
    }
}

static void restarted(const struct session *session, const struct session_observation *seen,
                      const struct session_context *context, struct session_decision *out)
{
    if (session->phase == SESSION_RECONNECTING) {
        out->effects = SESSION_OPEN;
    } else if (session_is_online(session->phase) && session->linked) {
        connection_lost(session, seen, "restart", context, out);
        out->effects = SESSION_OPEN;
    } else if (session_is_online(session->phase)) {
        disconnected(session, "restart", context, out);
    }
    if (session->logging_out) {
        out->effects |= SESSION_UNLINK;
    }
}

static void socket_opened(const struct session *session, const struct session_observation *seen,
                          const struct session_context *context, struct session_decision *out)
{
    if (session->phase == SESSION_CONNECTING || session->phase == SESSION_PAIRING) {
        session_emit(out, session, context, SESSION_EVENT_SOCKET_OPENED)
            ->as.socket_opened.connector_id = seen->connector_id != NULL ? seen->connector_id : "";
    } else if (session->phase >= SESSION_DISCONNECTED) {
        out->effects = SESSION_CLOSE;
    }
}

static void logged_in(const struct session *session, const struct session_observation *seen,
                      const struct session_context *context, struct session_decision *out)
{
    if (session->phase == SESSION_CONNECTING || session->phase == SESSION_PAIRING ||
        session->phase == SESSION_RECONNECTING) {
        session_emit(out, session, context, SESSION_EVENT_LOGGED_IN)->as.logged_in = seen->login;
    } else if (session->phase >= SESSION_DISCONNECTED) {
        out->effects = SESSION_CLOSE;
    }
}

/* Codes to scan: only while nothing is linked. */
static void code_seen(const struct session *session, const struct session_observation *seen,
                      const struct session_context *context, struct session_decision *out)
{
    bool waiting = session->phase == SESSION_WAITING_FOR_SCAN;

    if (seen->kind == SESSION_SAW_QR_ISSUED) {
        if (waiting || (session->phase == SESSION_CONNECTING && !session->linked)) {
            session_emit(out, session, context, SESSION_EVENT_QR_ISSUED)->as.qr_issued = seen->qr;
        }
    } else if (waiting && seen->kind == SESSION_SAW_PAIR_CODE_ISSUED) {
        session_emit(out, session, context, SESSION_EVENT_PAIR_CODE_ISSUED)->as.pair_code_issued =
            seen->code;
    } else if (waiting && seen->kind == SESSION_SAW_QR_USED_UP) {
        disconnected(session, "qr_timeout", context, out);
    }
}

/* How an order of ours ended. */
static void order_ended(const struct session *session, const struct session_observation *seen,
                        const struct session_context *context, struct session_decision *out)
{
    bool closing = session->phase == SESSION_DISCONNECTED && session->closing;
    bool running = session_is_online(session->phase) && session->phase != SESSION_WAITING_FOR_SCAN;

    if (seen->kind == SESSION_SAW_DISCONNECT_CONFIRMED && closing) {
        session_emit(out, session, context, SESSION_EVENT_DISCONNECTED)->as.disconnected.reason =
            "user";
    } else if (seen->kind == SESSION_SAW_DISCONNECT_FAILED && closing) {
        session_emit(out, session, context, SESSION_EVENT_DISCONNECT_FAILED)
            ->as.disconnect_failed.detail = seen->detail != NULL ? seen->detail : "no answer";
    } else if (seen->kind == SESSION_SAW_LOGOUT_CONFIRMED &&
               (running || session->phase == SESSION_DISCONNECTED)) {
        logged_out(session, "user", context, out);
    } else if (seen->kind == SESSION_SAW_LOGOUT_FAILED && session->logging_out) {
        session_emit(out, session, context, SESSION_EVENT_LOGOUT_FAILED)->as.logout_failed.detail =
            seen->detail != NULL ? seen->detail : "no answer";
    }
}

void session_observe(const struct session *session, const struct session_observation *seen,
                     const struct session_context *context, struct session_decision *out)
{
    *out = (struct session_decision){.verdict = VERDICT_OK};
    if (seen->epoch < session->epoch) {
        return; /* seen by an owner that is no longer one */
    }
    switch (seen->kind) {
    case SESSION_SAW_SOCKET_OPENED:
        socket_opened(session, seen, context, out);
        break;
    case SESSION_SAW_QR_ISSUED:
    case SESSION_SAW_QR_USED_UP:
    case SESSION_SAW_PAIR_CODE_ISSUED:
        code_seen(session, seen, context, out);
        break;
    case SESSION_SAW_PAIRED:
        paired(session, seen, context, out);
        break;
    case SESSION_SAW_LOGGED_IN:
        logged_in(session, seen, context, out);
        break;
    case SESSION_SAW_PROFILE:
        profile(session, &seen->profile, context, out);
        break;
    case SESSION_SAW_CLOSED:
        closed(session, seen, context, out);
        break;
    case SESSION_SAW_IDLE:
        if (session->phase == SESSION_WAITING_FOR_SCAN ||
            (session->phase == SESSION_CONNECTING && !session->linked)) {
            disconnected(session, "idle", context, out);
        }
        break;
    case SESSION_SAW_DISCONNECT_CONFIRMED:
    case SESSION_SAW_DISCONNECT_FAILED:
    case SESSION_SAW_LOGOUT_CONFIRMED:
    case SESSION_SAW_LOGOUT_FAILED:
        order_ended(session, seen, context, out);
        break;
    case SESSION_SAW_RESTARTED:
        restarted(session, seen, context, out);
        break;
    case SESSION_OBSERVATION_COUNT:
        break;
    }
}
