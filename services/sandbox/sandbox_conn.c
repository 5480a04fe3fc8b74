/* A client's connection: frames to stanzas, stanzas to those who handle them, and its end. */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_internal.h"
#include "wa/wa_ack.h"

enum { NOT_LOGGED_IN = 401 };

/* ---- violations ---- */

static void fill(struct sandbox_violation_record *out, struct sandbox_device *device)
{
    if (device != NULL) {
        (void)snprintf(out->number, sizeof(out->number), "%s", device->account->number);
        out->device = device->number;
        device->violations++;
    }
}

void sandbox_violate(struct sandbox_conn *conn, enum sandbox_violation what, const char *fmt, ...)
{
    struct sandbox_violation_record made = {.what = what, .conn = conn->serial};
    va_list ap;

    conn->violations++;
    fill(&made, conn->device);
    va_start(ap, fmt);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is started */
    (void)vsnprintf(made.detail, sizeof(made.detail), fmt, ap);
    va_end(ap);
    made.at_ms = conn->world->now_ms;
    sandbox_ledger_violation(&conn->world->ledger, &made);
}

void sandbox_violate_device(struct sandbox_device *device, enum sandbox_violation what,
                            const char *fmt, ...)
{
    struct sandbox_violation_record made = {.what = what};
    va_list ap;

    if (device->conn != NULL) {
        made.conn = device->conn->serial;
        device->conn->violations++;
    }
    fill(&made, device);
    va_start(ap, fmt);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is started */
    (void)vsnprintf(made.detail, sizeof(made.detail), fmt, ap);
    va_end(ap);
    made.at_ms = device->account->world->now_ms;
    sandbox_ledger_violation(&device->account->world->ledger, &made);
}

/* ---- end ---- */

