/* The world on real sockets: the client engine over TLS on a loopback port. */
#include "sandbox/sandbox_net.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"
#include "sandbox/sandbox_world.h"
#include "sigstore/sigstore.h"
#include "testkit/testkit.h"
#include "wa/wa_client.h"
#include "wa/wa_prekeys.h"
#include "ws/ws.h"
#include "ws/ws_tls.h"

enum { PATIENCE_MS = 20000 };

struct rig {
    struct loop *loop;
    struct sandbox_world *world;
    struct ws_test_ca ca;
    struct ws_tls *server_tls;
    struct ws_tls *client_tls;
    struct sandbox_net *net;
    char ca_file[64];
    char url[64];

    struct ws *ws;
    struct wa_client *client;
    struct wa_creds creds;
    uint8_t root[CRYPTO_KEY];
    char qr[SANDBOX_QR_MAX];
    bool has_ended;
    enum wa_end ended;
    bool is_ready;
    bool socket_closed;
};

/* ---- the client ---- */

static void on_client_send(void *ctx, struct bytes message)
{
    assert_int_equal(ws_send(((struct rig *)ctx)->ws, message, NULL), 0);
}

static void on_event(void *ctx, const struct wa_event *event)
{
    struct rig *rig = ctx;

    if (event->kind == WA_EVENT_QR) {
        (void)snprintf(rig->qr, sizeof(rig->qr), "%s", event->qr.text);
    } else if (event->kind == WA_EVENT_PAIRED) {
        rig->creds = *event->paired.creds;
        assert_int_equal(wa_client_confirm_pairing(rig->client, loop_now_ms(rig->loop), NULL), 0);
    } else if (event->kind == WA_EVENT_PREKEYS_WANTED) {
        wa_client_proceed(rig->client, loop_now_ms(rig->loop));
    } else if (event->kind == WA_EVENT_READY) {
        rig->is_ready = true;
    } else if (event->kind == WA_EVENT_ENDED) {
        rig->has_ended = true;
        rig->ended = event->ended.end;
    }
}

static const struct wa_client_ops ops = {on_client_send, on_event};

static void on_open(struct ws *ws, void *ctx)
{
    struct rig *rig = ctx;

    (void)ws;
    wa_client_open(rig->client, loop_now_ms(rig->loop), clock_wall_ms());
}

static void on_message(struct ws *ws, struct bytes message, void *ctx)
{
    struct rig *rig = ctx;

    (void)ws;
    wa_client_feed(rig->client, message, loop_now_ms(rig->loop));
}

static void on_closed(struct ws *ws, const struct err *why, void *ctx)
{
    struct rig *rig = ctx;

    (void)ws;
    (void)why;
    rig->socket_closed = true;
}

static const struct ws_handlers handlers = {on_open, on_message, on_closed};

static void dial(struct rig *rig)
{
    struct wa_client_config config = {
        .creds = &rig->creds, .profile = &wa_profile_default, .root_key = rig->root, .seed = 1};
    struct ws_client_config ws = {.url = rig->url, .tls = rig->client_tls};

    ws_close(&rig->ws, WS_CODE_NORMAL);
    wa_client_free(&rig->client);
    rig->has_ended = rig->is_ready = rig->socket_closed = false;
    rig->qr[0] = '\0';
    rig->client = wa_client_new(&config, &ops, rig);
    assert_int_equal(ws_connect(rig->loop, &ws, &handlers, rig, &rig->ws, NULL), 0);
}

/* ---- set-up ---- */

static int64_t skipped_ms; /* by which the world's clock is ahead of the machine's */

static int64_t clock_of_test(void)
{
    return clock_wall_ms() + skipped_ms;
}

static void make_creds(struct rig *rig)
{
    struct sigstore_self self;
    struct sigstore_signed_prekey key;

    sigstore_self_make(&self);
    sigstore_signed_prekey_make(&self, 1, &key);
    wa_creds_make(&rig->creds);
    rig->creds.registration_id = self.registration_id;
    rig->creds.identity = self.identity;
    rig->creds.signed_prekey_id = key.key.id;
    memcpy(rig->creds.signed_prekey, key.key.pair.pub, CRYPTO_KEY);
    memcpy(rig->creds.signed_prekey_signature, key.signature, CRYPTO_SIGNATURE);
    sigstore_self_wipe(&self);
}

static void make_tls(struct rig *rig)
{
    static const char *const hosts[] = {"127.0.0.1", NULL};
    FILE *file;

    assert_int_equal(ws_test_ca_init(&rig->ca, hosts, NULL), 0);
    (void)snprintf(rig->ca_file, sizeof(rig->ca_file), "/tmp/sandbox_net_test.%d.pem",
                   (int)getpid());
    file = fopen(rig->ca_file, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(rig->ca.ca_pem.p, 1, rig->ca.ca_pem.n, file), rig->ca.ca_pem.n);
    (void)fclose(file);
    assert_int_equal(ws_tls_server_new(buf_bytes(&rig->ca.chain_pem), buf_bytes(&rig->ca.key_pem),
                                       &rig->server_tls, NULL),
                     0);
    assert_int_equal(ws_tls_client_new(rig->ca_file, &rig->client_tls, NULL), 0);
}

