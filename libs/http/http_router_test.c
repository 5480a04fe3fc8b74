#include "testkit/testkit.h"

#include "base/arena.h"
#include "http/http_router.h"

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/"},
    {.method = HTTP_GET, .pattern = "/sessions/all"},
    {.method = HTTP_GET, .pattern = "/sessions/{id}"},
    {.method = HTTP_DELETE, .pattern = "/sessions/{id}"},
    {.method = HTTP_GET, .pattern = "/sessions/{id}/credentials"},
    {.method = HTTP_PUT, .pattern = "/campaigns/{id}/contacts/{contactId}"},
};
enum { N = sizeof(routes) / sizeof(routes[0]) };

static void routes_are_found_with_their_parameters(void **state)
{
    struct arena arena = {0};
    struct http_match m;

    (void)state;
    assert_int_equal(http_route_find(routes, N, HTTP_GET, "/", &arena, &m), HTTP_FOUND);
    assert_ptr_equal(m.route, &routes[0]);
    assert_int_equal(http_route_find(routes, N, HTTP_GET, "/sessions/all/", &arena, &m),
                     HTTP_FOUND);
    assert_ptr_equal(m.route, &routes[1]);
    assert_int_equal(http_route_find(routes, N, HTTP_GET, "/sessions/a%20b", &arena, &m),
                     HTTP_FOUND);
    assert_ptr_equal(m.route, &routes[2]);
    assert_string_equal(http_pairs_find(&m.params, "id", false), "a b");
    assert_int_equal(http_route_find(routes, N, HTTP_PUT, "/campaigns/7/contacts/9", &arena, &m),
                     HTTP_FOUND);
    assert_string_equal(http_pairs_find(&m.params, "id", false), "7");
    assert_string_equal(http_pairs_find(&m.params, "contactId", false), "9");
    arena_done(&arena);
}

static void what_is_missing_is_told_apart(void **state)
{
    struct arena arena = {0};
    struct http_match m;

    (void)state;
    assert_int_equal(http_route_find(routes, N, HTTP_GET, "/nothing", &arena, &m), HTTP_NO_PATH);
    assert_int_equal(http_route_find(routes, N, HTTP_GET, "/sessions", &arena, &m), HTTP_NO_PATH);
    assert_int_equal(http_route_find(routes, N, HTTP_GET, "/sessions/%ff", &arena, &m),
                     HTTP_NO_PATH);
    assert_int_equal(http_route_find(routes, N, HTTP_POST, "/sessions/x", &arena, &m),
                     HTTP_NO_METHOD);
    assert_string_equal(http_methods_text(&arena, m.allowed), "GET, DELETE, OPTIONS");
    assert_int_equal(http_route_find(routes, N, HTTP_DELETE, "/sessions/all", &arena, &m),
                     HTTP_NO_METHOD);
    assert_int_equal(m.allowed, HTTP_GET);
    arena_done(&arena);
}

static void the_longest_prefix_names_the_family(void **state)
{
    static const char *const prefixes[] = {"/api/v1", "/api/blast-control", "/sessions", "/api",
                                           ""};

    (void)state;
    assert_int_equal(http_family_find(prefixes, 5, "/api/v1/x"), 0);
    assert_int_equal(http_family_find(prefixes, 5, "/api/v12"), 3);
    assert_int_equal(http_family_find(prefixes, 5, "/sessions"), 2);
    assert_int_equal(http_family_find(prefixes, 5, "/sessionsx"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_found_with_their_parameters),
        cmocka_unit_test(what_is_missing_is_told_apart),
        cmocka_unit_test(the_longest_prefix_names_the_family),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
