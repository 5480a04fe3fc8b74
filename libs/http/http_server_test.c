#include "testkit/testkit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "http/http.h"

enum { LARGE = 8 << 20 }; /* bytes */

/* ---- an application ---- */

static json_t *render_api(const struct http_problem *p)
{
    return json_pack("{s:b, s:s, s:s}", "success", 0, "message", p->message, "error", p->code);
}

static json_t *render_rest(const struct http_problem *p)
{
    return json_pack("{s:s, s:s}", "error", http_reason(p->status), "message", p->message);
}

static void on_echo(struct http_request *request, void *ctx)
{
    const char *q = http_query(request, "q");

    (void)ctx;
    http_answer_json(request, 200,
                     json_pack("{s:s, s:s?}", "id", http_param(request, "id"), "q", q));
}

static void on_json(struct http_request *request, void *ctx)
{
    json_t *body = NULL;
    struct err err = {0};

    (void)ctx;
    if (http_json(request, &body, &err) < 0) {
        http_fail_body(request, &err);
        return;
    }
    http_answer_json(request, 201, json_incref(body));
}

static void on_count(struct http_request *request, void *ctx)
{
    char part[1000];
    int64_t total = 0;
    struct err err = {0};

    (void)ctx;
    for (;;) {
        int64_t got = http_read(request, part, sizeof(part), &err);

        if (got < 0) {
            http_fail_body(request, &err);
            return;
        }
        if (got == 0) {
            break;
        }
        total += got;
    }
    http_answer_json(request, 200, json_pack("{s:I}", "bytes", (json_int_t)total));
}

static void on_silence(struct http_request *request, void *ctx)
{
    (void)request;
    (void)ctx;
}

static atomic_int sockets_open;
static _Atomic(struct http_ws *) last_ws;

static void on_ws_ready(struct http_ws *ws, void *ctx)
{
    (void)ctx;
    atomic_store(&last_ws, ws);
    atomic_fetch_add(&sockets_open, 1);
}

static void on_ws_gone(struct http_ws *ws, void *ctx)
{
    (void)ws;
    (void)ctx;
    atomic_store(&last_ws, NULL);
    atomic_fetch_sub(&sockets_open, 1);
}

static void on_ws_turn(struct http_ws *ws, void *ctx)
{
    (void)ctx;
    http_ws_send_json(ws, json_pack("{s:s}", "type", "turn"));
}

static void on_ws_text(struct http_ws *ws, struct bytes text, void *ctx)
{
    (void)ctx;
    http_ws_send_json(ws, json_pack("{s:s}", "heard", (const char *)text.p));
    http_ws_close(ws, 1000);
}

static void on_ws(struct http_request *request, void *ctx)
{
    const char *owner = http_query(request, "owner");
    const struct http_ws_events events = {
        .turn = on_ws_turn, .text = on_ws_text, .owner = owner != NULL ? owner[0] : 0};
    struct err err = {0};

    (void)ctx;
    if (http_ws_run(request, &events, on_ws_ready, on_ws_gone, &err) < 0) {
        http_fail(request, err.code == -ERR_LIMIT ? 503 : 400, "INVALID_REQUEST", "%s", err.text);
    }
}

static bool admit(struct http_request *request, const struct http_route *route, void *ctx)
{
    (void)ctx;
    if (route->access == 1 && http_bearer(http_header(request, "Authorization")) == NULL) {
        http_fail(request, 401, "UNAUTHORIZED", "No token");
        return false;
    }
    return true;
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/api/echo/{id}", .handle = on_echo, .family = 0},
    {.method = HTTP_POST, .pattern = "/api/json", .handle = on_json, .family = 0},
    {.method = HTTP_POST, .pattern = "/api/count", .handle = on_count, .body_max = 1 << 20},
    {.method = HTTP_GET, .pattern = "/api/closed", .handle = on_echo, .access = 1},
    {.method = HTTP_GET, .pattern = "/silence", .handle = on_silence, .family = 1},
    {.method = HTTP_GET, .pattern = "/ws", .handle = on_ws, .family = 1},
};
static const struct http_family families[] = {{"api", "/api", render_api},
                                              {"rest", "", render_rest}};
static const struct http_app app = {.routes = routes,
                                    .n_routes = sizeof(routes) / sizeof(routes[0]),
                                    .families = families,
                                    .n_families = 2,
                                    .admit = admit};

static struct http_server *server;

