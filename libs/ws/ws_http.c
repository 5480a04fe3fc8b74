#include "ws/ws_http.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/text.h"

/* What was seen in the header lines, both directions. */
struct seen {
    bool upgrade;
    bool connection;
    bool version;
    bool extensions;
    bool protocol;
    struct bytes key;
    struct bytes accept;
};

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool same(struct bytes text, const char *word)
{
    return text.n == strlen(word) && strncasecmp((const char *)text.p, word, text.n) == 0;
}

static struct bytes trim(struct bytes text)
{
    while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t')) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t')) {
        text.n--;
    }
    return text;
}

/* Does the comma-separated list @text hold @word? */
static bool list_has(struct bytes text, const char *word)
{
    while (text.n > 0) {
        const uint8_t *comma = memchr(text.p, ',', text.n);
        size_t n = comma == NULL ? text.n : (size_t)(comma - text.p);

        if (same(trim((struct bytes){text.p, n}), word)) {
            return true;
        }
        n += comma == NULL ? 0 : 1;
        text.p += n;
        text.n -= n;
    }
    return false;
}

/* Take the line at the front of @rest (without CR LF) off it. The head is known to be complete. */
static struct bytes take_line(struct bytes *rest)
{
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    struct bytes line = {rest->p, (size_t)(end - rest->p)};

    rest->p += line.n + 1;
    rest->n -= line.n + 1;
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static int parse_header(struct bytes line, struct seen *seen, struct err *err)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    struct bytes name = {line.p, colon == NULL ? 0 : (size_t)(colon - line.p)};
    struct bytes value;

    for (size_t i = 0; i < name.n; i++) {
        if (!is_token((char)name.p[i])) {
            return err_set(err, ERR_INVALID, "a header line with a bad name");
        }
    }
    if (name.n == 0) { /* also an old folded line, which begins with a space and has no name */
        return err_set(err, ERR_INVALID, "a header line without a name");
    }
    value = trim((struct bytes){colon + 1, line.n - name.n - 1});
    if (same(name, "upgrade")) {
        seen->upgrade = list_has(value, "websocket");
    } else if (same(name, "connection")) {
        seen->connection = seen->connection || list_has(value, "upgrade");
    } else if (same(name, "sec-websocket-version")) {
        seen->version = same(value, "13");
    } else if (same(name, "sec-websocket-key")) {
        seen->key = value;
    } else if (same(name, "sec-websocket-accept")) {
        seen->accept = value;
    } else if (same(name, "sec-websocket-extensions")) {
        seen->extensions = true;
    } else if (same(name, "sec-websocket-protocol")) {
        seen->protocol = true;
    } else if (same(name, "transfer-encoding") ||
               (same(name, "content-length") && !same(value, "0"))) {
        return err_set(err, ERR_INVALID, "a body where none belongs");
    }
    return 0;
}

/* The length of the head up to its empty line: more than 0; 0 when it is not all there. */
static int find_end(struct bytes in, size_t *out, struct err *err)
{
    size_t most = in.n < WS_HTTP_HEAD_MAX ? in.n : WS_HTTP_HEAD_MAX;

    for (size_t i = 0; i < most; i++) {
        bool end =
            in.p[i] == '\n' && i + 1 < most &&
            (in.p[i + 1] == '\n' || (i + 2 < most && in.p[i + 1] == '\r' && in.p[i + 2] == '\n'));

        if (in.p[i] == '\0') {
            return err_set(err, ERR_INVALID, "a zero byte in the HTTP head");
        }
        if (end) {
            *out = i + (in.p[i + 1] == '\n' ? 2 : 3);
            return 1;
        }
    }
    if (most == WS_HTTP_HEAD_MAX) {
        return err_set(err, ERR_LIMIT, "an HTTP head over %d bytes", WS_HTTP_HEAD_MAX);
    }
    return 0;
}

