/* Client against server over loopback, plain and TLS, and both against raw sockets. */
#include "ws/ws.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop.h"
#include "testkit/testkit.h"
#include "ws/ws_tls.h"

enum { PATIENCE_MS = 20000 };

struct end {
    struct ws *ws;
    struct buf got;
    size_t n_got;
    bool open;
    bool echo;
    bool close_on_message;
    int why; /* code of the error it ended with; 0: not yet */
    char text[240];
};

struct rig {
    struct loop *loop;
    struct ws_test_ca ca;
    struct ws_tls *server_tls;
    struct ws_tls *client_tls;
    struct ws_server *server;
    struct end client;
    struct end accepted;
    size_t server_message_max;
    int64_t server_timeout_ms;
    char ca_file[64];
    char url[96];
};

static void on_open(struct ws *ws, void *ctx)
{
    struct end *end = ctx;

    assert_ptr_equal(ws, end->ws);
    end->open = true;
}

static void on_message(struct ws *ws, struct bytes message, void *ctx)
{
    struct end *end = ctx;

    if (end->echo) {
        assert_int_equal(ws_send(ws, message, NULL), 0);
    }
    buf_add(&end->got, message.p, message.n);
    end->n_got++;
    if (end->close_on_message) {
        ws_close(&end->ws, WS_CODE_NORMAL);
    }
}

static void on_closed(struct ws *ws, const struct err *why, void *ctx)
{
    struct end *end = ctx;

    assert_int_equal(end->why, 0);
    (void)ws;
    end->why = why->code;
    memcpy(end->text, why->text, sizeof(end->text));
}

static const struct ws_handlers handlers = {on_open, on_message, on_closed};

static void on_accept(struct ws_server *server, struct ws *ws, void *ctx)
{
    struct rig *rig = ctx;

    (void)server;
    assert_null(rig->accepted.ws);
    rig->accepted.ws = ws;
    rig->accepted.open = true;
    ws_set_handlers(ws, &handlers, &rig->accepted);
}

static int set_up(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", NULL};
    struct rig *rig = mem_new0(sizeof(*rig));
    FILE *file;

    assert_int_equal(loop_new(&rig->loop, NULL), 0);
    assert_int_equal(ws_test_ca_init(&rig->ca, hosts, NULL), 0);
    (void)snprintf(rig->ca_file, sizeof(rig->ca_file), "/tmp/ws_test.%d.pem", (int)getpid());
    file = fopen(rig->ca_file, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(rig->ca.ca_pem.p, 1, rig->ca.ca_pem.n, file), rig->ca.ca_pem.n);
    (void)fclose(file);
    assert_int_equal(ws_tls_server_new(buf_bytes(&rig->ca.chain_pem), buf_bytes(&rig->ca.key_pem),
                                       &rig->server_tls, NULL),
                     0);
    assert_int_equal(ws_tls_client_new(rig->ca_file, &rig->client_tls, NULL), 0);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    ws_close(&rig->client.ws, 0);
    ws_close(&rig->accepted.ws, 0);
    ws_server_close(&rig->server);
    loop_free(&rig->loop);
    ws_tls_free(&rig->server_tls);
    ws_tls_free(&rig->client_tls);
    ws_test_ca_done(&rig->ca);
    buf_done(&rig->client.got);
    buf_done(&rig->accepted.got);
    (void)unlink(rig->ca_file);
    free(rig);
    return 0;
}

static void serve(struct rig *rig, bool tls)
{
    struct ws_server_config config = {.address = "127.0.0.1",
                                      .path_end = "/ws/chat",
                                      .tls = tls ? rig->server_tls : NULL,
                                      .message_max = rig->server_message_max,
                                      .timeout_ms = rig->server_timeout_ms};

    assert_int_equal(ws_server_new(rig->loop, &config, on_accept, rig, &rig->server, NULL), 0);
    (void)snprintf(rig->url, sizeof(rig->url), "%s://127.0.0.1:%u/any/ws/chat?q",
                   tls ? "wss" : "ws", (unsigned)ws_server_port(rig->server));
}

static void dial(struct rig *rig, const char *url, int64_t timeout_ms)
{
    struct ws_client_config config = {.url = url,
                                      .origin = "https://web.whatsapp.com",
                                      .tls = rig->client_tls,
                                      .timeout_ms = timeout_ms};

    assert_int_equal(ws_connect(rig->loop, &config, &handlers, &rig->client, &rig->client.ws, NULL),
                     0);
}