static int start(void **state)
{
    const struct http_options options = {
        .threads = 4, .deadline_ms = 400, .upload_deadline_ms = 4000, .cors_origin = "*"};

    (void)state;
    return http_server_start(&options, &app, &server, NULL);
}

static int stop(void **state)
{
    (void)state;
    return (int)http_server_stop(&server, 5000);
}

/* ---- a client ---- */

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval limit = {.tv_sec = 8};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static void say(int fd, const char *text)
{
    size_t n = strlen(text);

    for (size_t sent = 0; sent < n;) {
        ssize_t now = send(fd, text + sent, n - sent, MSG_NOSIGNAL);

        assert_true(now > 0);
        sent += (size_t)now;
    }
}

/* All until the server closes. Free it. */
static char *hear(int fd)
{
    struct buf all = {0};
    ssize_t got;

    do {
        got = recv(fd, buf_room(&all, 4096), 4096, 0);
        buf_used(&all, got > 0 ? (size_t)got : 0);
    } while (got > 0);
    (void)close(fd);
    (void)buf_text(&all);
    return (char *)all.p;
}

static char *ask(const char *text)
{
    int fd = dial();

    say(fd, text);
    return hear(fd);
}

static void expect(char *answer, const char *status, const char *part)
{
    if (strncmp(answer, status, strlen(status)) != 0 || strstr(answer, part) == NULL) {
        fail_msg("want %s and %s in: %s", status, part, answer);
    }
    free(answer);
}

/* ---- tests ---- */

static void requests_reach_their_handlers(void **state)
{
    (void)state;
    expect(ask("GET /api/echo/x%20y?q=1%2B HTTP/1.1\r\nHost: h\r\nX-Request-Id: me-1\r\n\r\n"),
           "HTTP/1.1 200 OK\r\n", "{\"id\":\"x y\",\"q\":\"1+\"}");
    expect(ask("GET /api/echo/x HTTP/1.1\r\nHost: h\r\nX-Request-Id: me-1\r\n\r\n"), "HTTP/1.1 200",
           "X-Request-Id: me-1\r\n");
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Type: "
               "application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
           "HTTP/1.1 201 Created\r\n", "{\"a\":1}");
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n"),
           "HTTP/1.1 201 Created\r\n", "{\"a\":1}");
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 201", "{}");
    expect(ask("HEAD /api/echo/x HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 200",
           "Content-Length: 19\r\n");
}