/* The lines after the first. */
static int parse_headers(struct bytes rest, struct seen *seen, struct err *err)
{
    for (unsigned lines = 0; rest.n > 0; lines++) {
        struct bytes line = take_line(&rest);
        int rc;

        if (line.n == 0) {
            return 0;
        }
        if (lines == WS_HTTP_LINES_MAX) {
            return err_set(err, ERR_LIMIT, "over %d header lines", WS_HTTP_LINES_MAX);
        }
        rc = parse_header(line, seen, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int parse_request_line(struct bytes line, struct ws_http_head *out, struct err *err)
{
    struct bytes path;
    const uint8_t *end;

    if (line.n < 4 || memcmp(line.p, "GET ", 4) != 0) {
        return err_set(err, ERR_INVALID, "not a GET request");
    }
    path = (struct bytes){line.p + 4, line.n - 4};
    end = memchr(path.p, ' ', path.n);
    if (end == NULL || !same((struct bytes){end, (size_t)(line.p + line.n - end)}, " HTTP/1.1")) {
        return err_set(err, ERR_INVALID, "not HTTP/1.1");
    }
    path.n = (size_t)(end - path.p);
    end = memchr(path.p, '?', path.n);
    path.n = end == NULL ? path.n : (size_t)(end - path.p);
    if (path.n == 0 || path.p[0] != '/') {
        return err_set(err, ERR_INVALID, "a path that does not begin with a slash");
    }
    if (path.n >= sizeof(out->path)) {
        return err_set(err, ERR_LIMIT, "a path over %d bytes", WS_HTTP_PATH_MAX - 1);
    }
    memcpy(out->path, path.p, path.n);
    out->path[path.n] = '\0';
    return 0;
}

static bool is_key(struct bytes key)
{
    struct buf raw = {0};
    bool ok = key.n == WS_HTTP_KEY_LEN &&
              text_unbase64(&raw, (const char *)key.p, key.n, TEXT_BASE64) == 0 && raw.n == 16;

    buf_done(&raw);
    return ok;
}

int ws_http_parse_request(struct bytes in, struct ws_http_head *out, struct err *err)
{
    struct ws_http_head head = {0};
    struct seen seen = {0};
    struct bytes rest;
    int rc = find_end(in, &head.n_bytes, err);

    if (rc <= 0) {
        return rc;
    }
    rest = (struct bytes){in.p, head.n_bytes};
    rc = parse_request_line(take_line(&rest), &head, err);
    if (rc == 0) {
        rc = parse_headers(rest, &seen, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (!seen.upgrade || !seen.connection || !seen.version || !is_key(seen.key)) {
        return err_set(err, ERR_INVALID, "not a request for a websocket of version 13");
    }
    memcpy(head.key, seen.key.p, seen.key.n);
    *out = head;
    return 1;
}

static int parse_status_line(struct bytes line, int *status, struct err *err)
{
    char digits[4] = {0};
    int64_t value = 0;

    if (line.n < 12 || memcmp(line.p, "HTTP/1.1 ", 9) != 0 || (line.n > 12 && line.p[12] != ' ')) {
        return err_set(err, ERR_INVALID, "not an HTTP/1.1 response");
    }
    memcpy(digits, line.p + 9, 3);
    if (!text_to_int(digits, 100, 599, &value)) {
        return err_set(err, ERR_INVALID, "not an HTTP status");
    }
    *status = (int)value;
    return 0;
}

int ws_http_parse_response(struct bytes in, const char *key, struct ws_http_head *out,
                           struct err *err)
{
    struct ws_http_head head = {0};
    struct seen seen = {0};
    char want[WS_HTTP_ACCEPT_LEN + 1];
    struct bytes rest;
    int rc = find_end(in, &head.n_bytes, err);

    if (rc <= 0) {
        return rc;
    }
    rest = (struct bytes){in.p, head.n_bytes};
    rc = parse_status_line(take_line(&rest), &head.status, err);
    if (rc == 0 && head.status != 101) {
        out->status = head.status;
        return err_set(err, ERR_REFUSED, "the server answered with HTTP status %d", head.status);
    }
    if (rc == 0) {
        rc = parse_headers(rest, &seen, err);
    }
    if (rc < 0) {
        return rc;
    }
    ws_http_accept(key, want);
    if (!seen.upgrade || !seen.connection || seen.extensions || seen.protocol ||
        seen.accept.n != WS_HTTP_ACCEPT_LEN || memcmp(seen.accept.p, want, seen.accept.n) != 0) {
        return err_set(err, ERR_INVALID, "the server did not switch to a websocket as asked");
    }
    *out = head;
    return 1;
}

void ws_http_accept(const char *key, char out[WS_HTTP_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    struct buf text = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    buf_add_str(&text, key);
    buf_add_str(&text, guid);
    if (EVP_Digest(text.p, text.n, digest, &n, EVP_sha1(), NULL) != 1) {
        assert(false && "SHA-1 is not available");
    }
    buf_clear(&text);
    text_base64(&text, (struct bytes){digest, n}, TEXT_BASE64);
    memcpy(out, buf_text(&text), WS_HTTP_ACCEPT_LEN + 1);
    buf_done(&text);
}

void ws_http_format_request(struct buf *out, const struct ws_http_request *request)
{
    buf_addf(out,
             "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
             "Cache-Control: no-cache\r\nPragma: no-cache\r\n",
             request->path, request->host, request->key);
    if (request->origin != NULL) {
        buf_addf(out, "Origin: %s\r\n", request->origin);
    }
    buf_add_str(out, "\r\n");
}

void ws_http_format_switch(struct buf *out, const char *key)
{
    char accept[WS_HTTP_ACCEPT_LEN + 1];

    ws_http_accept(key, accept);
    buf_addf(out,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
}

void ws_http_format_refusal(struct buf *out, int status, const char *reason)
{
    buf_addf(out, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status,
             reason);
}
