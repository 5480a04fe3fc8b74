#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "noise/noise.h"
#include "testkit/testkit.h"

static const uint8_t prologue_bytes[] = {0x57, 0x41, 0x06, 0x03};
static const struct bytes prologue = {prologue_bytes, sizeof(prologue_bytes)};

/* Four key pairs that are the same in every run, the two sides, and what they said. */
struct fixture {
    struct crypto_pair client_static;
    struct crypto_pair client_ephemeral;
    struct crypto_pair server_static;
    struct crypto_pair server_ephemeral;
    struct noise_handshake client;
    struct noise_handshake server;
    struct noise_reply reply;
    struct noise_reply final;
    struct buf seen_by_client;
    struct buf seen_by_server;
    struct noise_transport from_client;
    struct noise_transport from_server;
};

static struct bytes of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void pair_of(uint8_t seed, struct crypto_pair *out)
{
    memset(out->priv, seed, CRYPTO_KEY);
    crypto_pair_from(out->priv, out);
}

static int setup(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    pair_of(1, &f->client_static);
    pair_of(2, &f->client_ephemeral);
    pair_of(3, &f->server_static);
    pair_of(4, &f->server_ephemeral);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    noise_handshake_wipe(&f->client);
    noise_handshake_wipe(&f->server);
    noise_reply_done(&f->reply);
    noise_reply_done(&f->final);
    buf_done(&f->seen_by_client);
    buf_done(&f->seen_by_server);
    noise_transport_done(&f->from_client);
    noise_transport_done(&f->from_server);
    free(f);
    return 0;
}

static struct bytes key(const uint8_t p[CRYPTO_KEY])
{
    return (struct bytes){p, CRYPTO_KEY};
}

static struct noise_message message_of(const struct noise_reply *reply, const uint8_t *ephemeral)
{
    return (struct noise_message){
        .ephemeral = {ephemeral, ephemeral == NULL ? 0 : CRYPTO_KEY},
        .static_box = {reply->static_box, sizeof(reply->static_box)},
        .payload_box = buf_bytes(&reply->payload_box),
    };
}

/* Up to and with the server's answer. */
static void open_xx(struct fixture *f)
{
    noise_client_start(&f->client, prologue, &f->client_ephemeral);
    assert_int_equal(noise_server_start(&f->server, NOISE_ANSWER_XX, prologue,
                                        key(f->client.ephemeral.pub), &f->server_ephemeral, NULL),
                     0);
    assert_int_equal(
        noise_server_write(&f->server, &f->server_static, of("certificates"), &f->reply, NULL), 0);
}

static void run_xx(struct fixture *f)
{
    struct noise_message message;

    open_xx(f);
    message = message_of(&f->reply, f->server.ephemeral.pub);
    assert_int_equal(noise_client_read(&f->client, &message, &f->seen_by_client, NULL), 0);
    assert_int_equal(noise_client_finish(&f->client, &f->client_static, of("login"), &f->final,
                                         &f->from_client, NULL),
                     0);
    message = message_of(&f->final, NULL);
    assert_int_equal(
        noise_server_finish(&f->server, &message, &f->seen_by_server, &f->from_server, NULL), 0);
}

static void assert_talks(struct noise_transport *from, struct noise_transport *to)
{
    for (int i = 0; i < 3; i++) {
        struct buf sealed = {0};
        uint8_t plain[5];

        assert_int_equal(noise_seal(from, of("hello"), &sealed, NULL), 0);
        assert_int_equal(sealed.n, 5 + CRYPTO_GCM_TAG);
        assert_int_equal(noise_open(to, buf_bytes(&sealed), plain, NULL), 0);
        assert_memory_equal(plain, "hello", 5);
        buf_done(&sealed);
    }
}

static void assert_hex(struct bytes got, const char *want)
{
    struct buf raw = {0};

    assert_int_equal(text_unhex(&raw, want, strlen(want)), 0);
    assert_int_equal(got.n, raw.n);
    assert_memory_equal(got.p, raw.p, raw.n);
    buf_done(&raw);
}

static void assert_seals(struct noise_transport *transport, const char *want)
{
    struct buf sealed = {0};

    assert_int_equal(noise_seal(transport, of("hello"), &sealed, NULL), 0);
    assert_hex(buf_bytes(&sealed), want);
    buf_done(&sealed);
}

