/* http_parse: paths, query strings and headers of a request, taken apart. Pure. */
#ifndef HTTP_HTTP_PARSE_H
#define HTTP_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"

struct err;

enum {
    HTTP_PATH_MAX = 2048,  /* bytes */
    HTTP_QUERY_MAX = 4096, /* bytes */
    HTTP_QUERY_PARAMS_MAX = 64,
    HTTP_HEADERS_MAX = 59 /* civetweb silently drops what follows the 64th */
};

struct http_pair {
    const char *name;
    const char *value;
};

struct http_pairs {
    struct http_pair *at;
    size_t n;
};

/* A path that may be routed: begins with '/', printable ASCII, no empty, "." or ".." segment, no
 * encoded NUL, slash or backslash, whole %XX only that make UTF-8. A slash at the end is allowed.
 * -ERR_INVALID, -ERR_LIMIT. */
NODISCARD int http_check_path(const char *path, struct err *err);

/* @n bytes with %XX taken back, as text of @arena; '+' becomes a space when @is_query. NULL when a
 * %XX is not whole, when it hides a NUL, or when the outcome is not UTF-8. */
char *http_unescape(struct arena *arena, const char *text, size_t n, bool is_query);

/* Take apart "a=1&b=2" (NULL is empty) into *@out, memory of @arena. The first of a repeated name
 * counts (http_pairs_find). -ERR_INVALID: a bad escape; -ERR_LIMIT. */
NODISCARD int http_parse_query(struct arena *arena, const char *query, struct http_pairs *out,
                               struct err *err);

/* The value of the first pair of that name (@any_case: as headers are named), or NULL. */
const char *http_pairs_find(const struct http_pairs *pairs, const char *name, bool any_case);

/* What a request may carry, from its headers as they came: how its body ends is said once and
 * clearly, so that no proxy can see another end (no Transfer-Encoding beside Content-Length, no
 * repeated Content-Length, Host or Authorization), there is one Host, not too many headers. */
struct http_framing {
    bool is_chunked;
    int64_t content_length; /* 0 when there is no body */
};
NODISCARD int http_check_headers(const struct http_pairs *headers, struct http_framing *out,
                                 struct err *err);

/* The credential of "Bearer <credential>" (scheme in any case), borrowed from @header; NULL when
 * @header is NULL or something else. */
const char *http_bearer(const char *header);

/* True when the comma separated list @header (NULL: none) holds @word, in any case. */
bool http_has_word(const char *header, const char *word);

/* May a page of @origin (NULL: no page asks) open a websocket at @host? It may when it is of @host
 * itself, or of @allowed ("*": any; NULL: no other). */
bool http_origin_may(const char *origin, const char *host, const char *allowed);

/* True for what may be taken over as the id of a request: 1 to 64 of [A-Za-z0-9._-]. */
bool http_is_request_id(const char *text);

#endif