static void unlink_conn(struct sandbox_conn *conn)
{
    struct sandbox_world *world = conn->world;

    conn->phase = SANDBOX_CLOSED;
    sandbox_agenda_drop(&world->agenda, &conn->timeout);
    sandbox_pair_stop(conn);
    sandbox_login_left(conn);
    if (conn->prev == NULL) {
        world->conns = conn->next;
    } else {
        conn->prev->next = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    world->totals.connections--;
    wa_host_free(&conn->server);
    conn->next = world->gone; /* it may be in use further up: freed when the world is left */
    world->gone = conn;
}

void sandbox_conn_shut(struct sandbox_conn *conn)
{
    if (conn->phase != SANDBOX_CLOSED) {
        unlink_conn(conn);
        conn->wire->close(conn->wire_ctx);
    }
}

void sandbox_conn_gone(struct sandbox_conn *conn, const char *what)
{
    struct sandbox_world *world = conn->world;

    sandbox_enter(world);
    if (what != NULL) {
        sandbox_violate(conn, SANDBOX_VIOLATION_WEBSOCKET, "%s", what);
    }
    if (conn->phase != SANDBOX_CLOSED) {
        unlink_conn(conn);
    }
    sandbox_leave(world);
}

static void on_last_word_over(void *ctx)
{
    sandbox_conn_shut(ctx);
}

void sandbox_conn_last_word(struct sandbox_conn *conn)
{
    if (conn->phase == SANDBOX_CLOSED || conn->phase == SANDBOX_LAST_WORD) {
        return;
    }
    sandbox_pair_stop(conn);
    sandbox_login_left(conn);
    conn->phase = SANDBOX_LAST_WORD;
    sandbox_agenda_put(&conn->world->agenda, &conn->timeout,
                       conn->world->now_ms + SANDBOX_LAST_WORD_MS, on_last_word_over, conn);
}

/* ---- in and out ---- */

void sandbox_conn_send(struct sandbox_conn *conn, const struct wa_node *node)
{
    struct err err = {0};

    if (conn->phase == SANDBOX_CLOSED || conn->phase == SANDBOX_LAST_WORD) {
        return;
    }
    if (wa_host_send(conn->server, node, &err) < 0) {
        sandbox_conn_shut(conn); /* the counter is used up: nothing can be said any more */
    }
}

/* Who gave a stanza an id may wait for what becomes of it. */
static void refuse_stanza(struct sandbox_conn *conn, const struct wa_node *node, int error)
{
    if (wa_node_attr(node, "id") != NULL) {
        sandbox_conn_send(
            conn, wa_ack_sent(&conn->world->arena, node, sandbox_now_s(conn->world), error));
    }
}

static void handle_stanza(struct sandbox_conn *conn, const struct wa_node *node)
{
    if (wa_node_is(node, "message")) {
        const struct wa_node *ack = sandbox_message_handle(conn->device, node);

        if (!sandbox_fault_holds(conn, node, ack)) {
            sandbox_conn_send(conn, ack);
        }
    } else if (wa_node_is(node, "receipt")) {
        sandbox_queue_receipt(conn->device, node);
        sandbox_conn_send(conn, sandbox_receipt_handle(conn->device, node));
    } else if (wa_node_is(node, "ack")) {
        sandbox_queue_ack(conn->device, node);
    } else if (wa_node_is(node, "presence") || wa_node_is(node, "chatstate")) {
        sandbox_presence_handle(conn->device, node);
    } else if (wa_node_is(node, "notification") || wa_node_is(node, "call")) {
        sandbox_conn_send(conn,
                          wa_ack_sent(&conn->world->arena, node, sandbox_now_s(conn->world), 0));
    } else {
        sandbox_violate(conn, SANDBOX_VIOLATION_UNKNOWN_STANZA, "<%.40s>", node->tag);
        refuse_stanza(conn, node, WA_NACK_UNKNOWN_STANZA);
    }
}

static void on_silence(void *ctx)
{
    sandbox_conn_shut(ctx);
}

static void on_node(void *ctx, struct wa_node *node)
{
    struct sandbox_conn *conn = ctx;

    if (conn->phase == SANDBOX_PARTING || conn->phase == SANDBOX_LAST_WORD ||
        conn->phase == SANDBOX_CLOSED) {
        return;
    }
    if (conn->phase == SANDBOX_LOGGED_IN) {
        sandbox_agenda_put(&conn->world->agenda, &conn->timeout,
                           conn->world->now_ms + SANDBOX_SILENCE_MS, on_silence, conn);
    }
    if (wa_node_is(node, "ib") || wa_node_is(node, "xmlstreamend")) {
        return; /* unified_session, offline_batch: nothing hangs on them */
    }
    if (wa_node_is(node, "iq")) {
        sandbox_iq_handle(conn, node);
    } else if (conn->phase == SANDBOX_LOGGED_IN) {
        handle_stanza(conn, node);
    } else if (!wa_node_is(node, "presence") && !wa_node_is(node, "ack")) {
        sandbox_violate(conn, SANDBOX_VIOLATION_NOT_LOGGED_IN, "<%.40s>", node->tag);
        refuse_stanza(conn, node, NOT_LOGGED_IN);
    }
}

static void on_payload(void *ctx, const struct wa_payload *payload,
                       const uint8_t noise_key[CRYPTO_KEY])
{
    struct sandbox_conn *conn = ctx;

    memcpy(conn->noise, noise_key, CRYPTO_KEY);
    if (payload->is_registration) {
        sandbox_pair_start(conn, &payload->registration);
    } else {
        sandbox_login(conn, payload);
    }
}

static void on_send(void *ctx, struct bytes message)
{
    struct sandbox_conn *conn = ctx;

    if (conn->phase != SANDBOX_CLOSED) {
        conn->wire->send(conn->wire_ctx, message);
    }
}

static const struct wa_host_ops server_ops = {
    .on_send = on_send, .on_payload = on_payload, .on_node = on_node};

static enum sandbox_violation why_broken(const struct wa_host *server)
{
    static const enum sandbox_violation violations[] = {
        [WA_HOST_FRAMING] = SANDBOX_VIOLATION_BAD_FRAME,
        [WA_HOST_HANDSHAKE] = SANDBOX_VIOLATION_BAD_HANDSHAKE,
        [WA_HOST_SEAL] = SANDBOX_VIOLATION_NOISE_DECRYPT,
        [WA_HOST_NODE] = SANDBOX_VIOLATION_BAD_NODE,
    };

    return violations[wa_host_fault(server)];
}

void sandbox_conn_receive(struct sandbox_conn *conn, struct bytes message)
{
    struct sandbox_world *world = conn->world;
    struct err err = {0};
    int rc;

    if (conn->phase == SANDBOX_CLOSED || conn->phase == SANDBOX_LAST_WORD) {
        return;
    }
    sandbox_enter(world);
    rc = wa_host_feed(conn->server, message, &err);
    if (rc < 0 && conn->phase != SANDBOX_CLOSED) {
        sandbox_violate(conn, why_broken(conn->server), "%s", err.text);
        sandbox_conn_shut(conn);
    }
    sandbox_leave(world);
}

static void on_handshake_over(void *ctx)
{
    sandbox_conn_shut(ctx);
}

struct sandbox_conn *sandbox_conn_open(struct sandbox_world *world, const struct sandbox_wire *wire,
                                       void *ctx)
{
    struct sandbox_conn *conn = mem_new0(sizeof(*conn));

    conn->world = world;
    conn->wire = wire;
    conn->wire_ctx = ctx;
    conn->serial = ++world->serial;
    conn->server = wa_host_new(&world->server, &server_ops, conn);
    conn->next = world->conns;
    if (world->conns != NULL) {
        world->conns->prev = conn;
    }
    world->conns = conn;
    world->totals.connections++;
    sandbox_agenda_put(&world->agenda, &conn->timeout, world->now_ms + SANDBOX_HANDSHAKE_MS,
                       on_handshake_over, conn);
    return conn;
}