static int set_up(void **state)
{
    struct rig *rig = mem_new0(sizeof(*rig));
    struct sandbox_options options = {.seed = {9}, .now_ms = clock_of_test()};
    struct sandbox_net_config config = {.address = "127.0.0.1", .clock = clock_of_test};

    skipped_ms = 0;
    assert_int_equal(loop_new(&rig->loop, NULL), 0);
    assert_int_equal(sandbox_world_new(&options, &rig->world, NULL), 0);
    make_tls(rig);
    config.tls = rig->server_tls;
    assert_int_equal(sandbox_net_new(rig->loop, rig->world, &config, &rig->net, NULL), 0);
    (void)snprintf(rig->url, sizeof(rig->url), "wss://127.0.0.1:%u/ws/chat",
                   (unsigned)sandbox_net_port(rig->net));
    sandbox_world_root_key(rig->world, rig->root);
    make_creds(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    ws_close(&rig->ws, 0);
    wa_client_free(&rig->client);
    sandbox_net_close(&rig->net);
    sandbox_world_free(&rig->world);
    loop_free(&rig->loop);
    ws_tls_free(&rig->server_tls);
    ws_tls_free(&rig->client_tls);
    ws_test_ca_done(&rig->ca);
    wa_creds_wipe(&rig->creds);
    (void)unlink(rig->ca_file);
    free(rig);
    return 0;
}

/* ---- conditions ---- */

static bool shows_code(void *ctx)
{
    return ((struct rig *)ctx)->qr[0] != '\0';
}

static bool ended(void *ctx)
{
    return ((struct rig *)ctx)->has_ended;
}

static bool ready(void *ctx)
{
    return ((struct rig *)ctx)->is_ready;
}

static bool socket_closed(void *ctx)
{
    return ((struct rig *)ctx)->socket_closed;
}

static bool nobody_connected(void *ctx)
{
    struct sandbox_totals totals;

    sandbox_world_totals(((struct rig *)ctx)->world, &totals);
    return totals.connections == 0;
}

static void wait_for(struct rig *rig, bool (*is_done)(void *))
{
    assert_int_equal(loop_run_until(rig->loop, is_done, rig, PATIENCE_MS), 1);
}

static struct sandbox_account *pair(struct rig *rig)
{
    struct sandbox_account *account = NULL;

    dial(rig);
    wait_for(rig, shows_code);
    assert_int_equal(sandbox_world_scan(rig->world, rig->qr, NULL, &account, NULL), 0);
    sandbox_net_touch(rig->net);
    wait_for(rig, ended);
    assert_int_equal(rig->ended, WA_END_RESTART);
    dial(rig);
    wait_for(rig, ready);
    return account;
}

/* ---- tests ---- */

static void a_client_pairs_over_tls_and_is_gone_when_it_closes(void **state)
{
    struct rig *rig = *state;

    (void)pair(rig);
    ws_close(&rig->ws, WS_CODE_NORMAL);
    wait_for(rig, nobody_connected);
    assert_int_equal(sandbox_world_ledger(rig->world)->n_violations, 0);
}

static void a_client_that_is_cut_off_is_gone_too(void **state)
{
    struct rig *rig = *state;

    (void)pair(rig);
    ws_close(&rig->ws, 0);
    wait_for(rig, nobody_connected);
    assert_int_equal(sandbox_world_ledger(rig->world)->n_violations, 0);
}

/* The world's clock stood still meanwhile: no deadline of a new connection may count from then. */
static void a_client_pairs_after_a_long_silence(void **state)
{
    struct rig *rig = *state;

    skipped_ms += INT64_C(2) * SANDBOX_SILENCE_MS;
    (void)pair(rig);
    assert_false(rig->socket_closed);
}

static void rubbish_closes_the_socket(void **state)
{
    struct rig *rig = *state;

    dial(rig);
    wait_for(rig, shows_code);
    assert_int_equal(ws_send(rig->ws, (struct bytes){(const uint8_t *)"\0\0\3abc", 6}, NULL), 0);
    wait_for(rig, socket_closed);
    wait_for(rig, nobody_connected);
    assert_int_equal(sandbox_world_ledger(rig->world)->by_reason[SANDBOX_VIOLATION_NOISE_DECRYPT],
                     1);
}

/* A websocket without TLS on a port of its own, as bytes; gives the socket. */
static int dial_plain(struct rig *rig, struct sandbox_net **net)
{
    static const char upgrade[] =
        "GET /ws/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    struct sandbox_net_config config = {.address = "127.0.0.1", .clock = clock_of_test};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(sandbox_net_new(rig->loop, rig->world, &config, net, NULL), 0);
    to.sin_port = htons(sandbox_net_port(*net));
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, upgrade, sizeof(upgrade) - 1, MSG_NOSIGNAL), sizeof(upgrade) - 1);
    return fd;
}

static bool broke_the_websocket(void *ctx)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(((struct rig *)ctx)->world);

    return ledger->by_reason[SANDBOX_VIOLATION_WEBSOCKET] > 0;
}

static void a_message_of_another_kind_is_refused(void **state)
{
    static const char text[] = "\x81\x82\0\0\0\0hi"; /* a text message, masked with zeros */
    struct rig *rig = *state;
    struct sandbox_net *net = NULL;
    int fd = dial_plain(rig, &net);

    assert_int_equal(send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL), sizeof(text) - 1);
    wait_for(rig, broke_the_websocket);
    wait_for(rig, nobody_connected);
    assert_int_equal(sandbox_world_ledger(rig->world)->n_violations, 1);
    (void)close(fd);
    sandbox_net_close(&net);
}

static void the_world_ends_with_clients_connected(void **state)
{
    struct rig *rig = *state;

    (void)pair(rig);
    sandbox_net_close(&rig->net);
    wait_for(rig, socket_closed);
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(a_client_pairs_over_tls_and_is_gone_when_it_closes),
        NET_TEST(a_client_that_is_cut_off_is_gone_too),
        NET_TEST(a_client_pairs_after_a_long_silence),
        NET_TEST(rubbish_closes_the_socket),
        NET_TEST(a_message_of_another_kind_is_refused),
        NET_TEST(the_world_ends_with_clients_connected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
