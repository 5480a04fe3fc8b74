/* What only a host does: resuming by IK, falling back from it, refusing what is not the protocol.
 * The rest is tested against the client. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "testkit/testkit.h"
#include "wa/wa_frame.h"
#include "wa/wa_handshake.h"
#include "wa/wa_host.h"

/* An IK hello by an independent implementation: client static 01.., ephemeral 02.., server static
 * 03..; the payload is a login of number 129. */
static const char ik_ephemeral[] =
    "ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59";
static const char ik_static[] =
    "09a5444ba2d3c4b9d9f3472cb62f7f25ce1bf82ba40434e4226a0fbbd23172b2b11a"
    "8de012b0efc88ab264d8efc7c634";
static const char ik_payload[] = "6a40190ef185cbbd4335d46ca5331fa755a2e5";

struct fixture {
    struct wa_host_config config;
    struct wa_host *host;
    struct buf sent; /* the last message */
    int payloads;
    uint64_t username;
    uint8_t noise_key[CRYPTO_KEY];
    int nodes;
    bool frees; /* the host, inside the payload's event */
};

static void on_send(void *ctx, struct bytes message)
{
    struct fixture *f = ctx;

    buf_clear(&f->sent);
    buf_add(&f->sent, message.p, message.n);
}

static void on_payload(void *ctx, const struct wa_payload *payload, const uint8_t *noise_key)
{
    struct fixture *f = ctx;

    f->payloads++;
    f->username = payload->username;
    memcpy(f->noise_key, noise_key, CRYPTO_KEY);
    if (f->frees) {
        wa_host_free(&f->host);
    }
}

static void on_node(void *ctx, struct wa_node *node)
{
    (void)node;
    ((struct fixture *)ctx)->nodes++;
}

static const struct wa_host_ops ops = {on_send, on_payload, on_node};

static int setup(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    memset(f->config.static_pair.priv, 3, CRYPTO_KEY);
    crypto_pair_from(f->config.static_pair.priv, &f->config.static_pair);
    f->config.cert_chain = (struct bytes){(const uint8_t *)"certificates", 12};
    f->host = wa_host_new(&f->config, &ops, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    wa_host_free(&f->host);
    buf_done(&f->sent);
    free(f);
    return 0;
}

static void add_hex(struct buf *out, const char *hex)
{
    assert_int_equal(text_unhex(out, hex, strlen(hex)), 0);
}

static int feed_ik_hello(struct fixture *f)
{
    struct buf parts[3] = {{0}, {0}, {0}};
    struct noise_message pieces;
    struct buf hello = {0};
    struct buf stream = {0};
    int rc;

    add_hex(&parts[0], ik_ephemeral);
    add_hex(&parts[1], ik_static);
    add_hex(&parts[2], ik_payload);
    pieces =
        (struct noise_message){buf_bytes(&parts[0]), buf_bytes(&parts[1]), buf_bytes(&parts[2])};
    wa_handshake_write(WA_CLIENT_HELLO, &pieces, &hello);
    wa_frame_add_intro(&stream, (struct bytes){(const uint8_t *)"routing", 7});
    assert_int_equal(wa_frame_add(&stream, buf_bytes(&hello), NULL), 0);
    rc = wa_host_feed(f->host, buf_bytes(&stream), NULL);
    for (int i = 0; i < 3; i++) {
        buf_done(&parts[i]);
    }
    buf_done(&hello);
    buf_done(&stream);
    return rc;
}

/* Does the answer that was sent carry a static key? */
static bool answer_has_static(const struct fixture *f)
{
    struct wa_handshake answer = {0};
    struct bytes body = {f->sent.p + WA_FRAME_HEAD, f->sent.n - WA_FRAME_HEAD};
    bool has;

    assert_int_equal(wa_handshake_read(WA_SERVER_HELLO, body, &answer, NULL), 0);
    assert_int_equal(answer.pieces.ephemeral.n, CRYPTO_KEY);
    has = answer.has_static;
    wa_handshake_done(&answer);
    return has;
}

static void a_client_resumes_by_ik(void **state)
{
    struct fixture *f = *state;
    struct crypto_pair client;
    struct arena arena = {0};

    memset(client.priv, 1, CRYPTO_KEY);
    crypto_pair_from(client.priv, &client);
    assert_int_equal(feed_ik_hello(f), 0);
    assert_false(answer_has_static(f));
    assert_true(wa_host_is_open(f->host) && wa_host_is_ik(f->host));
    assert_int_equal(f->payloads, 1);
    assert_true(f->username == 129);
    assert_memory_equal(f->noise_key, client.pub, CRYPTO_KEY);
    assert_int_equal(wa_host_send(f->host, wa_node_new(&arena, "success"), NULL), 0);
    arena_done(&arena);
}

static void ik_for_another_key_or_unwanted_falls_back(void **state)
{
    struct fixture *f = *state;

    f->config.refuse_ik = true;
    assert_int_equal(feed_ik_hello(f), 0);
    assert_true(answer_has_static(f));
    assert_true(!wa_host_is_open(f->host) && f->payloads == 0);

    wa_host_free(&f->host);
    f->config.refuse_ik = false;
    crypto_pair_new(&f->config.static_pair);
    f->host = wa_host_new(&f->config, &ops, f);
    assert_int_equal(feed_ik_hello(f), 0);
    assert_true(answer_has_static(f));
    assert_int_equal(f->payloads, 0);
}

static void a_host_may_be_freed_inside_its_events(void **state)
{
    struct fixture *f = *state;

    f->frees = true;
    assert_int_equal(feed_ik_hello(f), -ERR_CLOSED);
    assert_null(f->host);
}

static void other_protocols_are_refused(void **state)
{
    static const char *const openings[] = {"GET / HTTP/1.1\r\n\r\n", "WA\x06\x02",
                                           "WA\x06\x03\x01\x00\x01", /* 65537 bytes of hello */
                                           "WA\x06\x03\x00\x00\x02\x0a\x07"};
    static const size_t lengths[] = {18, 4, 7, 9};
    static const int want[] = {-ERR_INVALID, -ERR_INVALID, -ERR_LIMIT, -ERR_INVALID};
    static const enum wa_host_fault faults[] = {WA_HOST_FRAMING, WA_HOST_FRAMING, WA_HOST_FRAMING,
                                                WA_HOST_HANDSHAKE};
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        struct bytes in = {(const uint8_t *)openings[i], lengths[i]};

        wa_host_free(&f->host);
        f->host = wa_host_new(&f->config, &ops, f);
        assert_int_equal(wa_host_feed(f->host, in, NULL), want[i]);
        assert_int_equal(wa_host_fault(f->host), faults[i]);
        assert_int_equal(wa_host_feed(f->host, in, NULL), -ERR_CLOSED);
    }
    assert_int_equal(f->sent.n, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_resumes_by_ik),
        T(ik_for_another_key_or_unwanted_falls_back),
        T(a_host_may_be_freed_inside_its_events),
        T(other_protocols_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