/* The vectors below were computed by an independent implementation of the same steps. */
static void xx_gives_the_bytes_of_another_implementation(void **state)
{
    struct fixture *f = *state;

    run_xx(f);
    assert_hex((struct bytes){f->reply.static_box, NOISE_STATIC_BOX},
               "d4c9856676fde558f69b9347b4f34194bf4af4b72afef9b550038a764652bcd467f9980c65825bd7"
               "16553b31bcf17759");
    assert_hex(buf_bytes(&f->reply.payload_box),
               "7eb281f8067ff140d5dcb5df020f0043b30662c33e8937e28a10b8e2");
    assert_hex((struct bytes){f->final.static_box, NOISE_STATIC_BOX},
               "599b61d8987775d21570135cae3d36e5cdf4629e9dd0f9506de827d8ee9e17edca8c7bb37c0a05db"
               "bc1b7241d2133ca4");
    assert_hex(buf_bytes(&f->final.payload_box), "fb7551b4165b5f82dc190d338eef1b8b4d594721c5");
    assert_seals(&f->from_client, "1e9f96ef3a1545be8ccd5e329a0eb2985530379780");
    assert_seals(&f->from_client, "4bc47dd791590629f22779fb2dc635e99f84fc373a");
    assert_seals(&f->from_server, "a6b2032c11fc6bb087274d949594e8f28d728b0408");
}

static void the_fallback_gives_the_bytes_of_another_implementation(void **state)
{
    struct fixture *f = *state;
    struct buf client_static = {0};
    struct buf client_payload = {0};
    const char *box = "ebb40e3bc357ef984d101fc2210ca11161a6d98c580f71b4b48689e1d83c4620b7db9fb1f2ad"
                      "063a49a71f6592bdd886";
    const char *payload = "7814d8ee0cf47e20fb75f0d6a714ce0a68e7bdce47";
    struct noise_message message = {.ephemeral = {0}};

    assert_int_equal(noise_server_start(&f->server, NOISE_ANSWER_FALLBACK, prologue,
                                        key(f->client_ephemeral.pub), &f->server_ephemeral, NULL),
                     0);
    assert_int_equal(
        noise_server_write(&f->server, &f->server_static, of("certificates"), &f->reply, NULL), 0);
    assert_hex((struct bytes){f->reply.static_box, NOISE_STATIC_BOX},
               "48f54cac52323ea43a7c79f76c74ebc22ebdf7d36015f5701d2a29fba2e93d5467f9e15b8ee6877b"
               "5bebc13bf95ba65c");
    assert_int_equal(text_unhex(&client_static, box, strlen(box)), 0);
    assert_int_equal(text_unhex(&client_payload, payload, strlen(payload)), 0);
    message.static_box = buf_bytes(&client_static);
    message.payload_box = buf_bytes(&client_payload);
    assert_int_equal(
        noise_server_finish(&f->server, &message, &f->seen_by_server, &f->from_server, NULL), 0);
    assert_seals(&f->from_server, "10c782322fc3b36907c5d2ade0e776c4350ba3b3c1");
    buf_done(&client_static);
    buf_done(&client_payload);
}

static void ik_takes_and_gives_the_bytes_of_another_implementation(void **state)
{
    struct fixture *f = *state;
    struct buf box = {0};
    struct buf payload = {0};
    const char *box_hex = "09a5444ba2d3c4b9d9f3472cb62f7f25ce1bf82ba40434e4226a0fbbd23172b2b11a8de0"
                          "12b0efc88ab264d8efc7c634";
    const char *payload_hex = "0eae7fa332fce72eb5ce3c12292879e9eba92c27df";
    struct noise_message hello = {.ephemeral = key(f->client_ephemeral.pub)};

    assert_int_equal(text_unhex(&box, box_hex, strlen(box_hex)), 0);
    assert_int_equal(text_unhex(&payload, payload_hex, strlen(payload_hex)), 0);
    hello.static_box = buf_bytes(&box);
    hello.payload_box = buf_bytes(&payload);
    assert_int_equal(noise_server_ik_read(&f->server, prologue, &f->server_static, &hello,
                                          &f->seen_by_server, NULL),
                     0);
    assert_memory_equal(f->server.peer_static, f->client_static.pub, CRYPTO_KEY);
    assert_memory_equal(f->seen_by_server.p, "login", 5);
    assert_int_equal(noise_server_ik_finish(&f->server, &f->server_ephemeral, of("certificates"),
                                            &f->reply, &f->from_server, NULL),
                     0);
    assert_hex(buf_bytes(&f->reply.payload_box),
               "235a32daaebb7a38758d1458c70b20e545f799b992bb97aadeef1c98");
    assert_seals(&f->from_server, "3ee1319e287505742669bf99dd2c0c84633ba5684b");

    box.p[0] ^= 1;
    assert_int_equal(noise_server_ik_read(&f->server, prologue, &f->server_static, &hello,
                                          &f->seen_by_server, NULL),
                     -ERR_CRYPTO);
    buf_done(&box);
    buf_done(&payload);
}