static bool both_open(void *ctx)
{
    struct rig *rig = ctx;

    return rig->client.open && rig->accepted.open;
}

static bool client_ended(void *ctx)
{
    return ((struct rig *)ctx)->client.why != 0;
}

static bool server_ended(void *ctx)
{
    return ((struct rig *)ctx)->accepted.why != 0;
}

static void wait_for(struct rig *rig, bool (*is_done)(void *))
{
    if (loop_run_until(rig->loop, is_done, rig, PATIENCE_MS) != 1) {
        fail_msg("waited in vain; client: %s, server: %s", rig->client.text, rig->accepted.text);
    }
}

static void open_both(struct rig *rig, bool tls)
{
    serve(rig, tls);
    dial(rig, rig->url, 0);
    wait_for(rig, both_open);
}

static const size_t sizes[] = {0, 1, 125, 126, 4096, 65535, 65536, 1000000, 3};
enum { N_SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static bool all_echoed(void *ctx)
{
    return ((struct rig *)ctx)->client.n_got == N_SIZES;
}

static void echo_all_sizes(struct rig *rig, bool tls)
{
    struct testkit_random random = {.state = 5};
    struct buf sent = {0};

    open_both(rig, tls);
    rig->accepted.echo = true;
    (void)buf_room(&sent, 1); /* the first message has no byte, but a place */
    for (size_t i = 0; i < N_SIZES; i++) {
        size_t from = sent.n;

        for (size_t j = 0; j < sizes[i]; j++) {
            buf_add_u8(&sent, (uint8_t)testkit_next(&random));
        }
        assert_int_equal(ws_send(rig->client.ws, (struct bytes){sent.p + from, sizes[i]}, NULL), 0);
    }
    wait_for(rig, all_echoed);
    assert_int_equal(rig->client.got.n, sent.n);
    assert_memory_equal(rig->client.got.p, sent.p, sent.n);
    assert_int_equal(rig->accepted.n_got, N_SIZES);
    assert_int_equal(ws_unsent(rig->client.ws), 0);
    buf_done(&sent);
}

static void messages_of_all_sizes_come_back_over_plain_sockets(void **state)
{
    echo_all_sizes(*state, false);
}

static void messages_of_all_sizes_come_back_over_tls(void **state)
{
    echo_all_sizes(*state, true);
}

static bool has_come(void *ctx)
{
    return ws_has_unread(((struct rig *)ctx)->client.ws);
}

static bool was_read(void *ctx)
{
    struct rig *rig = ctx;

    return rig->client.n_got == 1 && !ws_has_unread(rig->client.ws);
}

static void what_came_during_a_pause_is_seen_before_it_is_read(void **state)
{
    struct rig *rig = *state;

    open_both(rig, false);
    assert_false(ws_has_unread(rig->client.ws));
    ws_pause(rig->client.ws);
    assert_int_equal(ws_send(rig->accepted.ws, (struct bytes){(const uint8_t *)"abc", 3}, NULL), 0);
    wait_for(rig, has_come);
    assert_int_equal(rig->client.n_got, 0);
    ws_resume(rig->client.ws);
    wait_for(rig, was_read);
}

static void each_side_learns_that_the_other_closed(void **state)
{
    struct rig *rig = *state;

    open_both(rig, true);
    ws_close(&rig->client.ws, WS_CODE_NORMAL);
    wait_for(rig, server_ended);
    assert_int_equal(rig->accepted.why, -ERR_CLOSED);
    assert_string_equal(rig->accepted.text, "the other side closed with code 1000");
    assert_int_equal(ws_send(rig->accepted.ws, (struct bytes){NULL, 0}, NULL), -ERR_CLOSED);
}

static void a_cut_is_an_end_too(void **state)
{
    struct rig *rig = *state;

    open_both(rig, false);
    ws_close(&rig->accepted.ws, 0);
    wait_for(rig, client_ended);
    assert_int_equal(rig->client.why, -ERR_CLOSED);
}

static void closing_inside_a_message_is_safe(void **state)
{
    struct rig *rig = *state;

    open_both(rig, true);
    rig->accepted.close_on_message = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_send(rig->client.ws, (struct bytes){(const uint8_t *)"abc", 3}, NULL),
                         0);
    }
    wait_for(rig, client_ended);
    assert_int_equal(rig->accepted.n_got, 1);
    assert_null(rig->accepted.ws);
}

