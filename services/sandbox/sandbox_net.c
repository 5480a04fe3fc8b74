#include "sandbox/sandbox_net.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "sandbox/sandbox_world.h"
#include "ws/ws.h"

enum { TICK_MAX_MS = 60000 };

struct link {
    struct sandbox_net *net;
    struct ws *ws;
    struct sandbox_conn *conn; /* NULL: the world has closed it */
    bool is_broken;            /* it takes no more bytes */
    struct link *next;
    struct link *prev;
};

struct sandbox_net {
    struct loop *loop;
    struct sandbox_world *world;
    struct ws_server *server;
    struct loop_timer timer;
    int64_t (*clock)(void);
    struct link *links;
    bool touch_is_deferred;
    bool is_closed;
};

/* ---- time ---- */

static void on_timer(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    sandbox_net_touch(ctx);
}

void sandbox_net_wake(struct sandbox_net *net)
{
    sandbox_world_set_clock(net->world, net->clock());
}

void sandbox_net_touch(struct sandbox_net *net)
{
    int64_t now = net->clock();
    int64_t wait;

    sandbox_world_advance(net->world, now);
    wait = sandbox_world_deadline(net->world);
    wait = wait - now > TICK_MAX_MS ? TICK_MAX_MS : wait - now;
    loop_timer_start(net->loop, &net->timer, wait < 0 ? 0 : wait, on_timer, net);
}

static void on_touch(void *ctx)
{
    struct sandbox_net *net = ctx;

    net->touch_is_deferred = false;
    if (!net->is_closed) {
        sandbox_net_touch(net);
    }
}

/* At the end of this turn, once for all that comes in it. */
static void touch_later(struct sandbox_net *net)
{
    if (!net->touch_is_deferred) {
        net->touch_is_deferred = true;
        loop_defer(net->loop, on_touch, net);
    }
}

/* ---- connections ---- */

static void drop(struct link *link, unsigned code, const char *what)
{
    struct sandbox_conn *conn = link->conn;

    if (link->ws == NULL) {
        return;
    }
    ws_close(&link->ws, code);
    if (link->prev == NULL) {
        link->net->links = link->next;
    } else {
        link->prev->next = link->next;
    }
    if (link->next != NULL) {
        link->next->prev = link->prev;
    }
    link->conn = NULL;
    if (conn != NULL) {
        sandbox_conn_gone(conn, what);
    }
    loop_free_later(link->net->loop, link);
}

static void on_broken(void *ctx)
{
    struct link *link = ctx;

    drop(link, 0, NULL);
}

static void on_world_send(void *ctx, struct bytes message)
{
    struct link *link = ctx;

    if (link->ws != NULL && !link->is_broken && ws_send(link->ws, message, NULL) < 0) {
        link->is_broken = true; /* the world must not be called back from here */
        loop_defer(link->net->loop, on_broken, link);
    }
}

static void on_world_close(void *ctx)
{
    struct link *link = ctx;

    link->conn = NULL;
    if (!link->is_broken) {
        drop(link, WS_CODE_NORMAL, NULL);
    }
}

static const struct sandbox_wire wire = {on_world_send, on_world_close};

static void on_message(struct ws *ws, struct bytes message, void *ctx)
{
    struct link *link = ctx;

    (void)ws;
    if (link->conn != NULL) {
        sandbox_net_wake(link->net);
        sandbox_conn_receive(link->conn, message);
        touch_later(link->net);
    }
}

static void on_closed(struct ws *ws, const struct err *why, void *ctx)
{
    struct link *link = ctx;
    struct sandbox_net *net = link->net;
    bool broke_rules = why->code == -ERR_INVALID || why->code == -ERR_LIMIT;

    (void)ws;
    if (!link->is_broken) { /* else it goes at the end of this turn */
        sandbox_net_wake(net);
        drop(link, 0, broke_rules ? why->text : NULL);
        touch_later(net);
    }
}

static const struct ws_handlers handlers = {NULL, on_message, on_closed};

static void on_accept(struct ws_server *server, struct ws *ws, void *ctx)
{
    struct sandbox_net *net = ctx;
    struct link *link = mem_new0(sizeof(*link));

    (void)server;
    link->net = net;
    link->ws = ws;
    link->next = net->links;
    if (net->links != NULL) {
        net->links->prev = link;
    }
    net->links = link;
    ws_set_handlers(ws, &handlers, link);
    sandbox_net_wake(net);
    link->conn = sandbox_conn_open(net->world, &wire, link);
    touch_later(net);
}

/* ---- life ---- */

int sandbox_net_new(struct loop *loop, struct sandbox_world *world,
                    const struct sandbox_net_config *config, struct sandbox_net **out,
                    struct err *err)
{
    struct sandbox_net *net = mem_new0(sizeof(*net));
    struct ws_server_config ws_config = {.address = config->address,
                                         .port = config->port,
                                         .path_end = "/ws/chat",
                                         .tls = config->tls};
    int rc = ws_server_new(loop, &ws_config, on_accept, net, &net->server, err);

    if (rc < 0) {
        free(net);
        return rc;
    }
    net->loop = loop;
    net->world = world;
    net->clock = config->clock == NULL ? clock_wall_ms : config->clock;
    sandbox_net_touch(net);
    *out = net;
    return 0;
}

uint16_t sandbox_net_port(const struct sandbox_net *net)
{
    return ws_server_port(net->server);
}

void sandbox_net_close(struct sandbox_net **net)
{
    struct sandbox_net *gone = *net;

    if (gone == NULL) {
        return;
    }
    *net = NULL;
    gone->is_closed = true;
    ws_server_close(&gone->server);
    for (struct link *link = gone->links, *next = NULL; link != NULL; link = next) {
        next = link->next;
        drop(link, WS_CODE_NORMAL, NULL);
    }
    loop_timer_stop(&gone->timer);
    loop_free_later(gone->loop, gone);
}
