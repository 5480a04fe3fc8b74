#include "ingress/client.h"

#include <string.h>

#include "base/net.h"
#include "testkit/testkit.h"

static void the_client_is_whom_the_last_trusted_proxy_names(void **state)
{
    static const struct {
        const char *peer;
        const char *forwarded;
        const char *want;
    } rows[] = {
        {"9.8.7.6", NULL, "9.8.7.6"},
        {"9.8.7.6", "1.2.3.4", "9.8.7.6"}, /* no proxy of ours: anybody can write that */
        {"127.0.0.1", NULL, "127.0.0.1"},
        {"127.0.0.1", "", "127.0.0.1"},
        {"127.0.0.1", "1.2.3.4", "1.2.3.4"},
        {"127.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"}, /* the first is what the client claims */
        {"127.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"},
        {"127.0.0.1", "6.6.6.6,1.2.3.4 , 10.0.0.7 ,127.0.0.9", "1.2.3.4"},
        {"127.0.0.1", "10.0.0.7", "10.0.0.7"},
        {"127.0.0.1", "1.2.3.4, rubbish", "127.0.0.1"},
        {"127.0.0.1", "1.2.3.4, unknown, 10.0.0.7", "10.0.0.7"},
        {"127.0.0.1", "1.2.3.4,", "127.0.0.1"},
        {"127.0.0.1", "1.2.3.4:5678", "1.2.3.4"},
        {"127.0.0.1", "[2001:db8:1:2:3::4]:5678", "2001:db8:1:2::/64"},
        {"127.0.0.1", "[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"},
        {"127.0.0.1", "2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"},
        {"127.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"},
        {"127.0.0.1", "[", "127.0.0.1"},
        {"127.0.0.1", ",,,", "127.0.0.1"},
        {"127.0.0.1", "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22", "127.0.0.1"},
        {"::1", "1.2.3.4", "1.2.3.4"},
        {"no address", "1.2.3.4", "unknown"},
    };
    struct net_blocks proxies;

    (void)state;
    assert_int_equal(net_blocks_parse("127.0.0.0/8,10.0.0.0/8,::1", &proxies, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char have[CLIENT_MAX];

        client_address(rows[i].peer, rows[i].forwarded, &proxies, have);
        assert_string_equal(have, rows[i].want);
    }
}

static void without_proxies_the_header_does_not_count(void **state)
{
    const struct net_blocks none = {0};
    char have[CLIENT_MAX];

    (void)state;
    client_address("127.0.0.1", "1.2.3.4", &none, have);
    assert_string_equal(have, "127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_is_whom_the_last_trusted_proxy_names),
        cmocka_unit_test(without_proxies_the_header_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
