/* A subscriber's URL, and the networks that an operator allows. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/text.h"
#include "testkit/testkit_fuzz.h"
#include "webhooks/net.h"
#include "webhooks/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A place has a host, a port, no login and no blank, and is its own place. */
static void as_url(const char *text)
{
    char place[URL_PLACE_MAX];
    char again[URL_PLACE_MAX + 8];
    char second[URL_PLACE_MAX];
    const char *colon;
    int64_t port;

    if (!url_place(text, place)) {
        return;
    }
    colon = strrchr(place, ':');
    must(colon != NULL && colon != place && text_to_int(colon + 1, 1, 65535, &port));
    must(strpbrk(place, "@/?# \t\r\n") == NULL);
    (void)snprintf(again, sizeof(again), "http://%s", place);
    must(url_place(again, second) && strcmp(second, place) == 0);
}

static bool is_allowed(const struct net_blocks *allowed, const struct net_address *address)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    memcpy(&v6.sin6_addr, address->bytes, sizeof(address->bytes));
    return net_is_allowed(allowed, (const struct sockaddr *)&v6);
}

/* Bit by bit, as the text says it. */
static bool holds(const struct net_block *block, const struct net_address *address)
{
    for (unsigned bit = 0; bit < block->bits; bit++) {
        unsigned differ = block->first.bytes[bit / 8] ^ address->bytes[bit / 8];

        if ((differ >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

/* Of the addresses that are closed, those that are named are allowed and no others. */
static void as_networks(const char *text)
{
    static const char *const closed[] = {"::1", "127.0.0.1", "169.254.169.254", "fd00::1",
                                         "fe80::1"};
    struct net_blocks allowed;

    if (net_blocks_parse(text, &allowed, NULL) < 0) {
        return;
    }
    must(allowed.n <= NET_BLOCKS_MAX);
    for (unsigned i = 0; i < allowed.n; i++) {
        must(allowed.at[i].bits <= 128 && is_allowed(&allowed, &allowed.at[i].first));
    }
    for (size_t a = 0; a < sizeof(closed) / sizeof(closed[0]); a++) {
        struct net_address address;
        bool is_named = false;

        must(net_address_parse(closed[a], strlen(closed[a]), &address));
        for (unsigned i = 0; i < allowed.n; i++) {
            is_named = is_named || holds(&allowed.at[i], &address);
        }
        must(is_allowed(&allowed, &address) == is_named);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);

    as_url(text);
    as_networks(text);
    free(text);
    return 0;
}
