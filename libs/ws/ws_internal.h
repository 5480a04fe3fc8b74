/* ws_internal: what the files of this folder share. */
#ifndef WS_WS_INTERNAL_H
#define WS_WS_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "loop/loop.h"
#include "ws/ws.h"
#include "ws/ws_http.h"
#include "ws/ws_tls.h"

struct ssl_st;
struct sockaddr;
struct ws_dial;

enum ws_phase {
    WS_DIALLING, /* look-up and connect; client only */
    WS_TLS,      /* TLS handshake */
    WS_UPGRADE,  /* HTTP heads */
    WS_OPEN,
    WS_ENDING, /* no more reading; closed when what is unsent has gone out */
    WS_DEAD,   /* reported, or closed by the owner */
};

struct ws {
    struct loop *loop;
    struct loop_fd *watch;
    int fd; /* -1: none */
    enum ws_phase phase;
    bool is_server;
    bool paused;
    bool flush_is_deferred;
    bool is_freed;       /* by the owner; memory goes at the end of the turn */
    bool tls_wants_read; /* before it can write on */
    struct ssl_st *ssl;  /* NULL: plain */
    struct loop_timer timeout;

    struct buf in;  /* the HTTP head; empty once open */
    struct buf out; /* to be sent, from out_at on */
    size_t out_at;
    struct bytes chunk; /* what wslay is reading from */
    wslay_event_context_ptr wslay;
    size_t message_max;
    struct err *why; /* owned; set when ENDING after a failure */

    const struct ws_handlers *handlers;
    void *ctx;

    char key[WS_HTTP_KEY_LEN + 1];
    struct ws_dial *dial;     /* client: NULL once open */
    struct ws_server *server; /* server: NULL once open */
    struct ws *next_pending;  /* among the server's connections that are not open */
};

/* ---- ws.c: a connection once its descriptor is there ---- */

struct ws *ws_new(struct loop *loop, size_t message_max, bool is_server);

/* Take @fd, whose connect is done. Goes on with TLS when ws->ssl is set, with the upgrade else. */
NODISCARD int ws_take_fd(struct ws *ws, int fd, struct err *err);
void ws_fail(struct ws *ws, const struct err *why); /* the end: reports unless freed */
void ws_end(struct ws *ws, const struct err *why);  /* the same, once all that is unsent is out */
void ws_opened(struct ws *ws, struct bytes rest);   /* heads exchanged; @rest came behind them */
void ws_want(struct ws *ws);                        /* watch for what is needed now */

/* ---- ws_client.c ---- */

void ws_client_start_upgrade(struct ws *ws); /* writes the request */
void ws_client_on_head(struct ws *ws);       /* more of the response is in ws->in */
void ws_dial_stop(struct ws *ws);

/* ---- ws_server.c ---- */

void ws_server_on_head(struct ws *ws);
void ws_server_forget(struct ws *ws); /* takes it off the list of those not open */

/* ---- ws_tls.c ---- */

/* The TLS side of a connection over @fd. @host: what the certificate must name; NULL for servers.
 */
NODISCARD int ws_tls_attach(const struct ws_tls *tls, int fd, const char *host, struct ssl_st **out,
                            struct err *err);

/* As read and send: bytes done, or a WS_IO_ value. */
enum { WS_IO_WANT_READ = -1, WS_IO_WANT_WRITE = -2, WS_IO_END = -3, WS_IO_ERROR = -4 };
NODISCARD int ws_tls_handshake(struct ssl_st *ssl, struct err *err); /* 1 done */
ssize_t ws_tls_read(struct ssl_st *ssl, uint8_t *p, size_t n, struct err *err);
ssize_t ws_tls_write(struct ssl_st *ssl, const uint8_t *p, size_t n, struct err *err);
void ws_tls_detach(struct ssl_st **ssl);

#endif
