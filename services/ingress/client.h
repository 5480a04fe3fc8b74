/* client: the address that a request comes from. Pure.
 *
 * Behind a proxy that is the proxy's, and X-Forwarded-For says whose it really is: from right to
 * left, as long as a proxy that we trust wrote it. What stands further left anybody may have
 * written. */
#ifndef INGRESS_CLIENT_H
#define INGRESS_CLIENT_H

struct net_blocks;

enum { CLIENT_MAX = 52 }; /* bytes of its text with the NUL */

/* @peer: of the connection; @forwarded: the header's lines joined by commas, or NULL. Of an IPv6
 * address the first 64 bits, which is what one customer gets ("2001:db8:1:2::/64"). */
void client_address(const char *peer, const char *forwarded, const struct net_blocks *proxies,
                    char out[CLIENT_MAX]);

#endif
