#include "base/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "testkit/testkit.h"

static bool holds(const struct net_blocks *blocks, const char *text)
{
    struct net_address address;

    assert_true(net_address_parse(text, strlen(text), &address));
    return net_blocks_hold(blocks, &address);
}

static void networks_hold_their_addresses(void **state)
{
    struct net_blocks some;

    (void)state;
    assert_int_equal(
        net_blocks_parse("127.0.0.1,10.20.0.0/15,fd00:1::/33,::1,8.0.0.0/0", &some, NULL), 0);
    some.n--;
    assert_true(holds(&some, "127.0.0.1"));
    assert_true(holds(&some, "::ffff:127.0.0.1"));
    assert_false(holds(&some, "127.0.0.2"));
    assert_true(holds(&some, "10.21.255.1"));
    assert_false(holds(&some, "10.22.0.1"));
    assert_true(holds(&some, "fd00:1:7fff::"));
    assert_false(holds(&some, "fd00:1:8000::"));
    assert_true(holds(&some, "::1"));
    assert_false(holds(&some, "9.9.9.9"));
    some.n++; /* all of IPv4 */
    assert_true(holds(&some, "9.9.9.9"));
    assert_false(holds(&some, "::2"));
    assert_int_equal(net_blocks_parse("", &some, NULL), 0);
    assert_false(holds(&some, "127.0.0.1"));
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {"localhost", "10.0.0.0/33", "10.0.0.0/",        "10.0.0.0/-1",
                                      "::1/129",   "10.0.0",      "1.1.1.1,,2.2.2.2", "1.1.1.1 ",
                                      "::1/1280",  "/8",          "10.0.0.0/8/8"};
    struct buf many = {0};
    struct net_blocks out;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(net_blocks_parse(bad[i], &out, &err), -ERR_INVALID);
        assert_non_null(strstr(err.text, "is not an address"));
    }
    for (int i = 0; i <= NET_BLOCKS_MAX; i++) {
        buf_add_str(&many, "1.1.1.1,");
    }
    assert_int_equal(net_blocks_parse(buf_text(&many), &out, NULL), -ERR_LIMIT);
    buf_done(&many);
}

static void addresses_come_from_text_and_sockets(void **state)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(0x01020304)}};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr other = {.sa_family = AF_UNIX};
    struct net_address from_text;
    struct net_address from_socket;

    (void)state;
    assert_true(net_address_parse("1.2.3.4", 7, &from_text));
    assert_true(net_address_of((const struct sockaddr *)&v4, &from_socket));
    assert_memory_equal(&from_text, &from_socket, sizeof(from_text));
    assert_true(net_address_is_v4(&from_text));
    assert_true(net_address_parse("::1, and more", 3, &from_text));
    assert_true(net_address_of((const struct sockaddr *)&v6, &from_socket));
    assert_memory_equal(&from_text, &from_socket, sizeof(from_text));
    assert_false(net_address_is_v4(&from_text));
    assert_false(net_address_of(&other, &from_socket));
    assert_false(net_address_parse("", 0, &from_text));
    assert_false(net_address_parse("1.2.3.4:80", 10, &from_text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_hold_their_addresses),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(addresses_come_from_text_and_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
