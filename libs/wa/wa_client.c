#include "wa/wa_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/wa_ack.h"
#include "wa/wa_client_internal.h"
#include "wa/wa_link.h"

enum { HANDSHAKE_FRAME_MAX = 64 << 10 /* bytes; certificates are a few hundred */ };

static const struct {
    const char *name;
    enum wa_again retry;
    const char *text;
} ends[] = {
#define END_ROW(name, retry, text) [WA_END_##name] = {#name, WA_RETRY_##retry, text},
    WA_END_LIST(END_ROW)
#undef END_ROW
};

const char *wa_end_name(enum wa_end end)
{
    return ends[end].name;
}

const char *wa_end_text(enum wa_end end)
{
    return ends[end].text;
}

enum wa_again wa_end_retry(enum wa_end end)
{
    return ends[end].retry;
}

/* ---- life ---- */

uint64_t wa_client_random(struct wa_client *client)
{
    uint64_t z = client->random += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

struct wa_client *wa_client_new(const struct wa_client_config *config,
                                const struct wa_client_ops *ops, void *ctx)
{
    struct wa_client *client = mem_new0(sizeof(*client));
    uint64_t prefix;

    client->config = *config;
    client->ops = *ops;
    client->ctx = ctx;
    client->random = config->seed;
    prefix = wa_client_random(client);
    client->id_prefix[0] = (uint8_t)prefix;
    client->id_prefix[1] = (uint8_t)(prefix >> 8);
    client->step_ms = client->qr_ms = client->ping_ms = client->dead_ms = INT64_MAX;
    client->waiters_end = &client->waiters;
    wa_frame_reader_init(&client->reader, HANDSHAKE_FRAME_MAX);
    return client;
}

/* Everything that an ended connection needs no more. */
static void release(struct wa_client *client)
{
    wa_client_handshake_drop(client);
    wa_client_pair_drop(client);
    noise_transport_done(&client->transport);
    wa_frame_reader_done(&client->reader);
}

static void destroy(struct wa_client *client)
{
    while (client->waiters != NULL) {
        struct wa_client_waiter *next = client->waiters->next;

        free(client->waiters);
        client->waiters = next;
    }
    release(client);
    free(client);
}

void wa_client_free(struct wa_client **client)
{
    struct wa_client *own = *client;

    *client = NULL;
    if (own == NULL) {
        return;
    }
    own->freed = true;
    own->phase = WA_PHASE_ENDED;
    if (own->busy == 0) {
        destroy(own);
    }
}

void wa_client_enter(struct wa_client *client)
{
    client->busy++;
}

void wa_client_leave(struct wa_client *client)
{
    if (--client->busy == 0 && client->freed) {
        destroy(client);
    }
}

bool wa_client_is_over(const struct wa_client *client)
{
    return client->freed || client->phase == WA_PHASE_ENDED;
}

bool wa_client_is_encrypted(const struct wa_client *client)
{
    return client->transport.sealer != NULL && !wa_client_is_over(client);
}

enum wa_phase wa_client_phase(const struct wa_client *client)
{
    return client->phase;
}

void wa_client_emit(struct wa_client *client, const struct wa_event *event)
{
    if (!client->freed) {
        client->ops.on_event(client->ctx, event);
    }
}

static void end_with(struct wa_client *client, const struct wa_event *event)
{
    if (wa_client_is_over(client)) {
        return;
    }
    client->phase = WA_PHASE_ENDED;
    client->step_ms = client->qr_ms = client->ping_ms = client->dead_ms = INT64_MAX;
    wa_client_waiters_fail(client, -ERR_CLOSED);
    wa_client_emit(client, event);
    if (!client->freed) {
        release(client); /* what the event's texts borrowed ends here */
    }
}

void wa_client_end(struct wa_client *client, enum wa_end end, int code, const char *detail)
{
    struct wa_event event = {.kind = WA_EVENT_ENDED};
    const char *said = detail == NULL ? wa_end_text(end) : detail;
    char clipped[WA_CLIENT_DETAIL_MAX + 1] = {0};

    memcpy(clipped, said, text_clip(said, WA_CLIENT_DETAIL_MAX));
    event.ended.end = end;
    event.ended.code = code;
    event.ended.detail = clipped;
    end_with(client, &event);
}

void wa_client_end_banned(struct wa_client *client, int code, int64_t expires_s)
{
    struct wa_event event = {.kind = WA_EVENT_ENDED};

    event.ended.end = WA_END_BANNED_FOR_NOW;
    event.ended.code = code;
    event.ended.expires_s = expires_s;
    event.ended.detail = wa_end_text(WA_END_BANNED_FOR_NOW);
    end_with(client, &event);
}

/* ---- bytes in ---- */

static int64_t ping_pause(struct wa_client *client)
{
    uint64_t span = WA_CLIENT_PING_MAX_MS - WA_CLIENT_PING_MIN_MS + 1;

    return WA_CLIENT_PING_MIN_MS + (int64_t)(wa_client_random(client) % span);
}

void wa_client_open(struct wa_client *client, int64_t now_ms, int64_t wall_ms)
{
    wa_client_enter(client);
    if (client->phase == WA_PHASE_NEW) {
        client->now_ms = now_ms;
        client->wall_offset_ms = wall_ms - now_ms;
        client->phase = WA_PHASE_HANDSHAKE;
        client->step_ms = now_ms + WA_CLIENT_HANDSHAKE_MS;
        wa_client_handshake_start(client);
    }
    wa_client_leave(client);
}

static void on_sealed(struct wa_client *client, struct bytes frame)
{
    struct arena arena = {0};
    struct wa_node *node = NULL;
    struct err err = {0};
    uint32_t before = client->transport.opened;

    if (wa_link_open(&client->transport, frame, &arena, &node, &err) == 0) {
        client->dead_ms = INT64_MAX;
        wa_client_stanza(client, node);
    } else if (client->transport.opened == before) {
        wa_client_end(client, WA_END_PROTOCOL, 0, err.text);
    } else { /* the stream is whole; only this one is no node */
        struct wa_event event = {.kind = WA_EVENT_DROPPED, .dropped = err.text};

        client->dead_ms = INT64_MAX;
        wa_client_emit(client, &event);
    }
    arena_done(&arena);
}

static void on_frame(struct wa_client *client, struct bytes frame)
{
    if (client->phase == WA_PHASE_HANDSHAKE) {
        wa_client_handshake_read(client, frame);
        if (wa_client_is_encrypted(client)) {
            client->reader.max = WA_FRAME_MAX;
            client->phase = WA_PHASE_OPEN;
            client->step_ms = client->now_ms + WA_CLIENT_HANDSHAKE_MS;
            client->ping_ms = client->now_ms + ping_pause(client);
        }
    } else {
        on_sealed(client, frame);
    }
}

void wa_client_feed(struct wa_client *client, struct bytes in, int64_t now_ms)
{
    struct err err = {0};
    struct bytes frame = {0};
    int rc = 1;

    wa_client_enter(client);
    client->now_ms = now_ms;
    while (rc == 1 && !wa_client_is_over(client) && client->phase != WA_PHASE_NEW) {
        rc = wa_frame_next(&client->reader, &in, &frame, &err);
        if (rc == 1) {
            on_frame(client, frame);
        } else if (rc < 0) {
            wa_client_end(client, WA_END_PROTOCOL, 0, err.text);
        }
    }
    wa_client_leave(client);
}

void wa_client_socket_closed(struct wa_client *client)
{
    bool paired = client->pairing != NULL && client->pairing->confirmed;

    wa_client_enter(client);
    wa_client_end(client, paired ? WA_END_RESTART : WA_END_SOCKET, 0, NULL);
    wa_client_leave(client);
}

/* ---- time ---- */

static void ping(struct wa_client *client)
{
    struct arena arena = {0};
    char id[32];

    wa_client_new_id(client, id);
    client->ping_ms = client->now_ms + ping_pause(client);
    client->dead_ms = client->now_ms + WA_CLIENT_PING_ANSWER_MS;
    if (wa_client_send(client, wa_node_iq(&arena, "get", "w:p", id), NULL) < 0) {
        wa_client_end(client, WA_END_PROTOCOL, 0, "every nonce of this connection is used");
    }
    arena_done(&arena);
}

/* The present step took too long. */
static void step_over(struct wa_client *client)
{
    client->step_ms = INT64_MAX;
    if (client->phase == WA_PHASE_SETTLING) {
        wa_client_proceed(client, client->now_ms); /* without new keys */
    } else if (client->pairing != NULL && client->pairing->confirmed) {
        wa_client_end(client, WA_END_RESTART, 0, NULL);
    } else {
        wa_client_end(client, WA_END_TIMEOUT, 0, NULL);
    }
}

void wa_client_tick(struct wa_client *client, int64_t now_ms)
{
    wa_client_enter(client);
    client->now_ms = now_ms;
    if (now_ms >= client->dead_ms) {
        wa_client_end(client, WA_END_TIMEOUT, 0, "nothing heard since the last ping");
    }
    if (now_ms >= client->step_ms) {
        step_over(client);
    }
    if (now_ms >= client->qr_ms) {
        wa_client_pair_next_code(client);
    }
    wa_client_waiters_expire(client);
    if (now_ms >= client->ping_ms && wa_client_is_encrypted(client)) {
        ping(client);
    }
    wa_client_leave(client);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t wa_client_deadline(const struct wa_client *client)
{
    int64_t at =
        earlier(earlier(client->step_ms, client->qr_ms), earlier(client->ping_ms, client->dead_ms));

    return client->waiters == NULL ? at : earlier(at, client->waiters->expires_ms);
}

/* ---- sending ---- */

int wa_client_send_packed(struct wa_client *client, struct bytes packed, struct err *err)
{
    struct buf out = {0};
    int rc;

    if (!wa_client_is_encrypted(client)) {
        return err_set(err, ERR_CLOSED, "not connected");
    }
    rc = wa_link_seal(&client->transport, packed, &out, err);
    if (rc == 0) {
        client->ops.on_send(client->ctx, buf_bytes(&out));
    }
    buf_done(&out);
    return rc;
}

int wa_client_send(struct wa_client *client, const struct wa_node *node, struct err *err)
{
    struct buf packed = {0};
    int rc;

    if (!wa_client_is_encrypted(client)) {
        return err_set(err, ERR_CLOSED, "not connected");
    }
    rc = wa_node_encode(node, &packed, err);
    if (rc == 0) {
        rc = wa_client_send_packed(client, buf_bytes(&packed), err);
    }
    buf_done(&packed);
    return rc;
}

int wa_client_ack(struct wa_client *client, const struct wa_node *stanza, int error,
                  struct err *err)
{
    struct arena arena = {0};
    struct wa_node *ack = wa_ack_for(&arena, stanza, error);
    int rc;

    if (wa_node_is(stanza, "message")) {
        wa_node_set_jid(ack, "from", &client->config.creds->pn);
    }
    rc = wa_client_send(client, ack, err);
    arena_done(&arena);
    return rc;
}
