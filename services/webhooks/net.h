/* net: which addresses a subscriber's name may lead to. Pure. */
#ifndef WEBHOOKS_NET_H
#define WEBHOOKS_NET_H

#include <stdbool.h>

struct net_blocks;
struct sockaddr;

/* Whether a subscriber may be at @address: it is public (not loopback, private, link-local,
 * carrier's, multicast, reserved or a translation of such), or one of @allowed holds it. */
bool net_is_allowed(const struct net_blocks *allowed, const struct sockaddr *address);

#endif
