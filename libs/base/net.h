/* net: IP addresses, and networks of them. Pure. */
#ifndef BASE_NET_H
#define BASE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct sockaddr;

enum {
    NET_BLOCKS_MAX = 32,
    NET_V4_BITS = 96 /* of an IPv4 address that are the same for all: ::ffff:0:0/96 */
};

/* IPv6; IPv4 in the last four bytes, behind ::ffff: */
struct net_address {
    uint8_t bytes[16];
};

struct net_block {
    struct net_address first;
    unsigned bits; /* of the 128 */
};

struct net_blocks {
    unsigned n;
    struct net_block at[NET_BLOCKS_MAX];
};

/* The address that @n bytes of text are. False: none. */
bool net_address_parse(const char *text, size_t n, struct net_address *out);

/* Of a socket's. False: neither IPv4 nor IPv6. */
bool net_address_of(const struct sockaddr *from, struct net_address *out);

bool net_address_is_v4(const struct net_address *address);

/* "10.1.0.0/16", "fd00::/8", "127.0.0.1". False: no such thing. */
bool net_block_parse(const char *text, size_t n, struct net_block *out);
bool net_block_holds(const struct net_block *block, const struct net_address *address);

/* The same with commas between; "" for none. -ERR_INVALID names the place; -ERR_LIMIT: over
 * NET_BLOCKS_MAX. */
NODISCARD int net_blocks_parse(const char *text, struct net_blocks *out, struct err *err);
bool net_blocks_hold(const struct net_blocks *blocks, const struct net_address *address);

#endif
