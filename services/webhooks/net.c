#include "webhooks/net.h"

#include <string.h>

#include "base/net.h"

/* What is not the open internet (RFC 6890 and later registrations). */
static const char *const closed_text[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "::/96",         "64:ff9b::/96",    "64:ff9b:1::/48", "100::/64",       "2001::/23",
    "2001:db8::/32", "2002::/16",       "3fff::/20",      "5f00::/16",      "fc00::/7",
    "fe80::/10",     "fec0::/10",       "ff00::/8",
};

static bool is_closed(const struct net_address *address)
{
    for (size_t i = 0; i < sizeof(closed_text) / sizeof(closed_text[0]); i++) {
        struct net_block block;

        if (net_block_parse(closed_text[i], strlen(closed_text[i]), &block) &&
            net_block_holds(&block, address)) {
            return true;
        }
    }
    return false;
}

bool net_is_allowed(const struct net_blocks *allowed, const struct sockaddr *address)
{
    struct net_address of;

    return net_address_of(address, &of) && (net_blocks_hold(allowed, &of) || !is_closed(&of));
}
