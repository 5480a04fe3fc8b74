/* The input is a request head of ours: path, query and header lines, split at newlines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/mem.h"
#include "http/http_parse.h"
#include "http/http_router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/"},
    {.method = HTTP_GET, .pattern = "/sessions/all"},
    {.method = HTTP_DELETE, .pattern = "/sessions/{id}"},
    {.method = HTTP_PUT, .pattern = "/sessions/{id}/name/{other}"},
};

static void as_upgrade(const struct http_pairs *headers)
{
    const char *connection = http_pairs_find(headers, "Connection", true);
    const char *origin = http_pairs_find(headers, "Origin", true);
    const char *host = http_pairs_find(headers, "Host", true);

    if (http_has_word(connection, "upgrade") && strlen(connection) < strlen("upgrade")) {
        abort();
    }
    if (http_origin_may(origin, host, "https://ui.example") && origin != NULL &&
        strcasecmp(origin, "https://ui.example") != 0 &&
        (host == NULL || strlen(origin) <= strlen(host))) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const prefixes[] = {"/sessions", "/", ""};
    char *text = mem_strndup(data != NULL ? (const char *)data : "", size);
    struct arena arena = {0};
    struct http_pairs query = {0};
    struct http_pairs headers = {arena_array0(&arena, 100, sizeof(struct http_pair)), 0};
    struct http_framing framing = {0};
    struct http_match match;
    char *rest = text;
    char *path = strsep(&rest, "\n");
    char *question = strsep(&rest, "\n");

    while (rest != NULL && headers.n < 100) {
        char *value = strsep(&rest, "\n");
        char *name = strsep(&value, ":");

        headers.at[headers.n++] = (struct http_pair){name, value != NULL ? value : ""};
    }
    if (http_check_path(path, NULL) == 0) {
        (void)http_route_find(routes, 4, HTTP_PUT, path, &arena, &match);
        (void)http_family_find(prefixes, 3, path);
    }
    if (http_parse_query(&arena, question, &query, NULL) == 0) {
        (void)http_pairs_find(&query, "limit", false);
    }
    if (http_check_headers(&headers, &framing, NULL) == 0) {
        (void)http_bearer(http_pairs_find(&headers, "Authorization", true));
        (void)http_is_request_id(http_pairs_find(&headers, "X-Request-Id", true));
    }
    as_upgrade(&headers);
    arena_done(&arena);
    free(text);
    return 0;
}