static void closing_while_connecting_is_safe(void **state)
{
    struct rig *rig = *state;

    serve(rig, true);
    dial(rig, rig->url, 0);
    ws_close(&rig->client.ws, WS_CODE_NORMAL);
    dial(rig, "ws://localhost:1/", 0); /* a look-up on a thread */
    assert_int_equal(loop_run_until(rig->loop, client_ended, rig, 0), 0);
    ws_close(&rig->client.ws, 0);
    dial(rig, rig->url, 0);
    wait_for(rig, both_open);
}

static void a_host_is_looked_up_and_its_name_checked(void **state)
{
    struct rig *rig = *state;
    char url[96];

    serve(rig, true);
    (void)snprintf(url, sizeof(url), "wss://localhost:%u/ws/chat",
                   (unsigned)ws_server_port(rig->server));
    dial(rig, url, 0);
    wait_for(rig, both_open);
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    static const char *const hosts[] = {"192.0.2.1", "example.com", NULL};
    struct rig *rig = *state;
    struct ws_test_ca other = {0};
    FILE *file = fopen(rig->ca_file, "w");

    ws_tls_free(&rig->server_tls);
    ws_tls_free(&rig->client_tls);
    assert_int_equal(ws_test_ca_init(&other, hosts, NULL), 0);
    assert_non_null(file);
    assert_int_equal(fwrite(other.ca_pem.p, 1, other.ca_pem.n, file), other.ca_pem.n);
    (void)fclose(file);
    assert_int_equal(ws_tls_server_new(buf_bytes(&other.chain_pem), buf_bytes(&other.key_pem),
                                       &rig->server_tls, NULL),
                     0);
    assert_int_equal(ws_tls_client_new(rig->ca_file, &rig->client_tls, NULL), 0);
    serve(rig, true);
    dial(rig, rig->url, 0);
    wait_for(rig, client_ended);
    assert_int_equal(rig->client.why, -ERR_CRYPTO);
    assert_non_null(strstr(rig->client.text, "mismatch"));
    ws_test_ca_done(&other);
}

static void an_unknown_authority_is_refused(void **state)
{
    struct rig *rig = *state;

    ws_tls_free(&rig->client_tls);
    assert_int_equal(ws_tls_client_new(NULL, &rig->client_tls, NULL), 0);
    serve(rig, true);
    dial(rig, rig->url, 0);
    wait_for(rig, client_ended);
    assert_int_equal(rig->client.why, -ERR_CRYPTO);
    assert_int_equal(ws_tls_client_new("/nonexistent", &rig->client_tls, NULL), -ERR_INVALID);
    ws_tls_free(&rig->server_tls);
    assert_int_equal(ws_tls_server_new(buf_bytes(&rig->ca.ca_pem), buf_bytes(&rig->ca.key_pem),
                                       &rig->server_tls, NULL),
                     -ERR_INVALID);
}

static void another_path_is_refused(void **state)
{
    struct rig *rig = *state;
    char url[96];

    serve(rig, false);
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u/ws/chats",
                   (unsigned)ws_server_port(rig->server));
    dial(rig, url, 0);
    wait_for(rig, client_ended);
    assert_int_equal(rig->client.why, -ERR_REFUSED);
    assert_non_null(strstr(rig->client.text, "404"));
}

static void urls_that_are_none_are_refused_at_once(void **state)
{
    static const char *const bad[] = {"http://a/",    "ws://",        "ws:///x",   "ws://a:0/",
                                      "ws://a:99999", "ws://a:1x/",   "ws://[::1", "ws://a b/",
                                      "ws://u@h/",    "ws://[::1]x/", "ws://a?q"};
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ws_client_config config = {.url = bad[i], .tls = rig->client_tls};

        assert_int_equal(ws_connect(rig->loop, &config, &handlers, NULL, &rig->client.ws, NULL),
                         -ERR_INVALID);
    }
}

/* ---- raw peers ---- */

