#include "http/http_parse.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/text.h"

/* The byte that "%XX" at @p stands for, or -1. */
static int escaped_byte(const char *p, size_t n)
{
    int high = n >= 3 ? text_hex_digit(p[1]) : -1;
    int low = high >= 0 ? text_hex_digit(p[2]) : -1;

    return low >= 0 ? high * 16 + low : -1;
}

static int check_segment(const char *p, size_t n, bool is_last, struct err *err)
{
    if ((n == 0 && !is_last) || (n == 1 && p[0] == '.') || (n == 2 && memcmp(p, "..", 2) == 0)) {
        return err_set(err, ERR_INVALID, "the path has an empty or dot segment");
    }
    for (size_t i = 0; i < n; i++) {
        if (p[i] < 0x21 || p[i] > 0x7e || p[i] == '\\') {
            return err_set(err, ERR_INVALID, "the path has a character that must be escaped");
        }
        if (p[i] == '%') {
            int byte = escaped_byte(p + i, n - i);

            if (byte < 0x20 || byte == '/' || byte == '\\' || byte == 0x7f) {
                return err_set(err, ERR_INVALID, "the path has a bad escape");
            }
        }
    }
    return 0;
}

/* Whether the path without its escapes is UTF-8; they are whole. */
static bool is_utf8_path(const char *path, size_t n)
{
    struct arena arena = {0};
    bool is_text = http_unescape(&arena, path, n, false) != NULL;

    arena_done(&arena);
    return is_text;
}

int http_check_path(const char *path, struct err *err)
{
    size_t n = path != NULL ? strlen(path) : 0;
    const char *p = path;

    if (n == 0 || path[0] != '/') {
        return err_set(err, ERR_INVALID, "the path does not begin with a slash");
    }
    if (n > HTTP_PATH_MAX) {
        return err_set(err, ERR_LIMIT, "the path is over %d bytes", HTTP_PATH_MAX);
    }
    while (*p == '/') {
        size_t len = strcspn(p + 1, "/");
        int rc = check_segment(p + 1, len, p[1 + len] == 0, err);

        if (rc < 0) {
            return rc;
        }
        p += 1 + len;
    }
    return is_utf8_path(path, n) ? 0 : err_set(err, ERR_INVALID, "the path is not UTF-8");
}

char *http_unescape(struct arena *arena, const char *text, size_t n, bool is_query)
{
    char *out = arena_new0(arena, n + 1);
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '%') {
            int byte = escaped_byte(text + i, n - i);

            if (byte < 0) {
                return NULL;
            }
            out[len++] = (char)byte;
            i += 2;
        } else {
            out[len++] = text[i];
            if (is_query && text[i] == '+') {
                out[len - 1] = ' ';
            }
        }
    }
    return text_is_utf8((struct bytes){(const uint8_t *)out, len}) ? out : NULL;
}

int http_parse_query(struct arena *arena, const char *query, struct http_pairs *out,
                     struct err *err)
{
    struct http_pairs pairs = {0};

    if (query != NULL && strlen(query) > HTTP_QUERY_MAX) {
        return err_set(err, ERR_LIMIT, "the query is over %d bytes", HTTP_QUERY_MAX);
    }
    for (const char *p = query; p != NULL && *p != 0;) {
        size_t n = strcspn(p, "&");
        const char *equals = memchr(p, '=', n);
        size_t name_n = equals != NULL ? (size_t)(equals - p) : n;
        struct http_pair pair;

        if (n > 0) {
            if (pairs.n == HTTP_QUERY_PARAMS_MAX) {
                return err_set(err, ERR_LIMIT, "the query has over %d parameters",
                               HTTP_QUERY_PARAMS_MAX);
            }
            pair.name = http_unescape(arena, p, name_n, true);
            pair.value =
                equals != NULL ? http_unescape(arena, equals + 1, n - name_n - 1, true) : "";
            if (pair.name == NULL || pair.value == NULL) {
                return err_set(err, ERR_INVALID, "query parameter %zu has a bad escape",
                               pairs.n + 1);
            }
            if (pairs.at == NULL) {
                pairs.at = arena_array0(arena, HTTP_QUERY_PARAMS_MAX, sizeof(*pairs.at));
            }
            pairs.at[pairs.n++] = pair;
        }
        p += n + (p[n] == '&' ? 1 : 0);
    }
    *out = pairs;
    return 0;
}

const char *http_pairs_find(const struct http_pairs *pairs, const char *name, bool any_case)
{
    for (size_t i = 0; i < pairs->n; i++) {
        const char *have = pairs->at[i].name;

        if ((any_case ? strcasecmp(have, name) : strcmp(have, name)) == 0) {
            return pairs->at[i].value;
        }
    }
    return NULL;
}

int http_check_headers(const struct http_pairs *headers, struct http_framing *out, struct err *err)
{
    static const char *const once[] = {"Host", "Content-Length", "Transfer-Encoding",
                                       "Authorization"};
    const char *length = http_pairs_find(headers, "Content-Length", true);
    const char *coding = http_pairs_find(headers, "Transfer-Encoding", true);
    struct http_framing framing = {.is_chunked = coding != NULL};

    if (headers->n > HTTP_HEADERS_MAX) {
        return err_set(err, ERR_LIMIT, "over %d headers", HTTP_HEADERS_MAX);
    }
    for (size_t k = 0; k < sizeof(once) / sizeof(once[0]); k++) {
        unsigned n = 0;

        for (size_t i = 0; i < headers->n; i++) {
            n += strcasecmp(headers->at[i].name, once[k]) == 0 ? 1 : 0;
        }
        if (n > 1) {
            return err_set(err, ERR_INVALID, "more than one %s header", once[k]);
        }
    }
    if (http_pairs_find(headers, "Host", true) == NULL) {
        return err_set(err, ERR_INVALID, "no Host header");
    }
    if (length != NULL && coding != NULL) {
        return err_set(err, ERR_INVALID, "Content-Length beside Transfer-Encoding");
    }
    if (coding != NULL && strcasecmp(coding, "chunked") != 0) {
        return err_set(err, ERR_INVALID, "a Transfer-Encoding other than chunked");
    }
    if (length != NULL &&
        (length[0] == '-' || !text_to_int(length, 0, INT64_MAX, &framing.content_length))) {
        return err_set(err, ERR_INVALID, "Content-Length is not a number");
    }
    *out = framing;
    return 0;
}

const char *http_bearer(const char *header)
{
    if (header == NULL || strncasecmp(header, "Bearer", 6) != 0 || header[6] != ' ') {
        return NULL;
    }
    header += 6;
    while (*header == ' ') {
        header++;
    }
    return *header != 0 ? header : NULL;
}

bool http_is_request_id(const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;

    return n > 0 && n <= 64 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

bool http_has_word(const char *header, const char *word)
{
    size_t n = strlen(word);

    while (header != NULL && *header != 0) {
        size_t len = strcspn(header, ",");
        const char *p = header + strspn(header, " \t");

        if (strncasecmp(p, word, n) == 0 &&
            strspn(p + n, " \t") + n >= (size_t)(header + len - p)) {
            return true;
        }
        header += len + (header[len] == ',' ? 1 : 0);
    }
    return false;
}

bool http_origin_may(const char *origin, const char *host, const char *allowed)
{
    const char *own = origin != NULL ? strstr(origin, "://") : NULL;

    return origin == NULL ||
           (allowed != NULL && (strcmp(allowed, "*") == 0 || strcasecmp(allowed, origin) == 0)) ||
           (own != NULL && host != NULL && strcasecmp(own + 3, host) == 0);
}
