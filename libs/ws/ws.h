/* ws: websocket connections, plain and over TLS, both roles (wraps wslay and OpenSSL).
 *
 * One binary message in each direction is one unit; text messages, compression and subprotocols are
 * refused. Pings are answered here. A connection ends with exactly one call of ws_close by its
 * owner, whether it failed, was closed by the peer or is no longer wanted; no callback comes after
 * that. */
#ifndef WS_WS_H
#define WS_WS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"

struct err;
struct loop;
struct ws;
struct ws_server;
struct ws_tls;

enum {
    WS_MESSAGE_MAX = (1 << 24) + 64, /* received; a Noise frame is at most 3 + 2^24 - 1 bytes */
    WS_UNSENT_MAX =
        (1 << 24) + 65536,         /* bytes given to ws_send that the system has not taken yet */
    WS_CONNECT_TIMEOUT_MS = 20000, /* look-up, connect, TLS and upgrade together */
    WS_SERVER_TIMEOUT_MS = 10000,  /* TLS and upgrade of an accepted connection */
    WS_SERVER_PENDING_MAX = 1024,  /* accepted connections that are not upgraded yet */
    WS_CODE_NORMAL = 1000,         /* for ws_close */
};

struct ws_handlers {
    /* The upgrade is done; messages may be sent. Never for connections of a server. May be NULL. */
    void (*on_open)(struct ws *ws, void *ctx);

    /* One whole message; @message is borrowed for the call. */
    void (*on_message)(struct ws *ws, struct bytes message, void *ctx);

    /* It is over; call ws_close, here or later. @why borrowed for the call:
     *   ERR_TIMEOUT   not open in time
     *   ERR_EXTERNAL  look-up, connect, or HTTP 408, 429, 5xx
     *   ERR_REFUSED   another HTTP status
     *   ERR_CRYPTO    certificate or host name does not hold
     *   ERR_INVALID   not websocket
     *   ERR_LIMIT     a message over message_max
     *   ERR_CLOSED    the other side ended it */
    void (*on_closed)(struct ws *ws, const struct err *why, void *ctx);
};

struct ws_client_config {
    const char *url;          /* ws://host:port/path or wss://...; port 80 or 443 when left out */
    const char *origin;       /* Origin header; NULL for none */
    const struct ws_tls *tls; /* for wss; must outlive the connection */
    int64_t timeout_ms;       /* 0: WS_CONNECT_TIMEOUT_MS */
    size_t message_max;       /* 0: WS_MESSAGE_MAX */
};

/* Whether @text is a ws:// or wss:// URL that ws_connect can use. -ERR_INVALID says what is wrong.
 */
NODISCARD int ws_url_check(const char *text, struct err *err);

/* Begin to connect. Borrows @config for the call. Gives *@out (ws_close).
 *   -ERR_INVALID  the url is none of ours, or wss without tls */
NODISCARD int ws_connect(struct loop *loop, const struct ws_client_config *config,
                         const struct ws_handlers *handlers, void *ctx, struct ws **out,
                         struct err *err);

/* Borrows @handlers until ws_close; so for a connection that a server gave. */
void ws_set_handlers(struct ws *ws, const struct ws_handlers *handlers, void *ctx);

/* Send one binary message; what a turn of the loop sends goes out together at its end. Copies
 * @message.
 *   -ERR_CLOSED  not open (any more)
 *   -ERR_LIMIT   ws_unsent would pass WS_UNSENT_MAX: the peer does not read; close it or wait */
NODISCARD int ws_send(struct ws *ws, struct bytes message, struct err *err);
size_t ws_unsent(const struct ws *ws); /* bytes the system has not taken yet */

/* Stop and go on reading. What was read already may still come as messages after a pause. */
void ws_pause(struct ws *ws);
void ws_resume(struct ws *ws);

/* Have bytes come that were not read yet? Who was stopped for a while, or paused, asks before it
 * takes silence for an answer. */
bool ws_has_unread(const struct ws *ws);

/* A close frame with @code (0: none, just cut), what can be written at once, then the end: no
 * callback after this. Sets *@ws to NULL; NULL is fine. */
void ws_close(struct ws **ws, unsigned code);

/* ---- server ---- */

/* @ws is upgraded and given: set its handlers before returning, end it with ws_close. */
typedef void ws_accept_cb(struct ws_server *server, struct ws *ws, void *ctx);

struct ws_server_config {
    const char *address;      /* numeric, such as "127.0.0.1" */
    uint16_t port;            /* 0: any, see ws_server_port */
    const char *path_end;     /* the path without its query must end so, such as "/ws/chat" */
    const struct ws_tls *tls; /* NULL: plain; must outlive the server and its connections */
    size_t message_max;       /* 0: WS_MESSAGE_MAX */
    int64_t timeout_ms;       /* 0: WS_SERVER_TIMEOUT_MS */
};

/* Listen. Borrows @config for the call. Gives *@out (ws_server_close).
 *   -ERR_INVALID   not an address
 *   -ERR_SYSTEM  the port is taken or may not be used */
NODISCARD int ws_server_new(struct loop *loop, const struct ws_server_config *config,
                            ws_accept_cb *fn, void *ctx, struct ws_server **out, struct err *err);
uint16_t ws_server_port(const struct ws_server *server);

/* Stop listening and drop what is not upgraded yet; connections given out live on. */
void ws_server_close(struct ws_server **server);

#endif
