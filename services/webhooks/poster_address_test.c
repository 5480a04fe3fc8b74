/* Whatever a URL says and its name resolves to: the address that is connected to decides. Names
 * that end with ".test" are resolved here. */
#include "webhooks/poster_tester.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testkit/testkit.h"

#define REFUSED "its address is private or reserved"

typedef int resolve_fn(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);

/* The addresses of every name, until it is set again; ended by NULL. Written while no resolver
 * runs. */
static const char *const *zone;
static atomic_uint resolved;

static resolve_fn *real_resolver(void)
{
    resolve_fn *real;
    void *found = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&real, &found, sizeof(real)); /* ISO C has no cast for this */
    return real;
}

/* Stands in for libc's, for libcurl's threads too: its list of lists of one may be freed by it. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    resolve_fn *real = real_resolver();
    size_t n = node == NULL ? 0 : strlen(node);
    struct addrinfo **end = out;
    int rc = 0;

    if (n < 5 || strcmp(node + n - 5, ".test") != 0) {
        return real(node, service, hints, out);
    }
    atomic_fetch_add(&resolved, 1);
    for (size_t i = 0; rc == 0 && zone[i] != NULL; i++) {
        rc = real(zone[i], service, hints, end);
        while (rc == 0 && *end != NULL) {
            end = &(*end)->ai_next;
        }
    }
    return rc;
}

static void post_to_name(struct desk *desk)
{
    char url[64];

    (void)snprintf(url, sizeof(url), "http://name.test:%u/ok", poster_server_port(desk->server));
    desk_post(desk, url);
}

static void check_untouched(struct desk *desk)
{
    assert_int_equal(poster_server_connections(desk->server, POSTER_SERVER_A), 0);
    assert_int_equal(poster_server_connections(desk->server, POSTER_SERVER_B), 0);
}

static void a_name_is_as_good_as_what_it_resolves_to(void **state)
{
    static const char *const closed[] = {
        "127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "::",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
        "224.0.0.1",
        "255.255.255.255",
    };
    struct desk desk;

    (void)state;
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
        const char *const addresses[] = {closed[i], NULL};

        zone = addresses;
        desk_open(&desk, "", 5000);
        post_to_name(&desk);
        assert_int_equal(desk.status, 0);
        assert_string_equal(desk.error, REFUSED);
        check_untouched(&desk);
        desk_close(&desk);
    }
}

/* What a name resolved to once counts for nothing later, and the same name is asked for again. */
static void a_name_that_changes_is_looked_at_again(void **state)
{
    static const char *const open_address[] = {POSTER_SERVER_B, NULL};
    static const char *const closed_address[] = {POSTER_SERVER_A, NULL};
    unsigned before = atomic_load(&resolved);
    struct desk desk;

    (void)state;
    zone = open_address;
    desk_open(&desk, POSTER_SERVER_B, 5000);
    post_to_name(&desk);
    assert_int_equal(desk.status, 204);
    assert_int_equal(poster_server_connections(desk.server, POSTER_SERVER_B), 1);
    desk_close(&desk);
    zone = closed_address;
    desk_open(&desk, POSTER_SERVER_B, 5000);
    post_to_name(&desk);
    assert_string_equal(desk.error, REFUSED);
    check_untouched(&desk);
    desk_close(&desk);
    assert_int_equal(atomic_load(&resolved), before + 2);
}

static void of_several_addresses_only_those_that_may_be_are_tried(void **state)
{
    static const char *const both[] = {POSTER_SERVER_A, "::1", POSTER_SERVER_B, NULL};
    struct desk desk;

    (void)state;
    zone = both;
    desk_open(&desk, POSTER_SERVER_B, 5000);
    post_to_name(&desk);
    assert_int_equal(desk.status, 204);
    assert_string_equal(desk.error, "");
    assert_int_equal(poster_server_connections(desk.server, POSTER_SERVER_A), 0);
    assert_int_equal(poster_server_connections(desk.server, POSTER_SERVER_B), 1);
    desk_close(&desk);
    desk_open(&desk, "", 5000);
    post_to_name(&desk);
    assert_string_equal(desk.error, REFUSED);
    check_untouched(&desk);
    desk_close(&desk);
}

/* "%u" in @form stands for the port of a server that would answer. */
static void post_to(struct desk *desk, const char *form)
{
    const char *at = strstr(form, "%u");
    char url[128];

    if (at == NULL) {
        (void)snprintf(url, sizeof(url), "%s", form);
    } else {
        (void)snprintf(url, sizeof(url), "%.*s%u%s", (int)(at - form), form,
                       poster_server_port(desk->server), at + 2);
    }
    desk_post(desk, url);
}

