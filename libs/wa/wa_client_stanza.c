/* What each stanza of the server means to the connection. */
#include <string.h>

#include "base/err.h"
#include "wa/wa_client_internal.h"

enum { DAY_MS = 24 * 3600 * 1000, WEEK_MS = 7 * DAY_MS };

/* Numbers, such as codes and counts: what is none, or too large for one, counts as missing. */
static int int_attr(const struct wa_node *node, const char *key, int missing)
{
    int64_t v = missing;

    return wa_node_attr_int(node, key, 0, INT32_MAX, &v) ? (int)v : missing;
}

/* ---- login ---- */

/* An opaque number that clients tell: the time within a week. */
static void send_unified_session(struct wa_client *client, int64_t server_s)
{
    struct arena arena = {0};
    struct wa_node *ib = wa_node_new(&arena, "ib");
    int64_t wall_ms = server_s > 0 ? server_s * 1000 : client->now_ms + client->wall_offset_ms;

    wa_node_set_int(wa_node_child(ib, "unified_session"), "id",
                    (wall_ms + (int64_t)3 * DAY_MS) % WEEK_MS);
    if (wa_client_send(client, ib, NULL) < 0) {
        client->ping_ms = client->now_ms; /* the ping fails too, and ends it */
    }
    arena_done(&arena);
}

static void ready(struct wa_client *client)
{
    struct wa_event event = {.kind = WA_EVENT_READY};

    client->phase = WA_PHASE_READY;
    client->step_ms = INT64_MAX;
    wa_client_emit(client, &event);
}

static void on_active(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct wa_client *client = ctx;

    (void)reply;
    if (rc == 0) {
        ready(client);
    } else if (rc == -ERR_TIMEOUT) {
        wa_client_end(client, WA_END_TIMEOUT, 0, NULL);
    } else if (rc == -ERR_REFUSED) {
        wa_client_end(client, WA_END_UNAVAILABLE, code, "the server refuses to make us active");
    }
}

void wa_client_proceed(struct wa_client *client, int64_t now_ms)
{
    struct arena arena = {0};
    struct wa_node *iq = wa_node_iq(&arena, "set", "passive", NULL);

    wa_client_enter(client);
    if (client->phase == WA_PHASE_SETTLING && !client->activating) {
        client->now_ms = now_ms;
        client->activating = true;
        client->step_ms = INT64_MAX; /* the request has its own time */
        (void)wa_node_child(iq, "active");
        if (client->config.stay_passive) {
            ready(client);
        } else if (wa_client_request(client, iq, now_ms, on_active, client, NULL) < 0) {
            wa_client_end(client, WA_END_PROTOCOL, 0, "the login cannot go on");
        }
    }
    wa_client_leave(client);
    arena_done(&arena);
}

static void want_prekeys(struct wa_client *client, int64_t at_server)
{
    struct wa_event event = {.kind = WA_EVENT_PREKEYS_WANTED};

    event.prekeys.at_server = at_server;
    wa_client_emit(client, &event);
}

static void on_prekey_count(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct wa_client *client = ctx;
    int64_t at_server = rc == 0 ? int_attr(wa_node_find(reply, "count"), "value", -1) : -1;

    (void)code;
    if (rc == -ERR_CLOSED) {
        return;
    }
    if (at_server >= 0 && at_server < WA_CLIENT_PREKEYS_LOW) {
        client->step_ms = client->now_ms + WA_CLIENT_SETTLE_MS;
        want_prekeys(client, at_server);
    } else { /* enough, or not known: a shortage is announced later */
        wa_client_proceed(client, client->now_ms);
    }
}

static void on_success(struct wa_client *client, const struct wa_node *node)
{
    struct wa_event event = {.kind = WA_EVENT_LOGGED_IN};
    struct arena arena = {0};
    struct wa_node *iq = wa_node_iq(&arena, "get", "encrypt", NULL);

    if (client->phase == WA_PHASE_OPEN && wa_creds_is_paired(client->config.creds)) {
        client->phase = WA_PHASE_SETTLING;
        client->step_ms = INT64_MAX;
        event.logged_in.server_s = wa_node_attr_time(node, "t");
        if (!wa_node_attr_jid(node, "lid", &event.logged_in.lid)) {
            event.logged_in.lid = (struct wa_jid){0};
        }
        wa_client_emit(client, &event);
        if (!wa_client_is_over(client)) {
            (void)wa_node_child(iq, "count");
            send_unified_session(client, event.logged_in.server_s);
            if (wa_client_request(client, iq, client->now_ms, on_prekey_count, client, NULL) < 0) {
                wa_client_end(client, WA_END_PROTOCOL, 0, "the login cannot go on");
            }
        }
    }
    arena_done(&arena);
}

/* ---- ends ---- */

static void on_failure(struct wa_client *client, const struct wa_node *node)
{
    int code = int_attr(node, "reason", 500);
    const char *detail = wa_node_attr(node, "message");

    switch (code) {
    case 401:
    case 403:
        wa_client_end(client, WA_END_LOGGED_OUT, code, detail);
        break;
    case 402:
        wa_client_end_banned(client, code, int_attr(node, "expire", 0));
        break;
    case 405:
        wa_client_end(client, WA_END_OUTDATED, code, detail);
        break;
    case 406:
        wa_client_end(client, WA_END_BANNED, code, detail);
        break;
    case 429:
        wa_client_end(client, WA_END_RATE_LIMITED, code, detail);
        break;
    case 500:
    case 503:
        wa_client_end(client, WA_END_UNAVAILABLE, code, detail);
        break;
    default:
        wa_client_end(client, WA_END_REFUSED, code, detail);
        break;
    }
}

