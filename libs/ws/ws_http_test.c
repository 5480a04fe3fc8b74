#include "ws/ws_http.h"

#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define REQUEST                                                        \
    "GET /ws/chat?x=1 HTTP/1.1\r\nHost: a\r\nupgrade: WebSocket\r\n"   \
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version:13 \r\n" \
    "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: " KEY "\r\n\r\n"

static int parse(const char *text, struct ws_http_head *head)
{
    return ws_http_parse_request((struct bytes){(const uint8_t *)text, strlen(text)}, head, NULL);
}

static int parse_answer(const char *text, struct ws_http_head *head)
{
    return ws_http_parse_response((struct bytes){(const uint8_t *)text, strlen(text)}, KEY, head,
                                  NULL);
}

static void a_request_is_read_whole_or_not_at_all(void **state)
{
    struct ws_http_head head = {0};
    const char *text = REQUEST "rest";

    (void)state;
    assert_int_equal(parse(text, &head), 1);
    assert_string_equal(head.path, "/ws/chat");
    assert_string_equal(head.key, KEY);
    assert_string_equal(text + head.n_bytes, "rest");
    for (size_t n = 0; n < sizeof(REQUEST) - 1; n++) {
        struct bytes part = {(const uint8_t *)text, n};

        assert_int_equal(ws_http_parse_request(part, &head, NULL), 0);
    }
}

static void what_is_no_upgrade_is_refused(void **state)
{
    const char *bad[] = {
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",
        "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 5\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
        "GET / HTTP/1.1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nna me: x\r\n\r\n",
    };
    struct ws_http_head head = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i], &head), -ERR_INVALID);
    }
}

static void heads_have_limits(void **state)
{
    struct ws_http_head head = {0};
    struct buf text = {0};

    (void)state;
    buf_add_str(&text, "GET /");
    while (text.n < WS_HTTP_HEAD_MAX - 1) {
        buf_add_u8(&text, 'x');
    }
    assert_int_equal(ws_http_parse_request(buf_bytes(&text), &head, NULL), 0);
    buf_add_u8(&text, 'x');
    assert_int_equal(ws_http_parse_request(buf_bytes(&text), &head, NULL), -ERR_LIMIT);
    buf_clear(&text);
    buf_add_str(&text, "GET / HTTP/1.1\r\n");
    for (int i = 0; i <= WS_HTTP_LINES_MAX; i++) {
        buf_addf(&text, "x%d: y\r\n", i);
    }
    buf_add_str(&text, "\r\n");
    assert_int_equal(ws_http_parse_request(buf_bytes(&text), &head, NULL), -ERR_LIMIT);
    buf_clear(&text);
    buf_addf(&text, "GET /%01100d HTTP/1.1\r\n\r\n", 1);
    assert_int_equal(ws_http_parse_request(buf_bytes(&text), &head, NULL), -ERR_LIMIT);
    buf_done(&text);
}

static void an_answer_must_prove_that_the_key_was_read(void **state)
{
    struct ws_http_head head = {0};
    struct buf text = {0};

    (void)state;
    ws_http_format_switch(&text, KEY);
    assert_int_equal(parse_answer(buf_text(&text), &head), 1);
    assert_int_equal(head.status, 101);
    assert_int_equal(head.n_bytes, text.n);
    assert_non_null(strstr(buf_text(&text), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")); /* RFC 6455 */
    buf_clear(&text);
    ws_http_format_switch(&text, "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_int_equal(parse_answer(buf_text(&text), &head), -ERR_INVALID);
    buf_clear(&text);
    ws_http_format_refusal(&text, 503, "Later");
    assert_int_equal(parse_answer(buf_text(&text), &head), -ERR_REFUSED);
    assert_int_equal(head.status, 503);
    assert_int_equal(parse_answer("HTTP/1.1 abc\r\n\r\n", &head), -ERR_INVALID);
    assert_int_equal(parse_answer("SSH-2.0-x\r\n\r\n", &head), -ERR_INVALID);
    buf_done(&text);
}

static void what_nobody_offered_is_refused(void **state)
{
    struct ws_http_head head = {0};
    struct buf text = {0};

    (void)state;
    ws_http_format_switch(&text, KEY);
    text.n -= 2;
    buf_add_str(&text, "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    assert_int_equal(parse_answer(buf_text(&text), &head), -ERR_INVALID);
    buf_done(&text);
}

static void a_request_of_ours_is_one_we_take(void **state)
{
    struct ws_http_request request = {
        .host = "h:1", .path = "/ws/chat", .origin = "https://x", .key = KEY};
    struct ws_http_head head = {0};
    struct buf text = {0};

    (void)state;
    ws_http_format_request(&text, &request);
    assert_int_equal(parse(buf_text(&text), &head), 1);
    assert_int_equal(head.n_bytes, text.n);
    assert_non_null(strstr(buf_text(&text), "\r\nOrigin: https://x\r\n"));
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_whole_or_not_at_all),
        cmocka_unit_test(what_is_no_upgrade_is_refused),
        cmocka_unit_test(heads_have_limits),
        cmocka_unit_test(an_answer_must_prove_that_the_key_was_read),
        cmocka_unit_test(what_nobody_offered_is_refused),
        cmocka_unit_test(a_request_of_ours_is_one_we_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