static void failures_wear_the_family_of_the_path(void **state)
{
    (void)state;
    expect(ask("GET /api/none HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 404 Not Found",
           "\"error\":\"NOT_FOUND\"");
    expect(ask("GET /none HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 404", "\"error\":\"Not Found\"");
    expect(ask("PUT /api/json HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 405",
           "Allow: POST, OPTIONS\r\n");
    expect(ask("GET /api/closed HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 401",
           "\"error\":\"UNAUTHORIZED\"");
    expect(ask("GET /silence HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 500", "gave no answer");
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n[]"), "HTTP/1.1 400",
           "not a JSON object");
    expect(ask("rubbish\r\n\r\n"), "HTTP/1.1 400", "\"error\":\"Bad Request\"");
}

static void preflights_need_no_credential(void **state)
{
    (void)state;
    expect(ask("OPTIONS /api/closed HTTP/1.1\r\nHost: h\r\nOrigin: http://ui:5173\r\n"
               "Access-Control-Request-Method: GET\r\n\r\n"),
           "HTTP/1.1 204 No Content", "Access-Control-Allow-Methods: GET, OPTIONS\r\n");
    expect(ask("OPTIONS /nothing HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 404", "message");
}

static void smuggling_is_refused(void **state)
{
    (void)state;
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
               "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
           "HTTP/1.1 400", "Content-Length beside Transfer-Encoding");
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
               "Content-Length: 3\r\n\r\n{}"),
           "HTTP/1.1 400", "more than one Content-Length");
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: 2x\r\n\r\n{}"),
           "HTTP/1.1 400", "not a number");
    expect(ask("GET /api/echo/x HTTP/1.1\r\n\r\n"), "HTTP/1.1 400", "no Host");
    expect(ask("GET /api/echo/%00 HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400", "bad escape");
    expect(ask("GET /api/../silence HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400", "dot segment");
}

/* What civetweb answers itself, or takes for something else, gets a word that says what is wrong.
 */
static void what_is_hardly_a_request_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *request;
        const char *status;
        const char *reason;
    } rows[] = {
        {"\x16\x03\x01\x02 a TLS hello\r\n\r\n", "400", "control character"},
        {"FETCH /api/echo/x HTTP/1.1\r\nHost: h\r\n\r\n", "400", "request line"},
        {"GET /api/echo/x HTTP/2\r\nHost: h\r\n\r\n", "505", "only HTTP/1.0"},
        {"GET /api/echo/x\r\n\r\n", "400", "request line"},
        {"GET http://h/api/echo/x HTTP/1.1\r\nHost: h\r\n\r\n", "400", "must be a path"},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "400", "must be a path"},
        {"GET /api/echo/\xff HTTP/1.1\r\nHost: h\r\n\r\n", "400", "malformed"},
        {"GET /api/echo/%ff HTTP/1.1\r\nHost: h\r\n\r\n", "400", "not UTF-8"},
        {"GET /api/echo/x?q=%zz HTTP/1.1\r\nHost: h\r\n\r\n", "400", "query parameter 1 has a bad"},
        {"GET /api/echo/x HTTP/1.1\r\nHost: h\r\nrubbish\r\n\r\n", "400", "header line"},
        {"GET /api/echo/x HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", "400", "after header 2 is f"},
        {"GET /api/echo/x HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n", "400", "after header 1 is f"},
        {"GET /api/echo/x HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n", "400", "after header 1 is f"},
        {"GET /api/echo/x HTTP/1.1\nHost: h\n\n", "400", "request line does not end in CRLF"},
        {"GET /api/echo/x HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", "400", "header 1 does not end in"},
        {"GET /api/echo/x HTTP/1.1\r\nHost: h\n\r\nA: b\r\n\r\n", "400",
         "header 1 does not end in"},
        {"GET /api/echo/x HTTP/1.1\nHost: h\r\nA: b\r\n c\r\n\r\n", "400", "does not end in CRLF"},
        {"GET /api/echo/x HTTP/1.1\r\nHost: h\nA: b\n c\n\n", "400", "header 1 does not end in"},
        {"POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length : 2\r\n\r\n{}", "400",
         "header 2 has a blank before its colon"},
        {"POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: -2\r\n\r\n{}", "400",
         "not a number"},
        {"POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n{}", "400", "not a number"},
        {"POST /api/json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "400",
         "malformed"},
        {"POST /api/json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
         "400", "ended after 0 bytes, or has a malformed chunk"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char status[16];

        (void)snprintf(status, sizeof(status), "HTTP/1.1 %s ", rows[i].status);
        expect(ask(rows[i].request), status, rows[i].reason);
    }
    /* empty values and leading blanks are fine */
    expect(ask("GET /api/echo/x HTTP/1.1\r\nHost:h\r\nA:\r\nB: \r\nC:   c\r\n\r\n"), "HTTP/1.1 200",
           "\"x\"");
}

static void bodies_have_limits(void **state)
{
    struct buf text = {0};

    (void)state;
    expect(ask("POST /api/json HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
               "Content-Length: 10737418240\r\n\r\n"),
           "HTTP/1.1 413", "at most 262144");
    buf_add_str(&text, "POST /api/json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    buf_addf(&text, "%x\r\n", 300000);
    memset(buf_room(&text, 300000), ' ', 300000);
    buf_used(&text, 300000);
    buf_add_str(&text, "\r\n0\r\n\r\n");
    expect(ask(buf_text(&text)), "HTTP/1.1 413", "over 262144 bytes");
    buf_clear(&text);
    buf_add_str(&text, "POST /api/count HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n");
    memset(buf_room(&text, 500000), 'x', 500000);
    buf_used(&text, 500000);
    expect(ask(buf_text(&text)), "HTTP/1.1 200", "{\"bytes\":500000}");
    buf_clear(&text); /* who sends all of it before it reads gets the answer too */
    buf_addf(&text, "POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", LARGE);
    memset(buf_room(&text, LARGE), 'x', LARGE);
    buf_used(&text, LARGE);
    expect(ask(buf_text(&text)), "HTTP/1.1 413", "at most 262144");
    buf_done(&text);
}

static void slow_bodies_are_cut(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"a\"");
    expect(hear(fd), "HTTP/1.1 408", "too slowly: ");
    fd = dial();
    say(fd, "POST /api/json HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"a\"");
    (void)shutdown(fd, SHUT_WR);
    expect(hear(fd), "HTTP/1.1 400", "the body ended");
}

static void waiting_clients_are_told_to_go_on(void **state)
{
    int fd = dial();
    char line[64] = {0};

    (void)state;
    say(fd, "POST /api/json HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
            "Content-Length: 2\r\n\r\n");
    assert_true(recv(fd, line, sizeof(line) - 1, 0) > 0);
    assert_string_equal(line, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "{}");
    expect(hear(fd), "HTTP/1.1 201", "{}");
}

/* ---- websockets ---- */

#define UPGRADE_LINES                                                          \
    "\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define UPGRADE "GET /ws HTTP/1.1" UPGRADE_LINES

/* Receive until @want is there. */
static void hear_until(int fd, struct buf *all, const char *want)
{
    while (strstr(buf_text(all), want) == NULL) {
        ssize_t got = recv(fd, buf_room(all, 512), 512, 0);

        if (got <= 0) {
            fail_msg("no %s in %s", want, buf_text(all));
        }
        buf_used(all, (size_t)got);
    }
}

static void send_frame(int fd, uint8_t first, const char *payload)
{
    uint8_t frame[128] = {first, (uint8_t)(0x80 | strlen(payload)), 0, 0, 0, 0}; /* mask 0 */

    for (size_t i = 0; payload[i] != 0; i++) {
        frame[6 + i] = (uint8_t)payload[i];
    }
    assert_int_equal(send(fd, frame, 6 + strlen(payload), MSG_NOSIGNAL), 6 + strlen(payload));
}

static void websockets_talk_both_ways(void **state)
{
    int fd = dial();
    struct buf all = {0};

    (void)state;
    say(fd, UPGRADE);
    hear_until(fd, &all, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    hear_until(fd, &all, "{\"type\":\"turn\"}");
    buf_clear(&all);
    while (atomic_load(&last_ws) == NULL) {
    }
    http_ws_wake(atomic_load(&last_ws));
    hear_until(fd, &all, "{\"type\":\"turn\"}");
    send_frame(fd, 0x81, "hello");
    hear_until(fd, &all, "{\"heard\":\"hello\"}");
    hear_until(fd, &all, "\x88\x02\x03\xe8"); /* its close frame does not wait for ours */
    send_frame(fd, 0x88, "\x03\xe8");
    free(hear(fd));
    buf_done(&all);
}

static void oversized_frames_end_a_websocket(void **state)
{
    static const uint8_t header[] = {0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 'x'};
    int fd = dial();
    struct buf all = {0};
    char *rest;

    (void)state;
    say(fd, UPGRADE);
    hear_until(fd, &all, "{\"type\":\"turn\"}");
    assert_int_equal(send(fd, header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
    rest = hear(fd);
    assert_non_null(memchr(rest, 0x88, 2)); /* a close frame, 1009 */
    assert_int_equal((uint8_t)rest[2], 1009 >> 8);
    assert_int_equal((uint8_t)rest[3], 1009 & 0xff);
    free(rest);
    buf_done(&all);
}

/* Frames that break the protocol, and the code of the close frame that answers each. */
static void bad_frames_end_a_websocket(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        unsigned code;
    } rows[] = {
        {"\x81\x01x", 3, 1002},                 /* not masked */
        {"\xc1\x81\0\0\0\0x", 7, 1002},         /* a reserved bit */
        {"\x83\x81\0\0\0\0x", 7, 1002},         /* an opcode that is none */
        {"\x80\x81\0\0\0\0x", 7, 1002},         /* goes on with nothing */
        {"\x09\x81\0\0\0\0x", 7, 1002},         /* a ping in parts */
        {"\x89\xfe\x00\x7e\0\0\0\0x", 9, 1002}, /* a ping of 126 bytes */
        {"\x81\xfe\x00\x01\0\0\0\0x", 9, 1002}, /* a length that needs fewer bytes */
        {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14, 1002},
        {"\x81\x82\0\0\0\0\xff\xfe", 8, 1007}, /* text that is not UTF-8 */
        {"GET / HTTP/1.1\r\n\r\n", 18, 1002},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = dial();
        struct buf all = {0};
        char *rest;

        say(fd, UPGRADE);
        hear_until(fd, &all, "{\"type\":\"turn\"}");
        assert_int_equal(send(fd, rows[i].bytes, rows[i].n, MSG_NOSIGNAL), rows[i].n);
        rest = hear(fd);
        assert_int_equal((uint8_t)rest[0], 0x88);
        assert_int_equal((uint8_t)rest[1], 2);
        assert_int_equal((uint8_t)rest[2] << 8 | (uint8_t)rest[3], rows[i].code);
        free(rest);
        buf_done(&all);
    }
}

/* What the upgrade gets that a page of @origin asks for (NULL: no page). */
static void expect_upgrade(const char *origin, const char *want)
{
    struct buf text = {0};
    struct buf all = {0};
    int fd = dial();

    buf_add(&text, UPGRADE, strlen(UPGRADE) - 2);
    if (origin != NULL) {
        buf_addf(&text, "Origin: %s\r\n", origin);
    }
    buf_add_str(&text, "\r\n");
    say(fd, buf_text(&text));
    hear_until(fd, &all, want);
    (void)close(fd);
    buf_done(&text);
    buf_done(&all);
}

static void pages_of_other_origins_get_no_websocket(void **state)
{
    static const struct {
        const char *cors;
        const char *welcome[4];
        const char *others[4];
    } rows[] = {
        {"*", {"https://evil.example", "null"}, {NULL}},
        {"https://ui.example",
         {"https://ui.example", "https://UI.example", "https://h", "http://h"},
         {"https://evil.example", "https://ui.example.evil", "null", "h"}},
        {"", {"https://h"}, {"https://ui.example", "*"}},
    };
    struct http_server *usual = server;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct http_options options = {.threads = 16, .cors_origin = rows[i].cors};

        assert_int_equal(http_server_start(&options, &app, &server, NULL), 0);
        expect_upgrade(NULL, " 101 ");
        for (size_t k = 0; k < 4 && rows[i].welcome[k] != NULL; k++) {
            expect_upgrade(rows[i].welcome[k], " 101 ");
        }
        for (size_t k = 0; k < 4 && rows[i].others[k] != NULL; k++) {
            expect_upgrade(rows[i].others[k], "Pages of this origin may not");
        }
        (void)http_server_stop(&server, 5000);
    }
    server = usual;
}

static void websockets_are_pinged_and_the_silent_ones_end(void **state)
{
    const struct http_options options = {.threads = 2, .ws_ping_ms = 30, .ws_quiet_ms = 600};
    struct http_server *usual = server;
    struct buf all = {0};
    size_t pings = 0;
    char *bytes;
    int fd;

    (void)state;
    assert_int_equal(http_server_start(&options, &app, &server, NULL), 0);
    fd = dial();
    say(fd, UPGRADE);
    hear_until(fd, &all, "{\"type\":\"turn\"}");
    bytes = hear(fd); /* nothing is said any more: the server ends it, by itself */
    while ((uint8_t)bytes[2 * pings] == 0x89 && bytes[2 * pings + 1] == 0) {
        pings++;
    }
    assert_in_range(pings, 2, 600 / 30 + 1);
    assert_int_equal(http_server_stop(&server, 5000), 0);
    free(bytes);
    buf_done(&all);
    server = usual;
}

static void websockets_are_counted(void **state)
{
    struct buf all = {0};
    int open[2] = {dial(), dial()}; /* half of four threads */

    (void)state;
    while (atomic_load(&sockets_open) > 0) { /* those of the tests before end by themselves */
    }
    for (int i = 0; i < 2; i++) {
        say(open[i], UPGRADE);
        buf_clear(&all);
        hear_until(open[i], &all, "{\"type\":\"turn\"}");
    }
    expect(ask(UPGRADE), "HTTP/1.1 503", "Too many WebSockets");
    for (int i = 0; i < 2; i++) {
        send_frame(open[i], 0x88, "\x03\xe8");
        free(hear(open[i]));
    }
    while (atomic_load(&sockets_open) > 0) {
    }
    buf_done(&all);
}

#define UPGRADE_OF(owner) "GET /ws?owner=" owner " HTTP/1.1" UPGRADE_LINES

static void an_owner_has_half_of_the_websockets(void **state)
{
    struct buf all = {0};
    int first = dial();
    int second = dial();

    (void)state;
    say(first, UPGRADE_OF("a"));
    hear_until(first, &all, "{\"type\":\"turn\"}");
    expect(ask(UPGRADE_OF("a")), "HTTP/1.1 503", "Too many WebSockets of yours");
    say(second, UPGRADE_OF("b"));
    buf_clear(&all);
    hear_until(second, &all, "{\"type\":\"turn\"}");
    send_frame(first, 0x88, "\x03\xe8");
    free(hear(first));
    send_frame(second, 0x88, "\x03\xe8");
    free(hear(second));
    while (atomic_load(&sockets_open) > 0) {
    }
    expect_upgrade(NULL, " 101 ");
    buf_done(&all);
}

/* Send pings until the server closes, or @seconds have passed; returns how many bytes went. */
static size_t flood(int fd, int seconds)
{
    enum { FRAME = 6, FRAMES = 1000 };
    static const uint8_t ping[FRAME] = {0x89, 0x80, 0, 0, 0, 0};
    struct timeval limit = {.tv_sec = 8};
    uint8_t pings[FRAME * FRAMES];
    int64_t until_ms = clock_mono_ms() + INT64_C(1000) * seconds;
    size_t n = 0;
    ssize_t sent;

    for (size_t i = 0; i < FRAMES; i++) {
        memcpy(pings + i * FRAME, ping, FRAME);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    do {
        size_t at = n % sizeof(pings);

        sent = send(fd, pings + at, sizeof(pings) - at, MSG_NOSIGNAL);
        n += sent > 0 ? (size_t)sent : 0;
    } while (sent > 0 && clock_mono_ms() < until_ms);
    return n;
}

static void a_flood_of_pings_ends_a_websocket(void **state)
{
    int small = 4096;
    struct buf all = {0};
    int fd = dial();

    (void)state;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    say(fd, UPGRADE);
    hear_until(fd, &all, "{\"type\":\"turn\"}");
    assert_in_range(flood(fd, 30), 1, 64 << 20); /* what fits into the buffers of two sockets */
    (void)close(fd);
    while (atomic_load(&sockets_open) > 0) {
    }
    buf_done(&all);
}

static void *flood_on(void *ctx)
{
    const int *fd = ctx;

    (void)flood(*fd, 60);
    return NULL;
}

static void *read_on(void *ctx)
{
    const int *fd = ctx;
    char waste[4096];

    while (recv(*fd, waste, sizeof(waste), 0) > 0) {
    }
    return NULL;
}

static void stopping_ends_a_flood(void **state)
{
    struct buf all = {0};
    pthread_t threads[2];
    int fd = dial();

    (void)state;
    say(fd, UPGRADE);
    hear_until(fd, &all, "{\"type\":\"turn\"}");
    assert_int_equal(pthread_create(&threads[0], NULL, flood_on, &fd), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, read_on, &fd), 0);
    assert_int_equal(http_server_stop(&server, 5000), 0);
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    (void)close(fd);
    buf_done(&all);
    assert_int_equal(start(NULL), 0);
}

static void plain_requests_get_no_websocket(void **state)
{
    (void)state;
    expect(ask("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400", "upgrade is wanted");
}

static void stopping_closes_websockets(void **state)
{
    int fd = dial();
    struct buf all = {0};
    char *rest;

    (void)state;
    say(fd, UPGRADE);
    hear_until(fd, &all, "{\"type\":\"turn\"}");
    assert_int_equal(http_server_stop(&server, 5000), 0);
    assert_null(server);
    assert_int_equal(atomic_load(&sockets_open), 0);
    rest = hear(fd);
    assert_int_equal((uint8_t)rest[0], 0x88);
    assert_int_equal((uint8_t)rest[3], 1001 & 0xff);
    free(rest);
    buf_done(&all);
    assert_int_equal(start(NULL), 0);
}

static void a_taken_port_is_an_error(void **state)
{
    const struct http_options options = {.port = http_server_port(server), .threads = 1};
    struct http_server *second = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(http_server_start(&options, &app, &second, &err), -ERR_SYSTEM);
    assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_reach_their_handlers),
        cmocka_unit_test(failures_wear_the_family_of_the_path),
        cmocka_unit_test(preflights_need_no_credential),
        cmocka_unit_test(smuggling_is_refused),
        cmocka_unit_test(what_is_hardly_a_request_is_refused_with_a_reason),
        cmocka_unit_test(bodies_have_limits),
        cmocka_unit_test(slow_bodies_are_cut),
        cmocka_unit_test(waiting_clients_are_told_to_go_on),
        cmocka_unit_test(websockets_talk_both_ways),
        cmocka_unit_test(oversized_frames_end_a_websocket),
        cmocka_unit_test(bad_frames_end_a_websocket),
        cmocka_unit_test(pages_of_other_origins_get_no_websocket),
        cmocka_unit_test(websockets_are_pinged_and_the_silent_ones_end),
        cmocka_unit_test(websockets_are_counted),
        cmocka_unit_test(an_owner_has_half_of_the_websockets),
        cmocka_unit_test(a_flood_of_pings_ends_a_websocket),
        cmocka_unit_test(plain_requests_get_no_websocket),
        cmocka_unit_test(stopping_closes_websockets),
        cmocka_unit_test(stopping_ends_a_flood),
        cmocka_unit_test(a_taken_port_is_an_error),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
