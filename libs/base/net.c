#include "base/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static const uint8_t v4_prefix[NET_V4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static void set_v4(struct net_address *out, const void *v4)
{
    memcpy(out->bytes, v4_prefix, sizeof(v4_prefix));
    memcpy(out->bytes + sizeof(v4_prefix), v4, sizeof(struct in_addr));
}

bool net_address_parse(const char *text, size_t n, struct net_address *out)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (n == 0 || n >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1) {
        set_v4(out, bytes);
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) == 1) {
        memcpy(out->bytes, bytes, sizeof(bytes));
        return true;
    }
    return false;
}

bool net_address_of(const struct sockaddr *from, struct net_address *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (from->sa_family == AF_INET) {
        memcpy(&v4, from, sizeof(v4));
        set_v4(out, &v4.sin_addr);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        memcpy(&v6, from, sizeof(v6));
        memcpy(out->bytes, &v6.sin6_addr, sizeof(out->bytes));
        return true;
    }
    return false;
}

bool net_address_is_v4(const struct net_address *address)
{
    return memcmp(address->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool net_block_parse(const char *text, size_t n, struct net_block *out)
{
    const char *slash = memchr(text, '/', n);
    size_t address_n = slash != NULL ? (size_t)(slash - text) : n;
    struct net_block block;
    char number[4] = {0};
    int64_t most;
    int64_t bits;

    if (!net_address_parse(text, address_n, &block.first)) {
        return false;
    }
    most = memchr(text, ':', address_n) == NULL ? 128 - NET_V4_BITS : 128;
    bits = most;
    if (slash != NULL) {
        size_t number_n = n - address_n - 1;

        if (number_n >= sizeof(number)) {
            return false;
        }
        memcpy(number, slash + 1, number_n);
        if (!text_to_int(number, 0, most, &bits)) {
            return false;
        }
    }
    block.bits = (unsigned)(bits + 128 - most);
    *out = block;
    return true;
}

bool net_block_holds(const struct net_block *block, const struct net_address *address)
{
    unsigned whole = block->bits / 8;
    unsigned rest = block->bits % 8;

    if (memcmp(block->first.bytes, address->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || (block->first.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

int net_blocks_parse(const char *text, struct net_blocks *out, struct err *err)
{
    struct net_blocks blocks = {0};

    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, ",");

        if (blocks.n == NET_BLOCKS_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d networks", NET_BLOCKS_MAX);
        }
        if (!net_block_parse(at, n, &blocks.at[blocks.n])) {
            return err_set(err, ERR_INVALID, "\"%.*s\" is not an address with a prefix length",
                           (int)(n < 64 ? n : 64), at);
        }
        blocks.n++;
        at += n + (at[n] == ',');
    }
    *out = blocks;
    return 0;
}

bool net_blocks_hold(const struct net_blocks *blocks, const struct net_address *address)
{
    for (unsigned i = 0; i < blocks->n; i++) {
        if (net_block_holds(&blocks->at[i], address)) {
            return true;
        }
    }
    return false;
}
