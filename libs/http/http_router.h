/* http_router: from method and path to a row of the route table. Pure. */
#ifndef HTTP_HTTP_ROUTER_H
#define HTTP_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "http/http_parse.h"

struct http_request;

enum http_method { HTTP_GET = 1, HTTP_POST = 2, HTTP_PUT = 4, HTTP_DELETE = 8 };
#define HTTP_METHOD_LIST(X) X(GET) X(POST) X(PUT) X(DELETE)

/* @ctx is the server's. Must answer exactly once, else the caller gets a 500. */
typedef void http_handler(struct http_request *request, void *ctx);

/* One endpoint. Tables are static and read-only. */
struct http_route {
    const char *pattern; /* "/api/sessions/{id}/name": a {name} takes one whole segment */
    http_handler *handle;
    const char *doc; /* one line */
    size_t body_max; /* bytes of a body; 0: HTTP_BODY_MAX */
    size_t json_max; /* of one that is read as a whole by http_json; 0: HTTP_BODY_MAX */
    enum http_method method;
    unsigned family; /* index into the families: which envelope its errors wear */
    unsigned access; /* for the admit function: who may call it */
};

enum http_found {
    HTTP_FOUND,
    HTTP_NO_PATH,  /* 404 */
    HTTP_NO_METHOD /* 405 */
};

struct http_match {
    const struct http_route *route; /* when HTTP_FOUND */
    struct http_pairs params;       /* values unescaped, memory of the arena */
    unsigned allowed;               /* methods of the path, or-ed; when HTTP_NO_METHOD or FOUND */
};

/* The bit of "GET", "HEAD" (as GET) and so on; 0 for others. */
unsigned http_method_of(const char *text);

/* "GET, POST" for a set of methods, OPTIONS included, as for an Allow header. */
const char *http_methods_text(struct arena *arena, unsigned set);

/* Look @path up (checked by http_check_path; one slash at its end does not matter). A fixed segment
 * wins over a {param} in the same place. @method 0 finds no route but tells what is allowed. */
enum http_found http_route_find(const struct http_route *routes, size_t n, unsigned method,
                                const char *path, struct arena *arena, struct http_match *out);

/* The index of the family whose prefix is the longest that @path begins with, a segment being
 * whole; @n - 1 when none is. */
unsigned http_family_find(const char *const *prefixes, size_t n, const char *path);

#endif
