#include "http/http_router.h"

#include <string.h>

#include "base/buf.h"

enum { PARAMS_MAX = 8 }; /* {name}s in one pattern */

static const struct {
    enum http_method bit;
    const char *text;
} methods[] = {
#define METHOD_ROW(name) {HTTP_##name, #name},
    HTTP_METHOD_LIST(METHOD_ROW)
#undef METHOD_ROW
};

unsigned http_method_of(const char *text)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(text, methods[i].text) == 0) {
            return (unsigned)methods[i].bit;
        }
    }
    return strcmp(text, "HEAD") == 0 ? HTTP_GET : 0;
}

const char *http_methods_text(struct arena *arena, unsigned set)
{
    const char *text = "";

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if ((set & (unsigned)methods[i].bit) != 0) {
            text = arena_printf(arena, "%s%s, ", text, methods[i].text);
        }
    }
    return arena_printf(arena, "%sOPTIONS", text);
}

/* The next segment of a path or pattern: *@p stands on its slash and moves behind it. */
static struct bytes next_segment(const char **p)
{
    const char *begin = *p + 1;
    size_t n = strcspn(begin, "/");

    *p = begin + n;
    return (struct bytes){(const uint8_t *)begin, n};
}

static bool is_param(struct bytes segment)
{
    return segment.n > 2 && segment.p[0] == '{';
}

static bool at_end(const char *p)
{
    return *p == 0 || (p[0] == '/' && p[1] == 0);
}

/* How well @path fits: 0 not at all; else the earlier a segment is fixed, the larger. */
static unsigned fit(const char *pattern, const char *path)
{
    unsigned score = 1;

    while (*pattern != 0 && !at_end(path)) {
        struct bytes want = next_segment(&pattern);
        struct bytes have = next_segment(&path);
        bool same = want.n == have.n && memcmp(want.p, have.p, want.n) == 0;

        if (!same && (!is_param(want) || have.n == 0)) {
            return 0;
        }
        score = score * 2 + (is_param(want) ? 0 : 1);
    }
    return *pattern == 0 && at_end(path) ? score : 0;
}

/* False when a value has a bad escape. */
static bool take_params(const char *pattern, const char *path, struct arena *arena,
                        struct http_pairs *out)
{
    struct http_pairs params = {arena_array0(arena, PARAMS_MAX, sizeof(*params.at)), 0};

    while (*pattern != 0) {
        struct bytes want = next_segment(&pattern);
        struct bytes have = next_segment(&path);

        if (is_param(want) && params.n < PARAMS_MAX) {
            char *value = http_unescape(arena, (const char *)have.p, have.n, false);

            if (value == NULL) {
                return false;
            }
            params.at[params.n].name = arena_strndup(arena, (const char *)want.p + 1, want.n - 2);
            params.at[params.n++].value = value;
        }
    }
    *out = params;
    return true;
}

enum http_found http_route_find(const struct http_route *routes, size_t n, unsigned method,
                                const char *path, struct arena *arena, struct http_match *out)
{
    struct http_match match = {0};
    unsigned best = 0;

    if (strcmp(path, "/") == 0) {
        path = ""; /* the pattern "/" is read as no segments too */
    }
    for (size_t i = 0; i < n; i++) {
        const char *pattern = strcmp(routes[i].pattern, "/") == 0 ? "" : routes[i].pattern;
        unsigned score = fit(pattern, path);

        if (score == 0) {
            continue;
        }
        if (score > best) { /* a better fit is another path: methods of worse ones do not count */
            best = score;
            match.allowed = 0;
            match.route = NULL;
        }
        if (score == best) {
            match.allowed |= (unsigned)routes[i].method;
            match.route = ((unsigned)routes[i].method & method) != 0 ? &routes[i] : match.route;
        }
    }
    if (match.route != NULL &&
        !take_params(strcmp(match.route->pattern, "/") == 0 ? "" : match.route->pattern, path,
                     arena, &match.params)) {
        best = 0;
    }
    *out = match;
    return best == 0 ? HTTP_NO_PATH : (match.route != NULL ? HTTP_FOUND : HTTP_NO_METHOD);
}

unsigned http_family_find(const char *const *prefixes, size_t n, const char *path)
{
    size_t best_n = 0;
    unsigned best = (unsigned)n - 1;

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(prefixes[i]);

        if (len > best_n && strncmp(path, prefixes[i], len) == 0 &&
            (path[len] == 0 || path[len] == '/')) {
            best_n = len;
            best = (unsigned)i;
        }
    }
    return best;
}
