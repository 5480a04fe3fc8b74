/* The WebSocket of F4: what a browser needs to log a session in by QR.
 *
 * The connector says "qr" or "state" on the session's channel when something changed; then, and
 * every few seconds in case a word was lost, Redis and the projections are read and the frames that
 * follow from them are sent. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "ingress/account.h"
#include "ingress/handler.h"
#include "ingress/kept.h"
#include "ingress/session_query.h"
#include "ingress/usecase.h"
#include "ingress/watch.h"
#include "loop/loop_wake.h"

enum {
    TURN_MS = 2000,
    SOON_MS = 100, /* after a change: the projection is a moment behind */
    CLOSE_NORMAL = 1000,
    CLOSE_REFUSED = 1008
};

struct socket {
    struct ingress *ingress;
    int64_t user_id;
    const char *credential; /* that opened it */
    const char *uuid;
    struct http_ws *ws;
    struct cache_subscription *subscription; /* the loop's */
    bool was_online; /* a login was seen to begin: its end is worth a frame */
    char last_qr[KEPT_QR_MAX];
};

/* ---- what wakes it, on the loop ---- */

static void on_word(struct bytes message, void *ctx)
{
    struct socket *socket = ctx;

    (void)message;
    http_ws_wake(socket->ws);
}

static void on_began(void *ctx)
{
    struct socket *socket = ctx;

    http_ws_wake(socket->ws);
}

static void subscribe(void *ctx)
{
    struct socket *socket = ctx;
    const struct cache_key channel = cache_channel_session(socket->uuid);
    const struct cache_listener listener = {.message = on_word, .began = on_began, .ctx = socket};

    socket->subscription = cache_subscribe(socket->ingress->channels, channel.text, &listener);
}

static void unsubscribe(void *ctx)
{
    struct socket *socket = ctx;

    cache_unsubscribe(&socket->subscription);
}

static void on_ready(struct http_ws *ws, void *ctx)
{
    struct socket *socket = ctx;

    socket->ws = ws;
    if (loop_gate_call(socket->ingress->gate, subscribe, socket) < 0) {
        log_debug("a WebSocket without its channel: the loop has ended");
    }
}

static void on_gone(struct http_ws *ws, void *ctx)
{
    struct socket *socket = ctx;

    (void)ws;
    if (loop_gate_call(socket->ingress->gate, unsubscribe, socket) < 0) {
        log_debug("a WebSocket outlived the loop");
    }
}

/* ---- frames ---- */

static void send_error(struct socket *socket, const char *text, int code)
{
    http_ws_send_json(socket->ws,
                      json_pack("{s:s, s:{s:s}}", "type", "error", "data", "error", text));
    http_ws_close(socket->ws, code);
}

static void send_success(struct socket *socket, const struct session_row *row)
{
    http_ws_send_json(socket->ws,
                      json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "success", "data", "session_id",
                                row->session_key, "jid", row->jid != NULL ? row->jid : "", "phone",
                                row->phone != NULL ? row->phone : ""));
    http_ws_close(socket->ws, CLOSE_NORMAL);
}

/* Sends the code of now, where it is another than the last one. */
static void send_qr(struct socket *socket, struct arena *arena)
{
    const struct cache_key key = cache_key_qr(socket->uuid);
    const char *parts[] = {"GET", key.text, NULL};
    struct cache_reply reply = {0};
    char code[KEPT_QR_MAX];

    if (cache_pool_command_text(socket->ingress->cache, parts, arena, &reply, NULL) == 0 &&
        reply.kind == CACHE_TEXT && kept_read_qr(reply.text, clock_wall_ms(), code) &&
        strcmp(code, socket->last_qr) != 0) {
        memcpy(socket->last_qr, code, sizeof(code));
        http_ws_send_json(socket->ws,
                          json_pack("{s:s, s:{s:s}}", "type", "qr", "data", "qr", code));
    }
}

static const char *why_it_ended(const struct session_row *row)
{
    static const char *const texts[][2] = {
        {"qr_timeout", "QR code expired"},
        {"phone_conflict", "Pairing refused: the phone belongs to another session"},
        {"connect_failed", "Could not connect to WhatsApp"},
        {"remote", "Logged out"},
        {"idle", "Disconnected: nobody was waiting"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (row->disconnect_reason != NULL && strcmp(row->disconnect_reason, texts[i][0]) == 0) {
            return texts[i][1];
        }
    }
    return "Session disconnected";
}

static void show(struct socket *socket, const struct session_row *row, struct arena *arena)
{
    switch (session_phase_now(row)) {
    case SESSION_CONNECTED:
        if (row->state == SESSION_CONNECTED) { /* the frame carries jid and phone */
            send_success(socket, row);
        }
        break;
    case SESSION_CONNECTING:
    case SESSION_WAITING_FOR_SCAN:
        socket->was_online = true;
        send_qr(socket, arena);
        break;
    case SESSION_PAIRING:
    case SESSION_RECONNECTING:
        socket->was_online = true;
        break;
    case SESSION_DISCONNECTED:
    case SESSION_LOGGED_OUT:
        if (socket->was_online && row->state == session_phase_now(row)) {
            send_error(socket, why_it_ended(row), CLOSE_NORMAL);
        }
        break;
    case SESSION_DELETED:
        send_error(socket, "Session deleted", CLOSE_NORMAL);
        break;
    case SESSION_NONE:
    case SESSION_CREATED:
    case SESSION_PHASE_COUNT:
        break;
    }
}

static void on_turn(struct http_ws *ws, void *ctx)
{
    struct socket *socket = ctx;
    struct arena arena = {0};
    struct session_row row;
    int rc;

    if (account_is_over(socket->ingress, socket->credential)) {
        send_error(socket, "Invalid or missing authentication token", CLOSE_REFUSED);
        return;
    }
    rc = session_find(socket->ingress, socket->user_id, socket->uuid, &arena, &row, NULL);
    if (rc == -ERR_NOT_FOUND) {
        send_error(socket, "Session deleted", CLOSE_NORMAL);
    } else if (rc == 0) {
        show(socket, &row, &arena);
        watch_row(socket->ingress, &row, &arena);
        if (row.runtime.is_known && row.runtime.sequence > row.applied_seq) {
            http_ws_turn_in(ws, SOON_MS);
        }
    }
    arena_done(&arena);
}

void on_f4_socket(struct http_request *request, void *ctx)
{
    const struct asker by = asker_of(request, ctx);
    struct socket socket = {.ingress = ctx,
                            .user_id = actor_of(request)->user_id,
                            .credential = handler_credential(request)};
    const struct http_ws_events events = {
        .turn = on_turn, .turn_ms = TURN_MS, .owner = socket.user_id, .ctx = &socket};
    struct session_row row;
    struct refusal why;
    struct err err = {0};

    if (usecase_session_get(&by, http_param(request, "id"), &row, &why) < 0) {
        handler_refuse(request, &why);
        return;
    }
    socket.uuid = row.uuid;
    if (http_ws_run(request, &events, on_ready, on_gone, &err) < 0) {
        int status = err.code == -ERR_INVALID ? 400 : err.code == -ERR_REFUSED ? 403 : 503;

        http_fail(request, status, "INVALID_REQUEST", "%s", err.text);
    }
}
