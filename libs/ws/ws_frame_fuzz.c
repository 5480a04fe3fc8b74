/* Frames of a peer behind the upgrade. The first byte says whether we are the server, the second in
 * what pieces the rest comes: whole or in pieces, the same messages come of it. */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "testkit/testkit_fuzz.h"
#include "ws/ws_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX = 512, WAIT_MS = 10000 };

struct peer {
    struct ws *ws;
    int far; /* our end of its socket */
    unsigned closed;
    struct buf heard; /* the messages, each behind its length */
};

static void on_message(struct ws *ws, struct bytes message, void *ctx)
{
    struct peer *peer = ctx;

    (void)ws;
    must(peer->closed == 0 && message.n <= MESSAGE_MAX);
    buf_add_be(&peer->heard, message.n, 4);
    buf_add(&peer->heard, message.p, message.n);
}

static void on_closed(struct ws *ws, const struct err *why, void *ctx)
{
    struct peer *peer = ctx;

    (void)ws;
    must(why->text[0] != '\0');
    peer->closed++;
}

static const struct ws_handlers handlers = {.on_message = on_message, .on_closed = on_closed};

/* Nothing is left to be read, or nothing will be. */
static bool is_quiet(void *ctx)
{
    const struct peer *peer = ctx;
    int left = 0;

    return peer->ws->phase != WS_OPEN || ioctl(peer->ws->fd, FIONREAD, &left) != 0 || left == 0;
}

static void open_peer(struct peer *peer, struct loop *loop, bool is_server, struct bytes early)
{
    int pair[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    peer->far = pair[1];
    peer->ws = ws_new(loop, MESSAGE_MAX, true); /* a server's end asks for no upgrade */
    ws_set_handlers(peer->ws, &handlers, peer);
    must(ws_take_fd(peer->ws, pair[0], NULL) == 0);
    peer->ws->is_server = is_server;
    ws_opened(peer->ws, early);
}

static void hear(struct loop *loop, bool is_server, struct bytes stream, size_t step,
                 struct buf *out)
{
    struct peer peer = {.far = -1};
    size_t first = step < stream.n ? step : stream.n;

    open_peer(&peer, loop, is_server, (struct bytes){stream.p, first});
    for (size_t at = first; at < stream.n && peer.closed == 0; at += step) {
        size_t n = step < stream.n - at ? step : stream.n - at;

        if (send(peer.far, stream.p + at, n, MSG_NOSIGNAL) < 0) {
            break; /* it ended the connection */
        }
        must(loop_run_until(loop, is_quiet, &peer, WAIT_MS) == 1);
    }
    must(peer.closed <= 1);
    ws_close(&peer.ws, 0);
    loop_run(loop); /* what is deferred */
    (void)close(peer.far);
    *out = peer.heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    struct bytes stream = {data + 2, size - 2};
    struct buf whole = {0};
    struct buf pieces = {0};

    if (size < 3) {
        return 0;
    }
    if (loop == NULL) {
        must(loop_new(&loop, NULL) == 0);
    }
    hear(loop, data[0] != 0, stream, stream.n, &whole);
    hear(loop, data[0] != 0, stream, (size_t)data[1] + 1, &pieces);
    must(whole.n == pieces.n && (whole.n == 0 || memcmp(whole.p, pieces.p, whole.n) == 0));
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