static void both_sides_of_xx_meet_and_learn_the_static_keys(void **state)
{
    struct fixture *f = *state;

    run_xx(f);
    assert_memory_equal(f->client.peer_static, f->server_static.pub, CRYPTO_KEY);
    assert_memory_equal(f->server.peer_static, f->client_static.pub, CRYPTO_KEY);
    assert_memory_equal(f->seen_by_client.p, "certificates", f->seen_by_client.n);
    assert_memory_equal(f->seen_by_server.p, "login", f->seen_by_server.n);
    assert_talks(&f->from_client, &f->from_server);
    assert_talks(&f->from_server, &f->from_client);
}

static void the_fallback_differs_from_xx(void **state)
{
    struct fixture *f = *state;
    struct noise_message message;

    noise_client_start(&f->client, prologue, &f->client_ephemeral);
    assert_int_equal(noise_server_start(&f->server, NOISE_ANSWER_FALLBACK, prologue,
                                        key(f->client.ephemeral.pub), &f->server_ephemeral, NULL),
                     0);
    assert_int_equal(
        noise_server_write(&f->server, &f->server_static, of("certificates"), &f->reply, NULL), 0);
    message = message_of(&f->reply, f->server.ephemeral.pub);
    assert_int_equal(noise_client_read(&f->client, &message, &f->seen_by_client, NULL),
                     -ERR_CRYPTO);
}

static void a_changed_byte_anywhere_is_noticed(void **state)
{
    struct fixture *f = *state;

    open_xx(f);
    for (size_t i = 0; i < CRYPTO_KEY + NOISE_STATIC_BOX + f->reply.payload_box.n; i++) {
        struct noise_handshake client = f->client;
        struct noise_message message = message_of(&f->reply, f->server.ephemeral.pub);
        struct buf copy = {0};
        struct buf payload = {0};

        buf_add(&copy, message.ephemeral.p, message.ephemeral.n);
        buf_add(&copy, message.static_box.p, message.static_box.n);
        buf_add(&copy, message.payload_box.p, message.payload_box.n);
        copy.p[i] ^= 1;
        message.ephemeral.p = copy.p;
        message.static_box.p = copy.p + CRYPTO_KEY;
        message.payload_box.p = copy.p + CRYPTO_KEY + NOISE_STATIC_BOX;
        assert_int_equal(noise_client_read(&client, &message, &payload, NULL), -ERR_CRYPTO);
        assert_int_equal(payload.n, 0);
        buf_done(&copy);
        buf_done(&payload);
    }
}

static void pieces_of_wrong_length_are_refused(void **state)
{
    struct fixture *f = *state;
    struct noise_message whole;

    open_xx(f);
    whole = message_of(&f->reply, f->server.ephemeral.pub);
    for (int piece = 0; piece < 3; piece++) {
        struct noise_handshake client = f->client;
        struct noise_message cut = whole;
        struct bytes *pieces[] = {&cut.ephemeral, &cut.static_box, &cut.payload_box};

        pieces[piece]->n = piece == 2 ? CRYPTO_GCM_TAG - 1 : pieces[piece]->n - 1;
        assert_int_equal(noise_client_read(&client, &cut, &f->seen_by_client, NULL), -ERR_CRYPTO);
    }
}

static void a_frame_out_of_turn_does_not_open(void **state)
{
    struct fixture *f = *state;
    struct buf first = {0};
    struct buf second = {0};
    uint8_t plain[5];

    run_xx(f);
    assert_int_equal(noise_seal(&f->from_client, of("first"), &first, NULL), 0);
    assert_int_equal(noise_seal(&f->from_client, of("secnd"), &second, NULL), 0);
    assert_int_equal(noise_open(&f->from_server, buf_bytes(&second), plain, NULL), -ERR_CRYPTO);
    assert_int_equal(noise_open(&f->from_server, buf_bytes(&first), plain, NULL), 0);
    assert_int_equal(noise_open(&f->from_server, buf_bytes(&first), plain, NULL), -ERR_CRYPTO);
    assert_int_equal(noise_open(&f->from_server, buf_bytes(&second), plain, NULL), 0);
    assert_memory_equal(plain, "secnd", 5);
    buf_done(&first);
    buf_done(&second);
}

static void a_used_up_counter_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    struct buf sealed = {0};
    uint8_t plain[5];

    run_xx(f);
    f->from_client.sealed = UINT32_MAX;
    f->from_server.opened = UINT32_MAX;
    assert_int_equal(noise_seal(&f->from_client, of("x"), &sealed, NULL), -ERR_LIMIT);
    assert_int_equal(noise_open(&f->from_server, of("xxxxxxxxxxxxxxxxxxxxx"), plain, NULL),
                     -ERR_LIMIT);
    buf_done(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_sides_of_xx_meet_and_learn_the_static_keys, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(xx_gives_the_bytes_of_another_implementation, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_fallback_gives_the_bytes_of_another_implementation,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(ik_takes_and_gives_the_bytes_of_another_implementation,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_fallback_differs_from_xx, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_byte_anywhere_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_of_wrong_length_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frame_out_of_turn_does_not_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_used_up_counter_ends_the_stream, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
