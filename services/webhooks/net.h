/* net: which addresses a subscriber's name may lead to. Pure. */
#ifndef WEBHOOKS_NET_H
#define WEBHOOKS_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct sockaddr;

enum { NET_ALLOWED_MAX = 32 };

struct net_block {
    uint8_t bytes[16]; /* IPv4 in the last four, behind ::ffff: */
    unsigned bits;     /* of the 128 */
};

struct net_allowed {
    unsigned n;
    struct net_block blocks[NET_ALLOWED_MAX];
};

/* Parse "10.1.0.0/16,fd00::/8,127.0.0.1"; "" for none. -ERR_INVALID names the place; -ERR_LIMIT
 * over NET_ALLOWED_MAX. */
NODISCARD int net_allowed_parse(const char *text, struct net_allowed *out, struct err *err);

/* Whether a subscriber may be at @address: it is public (not loopback, private, link-local,
 * carrier's, multicast, reserved or a translation of such), or one of @allowed holds it. */
bool net_is_allowed(const struct net_allowed *allowed, const struct sockaddr *address);

#endif