static void on_stream_error(struct wa_client *client, const struct wa_node *node)
{
    const struct wa_node *conflict = wa_node_find(node, "conflict");
    int code = int_attr(node, "code", 0);

    if (wa_node_attr_is(conflict, "type", "device_removed")) {
        wa_client_end(client, WA_END_LOGGED_OUT, code, NULL);
    } else if (wa_node_attr_is(conflict, "type", "replaced")) {
        wa_client_end(client, WA_END_REPLACED, code, NULL);
    } else if (code == 515) {
        wa_client_end(client, WA_END_RESTART, code, NULL);
    } else if (code == 429) {
        wa_client_end(client, WA_END_RATE_LIMITED, code, NULL);
    } else if (code == 500 || code == 503) {
        wa_client_end(client, WA_END_UNAVAILABLE, code, NULL);
    } else { /* whether we are still welcome, the next login says */
        wa_client_end(client, WA_END_STREAM, code,
                      node->children == NULL ? NULL : node->children->tag);
    }
}

/* ---- others ---- */

static void forward(struct wa_client *client, enum wa_event_kind kind, const struct wa_node *node)
{
    struct wa_event event = {.kind = kind, .node = node};

    wa_client_emit(client, &event);
}

/* The server asks for its answer to a ping. */
static void answer_ping(struct wa_client *client, const struct wa_node *iq)
{
    struct arena arena = {0};
    struct wa_node *answer = wa_node_new(&arena, "iq");
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);

    wa_node_set_jid(answer, "to", &server);
    wa_node_set(answer, "type", "result");
    wa_node_set(answer, "id", wa_node_attr(iq, "id"));
    if (wa_client_send(client, answer, NULL) < 0) {
        client->ping_ms = client->now_ms;
    }
    arena_done(&arena);
}

static void on_iq(struct wa_client *client, const struct wa_node *iq)
{
    bool is_ping = wa_node_attr_is(iq, "xmlns", "urn:xmpp:ping") || wa_node_find(iq, "ping");

    if (wa_client_waiters_answer(client, iq)) {
        return;
    }
    if (wa_node_find(iq, "pair-device") != NULL) {
        wa_client_pair_offer(client, iq);
    } else if (wa_node_find(iq, "pair-success") != NULL) {
        wa_client_pair_success(client, iq);
    } else if (is_ping && wa_node_attr_is(iq, "type", "get")) {
        answer_ping(client, iq);
    } else {
        forward(client, WA_EVENT_OTHER, iq);
    }
}

/* The server keeps saying that something is out of date until it hears that we know. */
static void clean_dirty(struct wa_client *client, const struct wa_node *dirty)
{
    struct arena arena = {0};
    struct wa_node *iq;
    struct wa_node *clean;
    char id[32];

    wa_client_new_id(client, id);
    iq = wa_node_iq(&arena, "set", "urn:xmpp:whatsapp:dirty", id);
    clean = wa_node_child(iq, "clean");
    wa_node_set(clean, "type", wa_node_attr(dirty, "type"));
    wa_node_set(clean, "timestamp", wa_node_attr(dirty, "timestamp"));
    if (wa_client_send(client, iq, NULL) < 0) {
        client->ping_ms = client->now_ms;
    }
    arena_done(&arena);
}

static void on_ib(struct wa_client *client, const struct wa_node *ib)
{
    const struct wa_node *child = ib->children;
    struct wa_event event = {.kind = WA_EVENT_OTHER, .node = ib};

    if (wa_node_is(child, "offline_preview")) {
        event.kind = WA_EVENT_OFFLINE_PREVIEW;
        event.offline.count = int_attr(child, "count", -1);
    } else if (wa_node_is(child, "offline")) {
        event.kind = WA_EVENT_OFFLINE_DONE;
        event.offline.count = int_attr(child, "count", -1);
    } else if (wa_node_is(child, "edge_routing")) {
        event.routing = wa_node_bytes(wa_node_find(child, "routing_info"));
        if (event.routing.n > 0 && event.routing.n <= WA_FRAME_ROUTING_MAX) {
            event.kind = WA_EVENT_ROUTING;
        }
    } else if (wa_node_is(child, "dirty")) {
        clean_dirty(client, child);
    }
    wa_client_emit(client, &event);
}

static void on_stanza(struct wa_client *client, const struct wa_node *node)
{
    int64_t left = -1;

    if (wa_client_pair_hello(client, node)) {
        return;
    }
    if (wa_node_is(node, "notification") && wa_node_attr_is(node, "type", "encrypt")) {
        left = int_attr(wa_node_find(node, "count"), "value", -1);
    }
    forward(client, WA_EVENT_STANZA, node);
    if (left >= 0 && left < WA_CLIENT_PREKEYS_LOW && !wa_client_is_over(client)) {
        want_prekeys(client, left);
    }
}

void wa_client_stanza(struct wa_client *client, const struct wa_node *node)
{
    static const struct {
        const char *tag;
        void (*take)(struct wa_client *client, const struct wa_node *node);
    } takers[] = {
        {"iq", on_iq},
        {"message", on_stanza},
        {"receipt", on_stanza},
        {"notification", on_stanza},
        {"call", on_stanza},
        {"ib", on_ib},
        {"success", on_success},
        {"failure", on_failure},
        {"stream:error", on_stream_error},
    };

    for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
        if (wa_node_is(node, takers[i].tag)) {
            takers[i].take(client, node);
            return;
        }
    }
    if (wa_node_is(node, "ack")) {
        forward(client, WA_EVENT_ACK, node);
    } else if (wa_node_is(node, "xmlstreamend")) {
        wa_client_end(client, WA_END_STREAM, 0, NULL);
    } else {
        forward(client, WA_EVENT_OTHER, node);
    }
}