static void every_way_to_write_an_address_is_the_address(void **state)
{
    static const char *const forms[] = {
        "http://127.0.0.1:%u/ok",
        "HTTP://127.0.0.1:0%u/ok",
        "http://localhost:%u/ok",
        "http://LocalHost:%u/ok",
        "http://127.1:%u/ok",
        "http://2130706433:%u/ok",
        "http://0x7f000001:%u/ok",
        "http://0x7f.1:%u/ok",
        "http://0177.0.0.1:%u/ok",
        "http://0.0.0.0:%u/ok",
        "http://0:%u/ok",
        "http://127.0.0.2:%u/ok",
        "http://[::ffff:127.0.0.1]:%u/ok",
        "http://[::ffff:7f00:1]:%u/ok",
        "http://[0:0:0:0:0:ffff:7f00:0001]:%u/ok",
        "http://[::7f00:1]:%u/ok",
        "http://[::1]:%u/ok",
        "http://[::]:%u/ok",
        "http://[fc00::1]:%u/ok",
        "http://[fdff:ffff::1]:%u/ok",
        "http://[fe80::1]:%u/ok",
        "http://[fe80::1%25lo]:%u/ok",
        "http://[febf::1]:%u/ok",
        "http://[64:ff9b::127.0.0.1]:%u/ok",
        "http://169.254.169.254:%u/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1:65535/",
        "https://127.0.0.1:%u/ok",
        "https://192.168.0.1/",
    };
    struct desk desk;

    (void)state;
    desk_open(&desk, "", 5000);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        post_to(&desk, forms[i]);
        if (desk.status != 0 || strcmp(desk.error, REFUSED) != 0) {
            fail_msg("%s: %d %s", forms[i], desk.status, desk.error);
        }
    }
    check_untouched(&desk);
    desk_close(&desk);
}

static void a_redirect_leads_nowhere(void **state)
{
    struct desk desk;
    char url[64];

    (void)state;
    desk_open(&desk, POSTER_SERVER_B, 5000);
    (void)snprintf(url, sizeof(url), "http://" POSTER_SERVER_B ":%u/away",
                   poster_server_port(desk.server));
    desk_post(&desk, url);
    assert_int_equal(desk.status, 302);
    assert_string_equal(desk.error, "redirects are not followed");
    assert_int_equal(poster_server_requests(desk.server), 1);
    assert_int_equal(poster_server_connections(desk.server, POSTER_SERVER_A), 0);
    desk_close(&desk);
}

static void a_url_with_a_login_a_bad_port_or_another_scheme_is_refused(void **state)
{
    static const char unreadable[] = "its URL cannot be read";
    static const char login[] = "its URL holds a login";
    static const struct {
        const char *form;
        const char *error;
    } urls[] = {
        {"http://user:secret@127.0.0.1:%u/ok", login},
        {"http://user@127.0.0.1:%u/ok", login},
        {"https://:secret@127.0.0.1:%u/ok", login},
        {"http://@127.0.0.1:%u/ok", login},
        {"http://127.0.0.1:0/ok", unreadable},
        {"http://127.0.0.1:65536/ok", unreadable},
        {"http://127.0.0.1:-1/ok", unreadable},
        {"http://127.0.0.1:%u:80/ok", unreadable},
        {"http://127.0.0.1:http/ok", unreadable},
        {"http://127.0.0.1:99999999999999/", unreadable},
        {"http://", unreadable},
        {"http://:%u/ok", unreadable},
        {"http://[::1/ok", unreadable},
        {"http://127.0.0.1 :%u/ok", unreadable},
        {"127.0.0.1:%u/ok", unreadable},
        {"gopher://127.0.0.1:%u/", unreadable},
        {"file:///etc/passwd", unreadable},
    };
    struct desk desk;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 5000);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        post_to(&desk, urls[i].form);
        if (desk.status != 0 || strcmp(desk.error, urls[i].error) != 0) {
            fail_msg("%s: %d %s", urls[i].form, desk.status, desk.error);
        }
    }
    check_untouched(&desk);
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_as_good_as_what_it_resolves_to),
        cmocka_unit_test(a_name_that_changes_is_looked_at_again),
        cmocka_unit_test(of_several_addresses_only_those_that_may_be_are_tried),
        cmocka_unit_test(every_way_to_write_an_address_is_the_address),
        cmocka_unit_test(a_redirect_leads_nowhere),
        cmocka_unit_test(a_url_with_a_login_a_bad_port_or_another_scheme_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
