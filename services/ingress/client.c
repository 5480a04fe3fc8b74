#include "ingress/client.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/net.h"

enum { CUSTOMER_BYTES = 8 }; /* of an IPv6 address */

static const char blanks[] = " \t";

/* One element: "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80", with blanks around. */
static bool read_element(const char *text, size_t n, struct net_address *out)
{
    const char *end;

    while (n > 0 && strchr(blanks, text[0]) != NULL) {
        text++;
        n--;
    }
    while (n > 0 && strchr(blanks, text[n - 1]) != NULL) {
        n--;
    }
    if (net_address_parse(text, n, out)) {
        return true;
    }
    if (n > 0 && text[0] == '[') {
        end = memchr(text, ']', n);
        return end != NULL && net_address_parse(text + 1, (size_t)(end - text) - 1, out);
    }
    end = memchr(text, ':', n);
    return end != NULL && net_address_parse(text, (size_t)(end - text), out);
}

/* The last element of @text[0..*n), and *@n without it. False: none, or no address. */
static bool take_last(const char *text, size_t *n, struct net_address *out)
{
    size_t begin = *n;
    size_t end = *n;

    while (begin > 0 && text[begin - 1] != ',') {
        begin--;
    }
    *n = begin > 0 ? begin - 1 : 0;
    return end > 0 && read_element(text + begin, end - begin, out);
}

static void write_address(const struct net_address *address, char out[CLIENT_MAX])
{
    struct net_address customer = *address;
    char text[INET6_ADDRSTRLEN] = "";

    if (net_address_is_v4(address)) {
        (void)inet_ntop(AF_INET, address->bytes + NET_V4_BITS / 8, text, sizeof(text));
        (void)snprintf(out, CLIENT_MAX, "%s", text);
        return;
    }
    memset(customer.bytes + CUSTOMER_BYTES, 0, sizeof(customer.bytes) - CUSTOMER_BYTES);
    (void)inet_ntop(AF_INET6, customer.bytes, text, sizeof(text));
    (void)snprintf(out, CLIENT_MAX, "%s/%d", text, CUSTOMER_BYTES * 8);
}

void client_address(const char *peer, const char *forwarded, const struct net_blocks *proxies,
                    char out[CLIENT_MAX])
{
    size_t n = forwarded != NULL ? strlen(forwarded) : 0;
    struct net_address at;
    struct net_address before;

    if (!net_address_parse(peer, strlen(peer), &at)) {
        (void)snprintf(out, CLIENT_MAX, "unknown");
        return;
    }
    while (net_blocks_hold(proxies, &at) && take_last(forwarded, &n, &before)) {
        at = before;
    }
    write_address(&at, out);
}
