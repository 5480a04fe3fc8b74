/* ws_http: the HTTP/1.1 heads that open a websocket (RFC 6455 section 4). Pure. */
#ifndef WS_WS_HTTP_H
#define WS_WS_HTTP_H

#include "base/attr.h"
#include "base/buf.h"

struct err;

enum {
    WS_HTTP_HEAD_MAX = 8192, /* bytes up to and with the empty line */
    WS_HTTP_LINES_MAX = 64,
    WS_HTTP_KEY_LEN = 24,    /* base64 of 16 bytes */
    WS_HTTP_ACCEPT_LEN = 28, /* base64 of 20 bytes */
    WS_HTTP_PATH_MAX = 1024,
};

struct ws_http_head {
    char path[WS_HTTP_PATH_MAX]; /* of a request: without the query */
    char key[WS_HTTP_KEY_LEN + 1];
    int status;     /* of a response */
    size_t n_bytes; /* of the whole head; what follows is websocket */
};

/* Read the request head at the front of @in.
 *   1             it asks for a websocket; *@out is filled
 *   0             not complete yet
 *   -ERR_LIMIT    over WS_HTTP_HEAD_MAX, WS_HTTP_LINES_MAX or WS_HTTP_PATH_MAX
 *   -ERR_INVALID  anything else than a GET that asks for an upgrade to version 13 */
NODISCARD int ws_http_parse_request(struct bytes in, struct ws_http_head *out, struct err *err);

/* Read the response head at the front of @in, to a request that carried @key. Results as above;
 *   -ERR_REFUSED   a status other than 101, which is put into out->status
 *   -ERR_INVALID   101, but without what RFC 6455 wants, or with extensions nobody offered */
NODISCARD int ws_http_parse_response(struct bytes in, const char *key, struct ws_http_head *out,
                                     struct err *err);

void ws_http_accept(const char *key, char out[WS_HTTP_ACCEPT_LEN + 1]); /* answer to a key */

struct ws_http_request {
    const char *host; /* with the port where it is not the usual one */
    const char *path; /* with query */
    const char *origin;
    const char *key;
};

void ws_http_format_request(struct buf *out, const struct ws_http_request *request);
void ws_http_format_switch(struct buf *out, const char *key); /* 101 */
void ws_http_format_refusal(struct buf *out, int status, const char *reason);

#endif
