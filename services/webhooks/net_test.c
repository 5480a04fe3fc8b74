#include "webhooks/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/net.h"
#include "testkit/testkit.h"

static bool ask(const struct net_blocks *allowed, const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
    }
    return net_is_allowed(allowed, (const struct sockaddr *)&address);
}

static void only_the_open_internet_is_allowed(void **state)
{
    static const char *const open[] = {
        "1.1.1.1",         "172.15.255.255", "172.32.0.0",      "192.167.1.1", "198.20.0.1",
        "223.255.255.255", "100.128.0.1",    "2606:4700::1111", "2a00::1",     "::ffff:8.8.8.8"};
    static const char *const closed[] = {"0.0.0.0",
                                         "10.1.2.3",
                                         "100.64.0.1",
                                         "100.127.255.255",
                                         "127.0.0.1",
                                         "127.255.255.254",
                                         "169.254.169.254",
                                         "172.16.0.1",
                                         "172.31.255.255",
                                         "192.0.0.8",
                                         "192.168.1.1",
                                         "198.18.0.1",
                                         "198.19.255.255",
                                         "224.0.0.1",
                                         "255.255.255.255",
                                         "::",
                                         "::1",
                                         "::7f00:1",
                                         "::ffff:127.0.0.1",
                                         "::ffff:10.0.0.1",
                                         "64:ff9b::a00:1",
                                         "2001::1",
                                         "2001:db8::1",
                                         "2002:7f00:1::",
                                         "fc00::1",
                                         "fd12::1",
                                         "fe80::1",
                                         "febf::1",
                                         "ff02::1",
                                         "100::1"};
    struct net_blocks none;

    (void)state;
    assert_int_equal(net_blocks_parse("", &none, NULL), 0);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        assert_true(ask(&none, open[i]));
    }
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
        assert_false(ask(&none, closed[i]));
    }
}

static void named_networks_are_allowed_too(void **state)
{
    struct net_blocks some;

    (void)state;
    assert_int_equal(net_blocks_parse("127.0.0.1,10.20.0.0/15,fd00:1::/33,::1", &some, NULL), 0);
    assert_true(ask(&some, "127.0.0.1"));
    assert_true(ask(&some, "::ffff:127.0.0.1"));
    assert_false(ask(&some, "127.0.0.2"));
    assert_true(ask(&some, "10.21.255.1"));
    assert_false(ask(&some, "10.22.0.1"));
    assert_true(ask(&some, "fd00:1::7"));
    assert_true(ask(&some, "fd00:1:7fff::"));
    assert_false(ask(&some, "fd00:1:8000::"));
    assert_true(ask(&some, "::1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_open_internet_is_allowed),
        cmocka_unit_test(named_networks_are_allowed_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
