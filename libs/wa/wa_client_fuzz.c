/* A hostile peer. The first byte says where: 0 a client behind the handshake that is not paired, 1
 * one that is, 2 a client in the handshake, 3 a host. Behind the handshake the rest is a list of
 * (action, length, packed node): sealed and fed; or time passes; or the caller answers. */
#include <stdlib.h>
#include <string.h>

#include "wa/wa_client_internal.h"
#include "wa/wa_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct wa_client *client;
    struct noise_transport peer;
    int ended;
};

static void on_send(void *ctx, struct bytes message)
{
    (void)ctx;
    (void)message;
}

static void on_event(void *ctx, const struct wa_event *event)
{
    struct world *world = ctx;

    if (world->ended > 0) {
        abort(); /* nothing comes behind the end */
    }
    world->ended += event->kind == WA_EVENT_ENDED;
    if (event->kind == WA_EVENT_STANZA && wa_client_ack(world->client, event->node, 0, NULL) < 0) {
        world->ended += 0; /* an address that does not go back: allowed */
    }
}

static void on_payload(void *ctx, const struct wa_payload *payload, const uint8_t *noise_key)
{
    (void)ctx;
    (void)payload;
    (void)noise_key;
}

static void on_node(void *ctx, struct wa_node *node)
{
    (void)ctx;
    (void)node;
}

static const struct wa_client_ops client_ops = {on_send, on_event};
static const struct wa_host_ops host_ops = {on_send, on_payload, on_node};

static void on_reply(void *ctx, int rc, int code, const struct wa_node *reply)
{
    (void)ctx;
    (void)code;
    if (rc == 0 && reply == NULL) {
        abort();
    }
}

static void feed_sealed(struct world *world, struct bytes packed, int64_t now_ms)
{
    struct buf frame = {0};

    buf_add_be(&frame, packed.n + CRYPTO_GCM_TAG, WA_FRAME_HEAD);
    if (noise_seal(&world->peer, packed, &frame, NULL) == 0) {
        wa_client_feed(world->client, buf_bytes(&frame), now_ms);
    }
    buf_done(&frame);
}

static void act(struct world *world, uint8_t action, struct bytes packed, int64_t *now_ms)
{
    struct arena arena = {0};

    switch (action % 6) {
    case 0:
        *now_ms += 1000 * (int64_t)packed.n;
        wa_client_tick(world->client, *now_ms);
        break;
    case 1:
        if (wa_client_confirm_pairing(world->client, *now_ms, NULL) == 0) {
            *now_ms += 1;
        }
        break;
    case 2:
        wa_client_proceed(world->client, *now_ms);
        break;
    case 3:
        if (wa_client_request(world->client, wa_node_iq(&arena, "get", "usync", NULL), *now_ms,
                              on_reply, world, NULL) < 0) {
            *now_ms += 1;
        }
        break;
    default:
        feed_sealed(world, packed, *now_ms);
        break;
    }
    arena_done(&arena);
}

static void run_script(struct world *world, struct bytes script)
{
    static const uint8_t key[CRYPTO_KEY];
    int64_t now_ms = 1;

    wa_client_handshake_drop(world->client);
    world->client->phase = WA_PHASE_OPEN;
    world->client->reader.max = WA_FRAME_MAX;
    world->client->transport.sealer = crypto_gcm_new(key);
    world->client->transport.opener = crypto_gcm_new(key);
    world->peer.sealer = crypto_gcm_new(key);
    while (script.n >= 3) {
        size_t n = (size_t)script.p[1] << 8 | script.p[2];

        n = n < script.n - 3 ? n : script.n - 3;
        act(world, script.p[0], (struct bytes){script.p + 3, n}, &now_ms);
        script.p += 3 + n;
        script.n -= 3 + n;
    }
    noise_transport_done(&world->peer);
}

static void feed_host(struct bytes in)
{
    static struct wa_host_config config;
    struct wa_host *host = wa_host_new(&config, &host_ops, NULL);

    while (in.n > 0) {
        size_t n = in.n < 50 ? in.n : 50;

        if (wa_host_feed(host, (struct bytes){in.p, n}, NULL) < 0) {
            break;
        }
        in.p += n;
        in.n -= n;
    }
    wa_host_free(&host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t root[CRYPTO_KEY];
    struct wa_creds creds = {0};
    struct wa_client_config config = {
        .creds = &creds, .profile = &wa_profile_default, .root_key = root, .seed = 1};
    struct world world = {0};
    struct bytes rest;

    if (size < 1) {
        return 0;
    }
    rest = (struct bytes){data + 1, size - 1};
    if (data[0] % 4 == 3) {
        feed_host(rest);
        return 0;
    }
    if (data[0] % 4 == 1) {
        creds.pn = wa_jid_make(WA_SERVER_PN, "1", 1);
    }
    world.client = wa_client_new(&config, &client_ops, &world);
    wa_client_open(world.client, 1, 1700000000000);
    if (data[0] % 4 == 2) {
        wa_client_feed(world.client, rest, 2);
    } else {
        run_script(&world, rest);
    }
    wa_client_free(&world.client);
    return 0;
}