static int raw_listen(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static int raw_connect(struct rig *rig)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(ws_server_port(rig->server))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void a_server_that_never_answers_is_given_up(void **state)
{
    struct rig *rig = *state;
    uint16_t port = 0;
    int fd = raw_listen(&port);
    char url[96];

    (void)snprintf(url, sizeof(url), "wss://127.0.0.1:%u/ws/chat", (unsigned)port);
    dial(rig, url, 30);
    wait_for(rig, client_ended);
    assert_int_equal(rig->client.why, -ERR_TIMEOUT);
    (void)close(fd);
}

static void nobody_listening_is_a_failure(void **state)
{
    struct rig *rig = *state;
    uint16_t port = 0;
    int fd = raw_listen(&port);
    char url[96];

    (void)close(fd);
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", (unsigned)port);
    dial(rig, url, 0);
    wait_for(rig, client_ended);
    assert_int_equal(rig->client.why, -ERR_EXTERNAL);
}

struct raw_answer {
    struct rig *rig;
    struct loop_fd *watch;
    const char *text;
    int fd;
    int peer;
};

static void on_raw_accept(struct loop_fd *watch, unsigned events, void *ctx)
{
    struct raw_answer *answer = ctx;

    (void)watch;
    (void)events;
    answer->peer = accept(answer->fd, NULL, NULL);
    assert_int_equal(write(answer->peer, answer->text, strlen(answer->text)), strlen(answer->text));
    loop_fd_close(&answer->watch);
}

static void check_answer(struct rig *rig, const char *text, int want)
{
    struct raw_answer answer = {.rig = rig, .text = text};
    uint16_t port = 0;
    char url[96];

    answer.fd = raw_listen(&port);
    assert_int_equal(loop_fd_new(rig->loop, answer.fd, on_raw_accept, &answer, &answer.watch, NULL),
                     0);
    loop_fd_want(answer.watch, LOOP_READ);
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", (unsigned)port);
    dial(rig, url, 0);
    wait_for(rig, client_ended);
    assert_int_equal(rig->client.why, want);
    ws_close(&rig->client.ws, 0);
    rig->client.why = 0;
    (void)close(answer.peer);
    (void)close(answer.fd);
}

static void bad_answers_to_the_upgrade_are_told_apart(void **state)
{
    struct rig *rig = *state;

    check_answer(rig, "HTTP/1.1 503 Busy\r\n\r\n", -ERR_EXTERNAL);
    check_answer(rig, "HTTP/1.1 403 No\r\n\r\n", -ERR_REFUSED);
    check_answer(rig, "220 smtp ready\r\n\r\n", -ERR_INVALID);
    check_answer(rig,
                 "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                 "Sec-WebSocket-Accept: AAAA\r\n\r\n",
                 -ERR_INVALID);
}

static const char upgrade[] = "GET /ws/chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* Send @frame behind an upgrade in one go; the server must end with @want. */
static void check_frame(struct rig *rig, struct bytes frame, int want)
{
    struct buf bytes = {0};
    int fd = raw_connect(rig);

    buf_add_str(&bytes, upgrade);
    buf_add(&bytes, frame.p, frame.n);
    assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
    wait_for(rig, server_ended);
    assert_int_equal(rig->accepted.why, want);
    assert_int_equal(rig->accepted.n_got, 0);
    ws_close(&rig->accepted.ws, 0);
    rig->accepted = (struct end){0};
    buf_done(&bytes);
    (void)close(fd);
}

#define FRAME(text) ((struct bytes){(const uint8_t *)(text), sizeof(text) - 1})

static void malformed_frames_end_the_connection(void **state)
{
    struct rig *rig = *state;

    rig->server_message_max = 1000;
    serve(rig, false);
    check_frame(rig, FRAME("\x82\x01x"), -ERR_INVALID);               /* not masked */
    check_frame(rig, FRAME("\xc2\x81\0\0\0\0x"), -ERR_INVALID);       /* reserved bit */
    check_frame(rig, FRAME("\x83\x81\0\0\0\0x"), -ERR_INVALID);       /* unknown opcode */
    check_frame(rig, FRAME("\x81\x81\0\0\0\0x"), -ERR_INVALID);       /* text */
    check_frame(rig, FRAME("\x82\xfe\x03\xe9\0\0\0\0x"), -ERR_LIMIT); /* 1001 bytes */
    check_frame(rig, FRAME("\x82\xff\xff\0\0\0\0\0\0\0\0\0\0\0"), -ERR_INVALID); /* absurd */
    check_frame(rig, FRAME("\x88\x82\0\0\0\0\x03\xe8"), -ERR_CLOSED);            /* close */
}

static bool no_more_bytes(void *ctx)
{
    char c;

    return recv(*(int *)ctx, &c, 1, MSG_DONTWAIT) == 0;
}

static void a_client_that_does_not_finish_its_request_is_dropped(void **state)
{
    struct rig *rig = *state;
    int fd;

    rig->server_timeout_ms = 30;
    serve(rig, false);
    fd = raw_connect(rig);
    assert_int_equal(write(fd, "GET /ws/chat", 12), 12);
    assert_int_equal(loop_run_until(rig->loop, no_more_bytes, &fd, PATIENCE_MS), 1);
    assert_null(rig->accepted.ws);
    (void)close(fd);
}

static bool all_arrived(void *ctx)
{
    struct rig *rig = ctx;

    return rig->accepted.n_got > 0 && ws_unsent(rig->client.ws) == 0;
}

static bool nothing(void *ctx)
{
    (void)ctx;
    return false;
}

static void who_does_not_read_is_noticed_by_a_limit(void **state)
{
    struct rig *rig = *state;
    struct buf message = {0};
    size_t sent = 0;

    open_both(rig, true);
    ws_pause(rig->accepted.ws);
    (void)memset(buf_room(&message, 1 << 20), 'x', 1 << 20);
    buf_used(&message, 1 << 20);
    while (ws_send(rig->client.ws, buf_bytes(&message), NULL) == 0) {
        sent += message.n;
        assert_int_equal(loop_run_until(rig->loop, nothing, NULL, 0), 0);
        assert_true(sent < 200000000);
    }
    assert_int_equal(ws_send(rig->client.ws, buf_bytes(&message), NULL), -ERR_LIMIT);
    assert_in_range(ws_unsent(rig->client.ws), 1, WS_UNSENT_MAX);
    assert_int_equal(rig->accepted.n_got, 0);
    ws_resume(rig->accepted.ws);
    while (rig->accepted.got.n < sent) {
        wait_for(rig, all_arrived);
        assert_int_equal(loop_run_until(rig->loop, nothing, NULL, 1), 0);
    }
    assert_int_equal(rig->accepted.got.n, sent);
    buf_done(&message);
}

static void a_taken_port_is_a_clear_error(void **state)
{
    struct rig *rig = *state;
    struct ws_server_config config = {.address = "127.0.0.1", .path_end = "/"};
    struct ws_server *second = NULL;
    struct err err = {0};

    serve(rig, false);
    config.port = ws_server_port(rig->server);
    assert_int_equal(ws_server_new(rig->loop, &config, on_accept, rig, &second, &err), -ERR_SYSTEM);
    assert_non_null(strstr(err.text, "taken"));
    config.address = "localhost";
    assert_int_equal(ws_server_new(rig->loop, &config, on_accept, rig, &second, &err),
                     -ERR_INVALID);
}

#define WS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WS_TEST(messages_of_all_sizes_come_back_over_plain_sockets),
        WS_TEST(messages_of_all_sizes_come_back_over_tls),
        WS_TEST(what_came_during_a_pause_is_seen_before_it_is_read),
        WS_TEST(each_side_learns_that_the_other_closed),
        WS_TEST(a_cut_is_an_end_too),
        WS_TEST(closing_inside_a_message_is_safe),
        WS_TEST(closing_while_connecting_is_safe),
        WS_TEST(a_host_is_looked_up_and_its_name_checked),
        WS_TEST(a_certificate_for_another_host_is_refused),
        WS_TEST(an_unknown_authority_is_refused),
        WS_TEST(another_path_is_refused),
        WS_TEST(urls_that_are_none_are_refused_at_once),
        WS_TEST(a_server_that_never_answers_is_given_up),
        WS_TEST(nobody_listening_is_a_failure),
        WS_TEST(bad_answers_to_the_upgrade_are_told_apart),
        WS_TEST(malformed_frames_end_the_connection),
        WS_TEST(a_client_that_does_not_finish_its_request_is_dropped),
        WS_TEST(who_does_not_read_is_noticed_by_a_limit),
        WS_TEST(a_taken_port_is_a_clear_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
