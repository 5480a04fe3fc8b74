#include "webhooks/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { V4_BITS = 96 }; /* ::ffff:0:0/96 */

/* What is not the open internet (RFC 6890 and later registrations). */
static const char *const closed_text[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "::/96",         "64:ff9b::/96",    "64:ff9b:1::/48", "100::/64",       "2001::/23",
    "2001:db8::/32", "2002::/16",       "3fff::/20",      "5f00::/16",      "fc00::/7",
    "fe80::/10",     "fec0::/10",       "ff00::/8",
};

static void map_v4(const void *v4, uint8_t out[16])
{
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, v4, 4);
}

/* One "address" or "address/bits" of @n bytes. */
static bool parse_block(const char *text, size_t n, struct net_block *out)
{
    char copy[64];
    char *slash;
    uint8_t v4[4];
    int64_t bits;
    bool is_v4;

    if (n == 0 || n >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    slash = strchr(copy, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    is_v4 = inet_pton(AF_INET, copy, v4) == 1;
    if (is_v4) {
        map_v4(v4, out->bytes);
    } else if (inet_pton(AF_INET6, copy, out->bytes) != 1) {
        return false;
    }
    bits = is_v4 ? 32 : 128;
    if (slash != NULL && !text_to_int(slash + 1, 0, bits, &bits)) {
        return false;
    }
    out->bits = (unsigned)bits + (is_v4 ? V4_BITS : 0);
    return true;
}

static bool holds(const struct net_block *block, const uint8_t address[16])
{
    unsigned whole = block->bits / 8;
    unsigned rest = block->bits % 8;

    if (memcmp(block->bytes, address, whole) != 0) {
        return false;
    }
    return rest == 0 || (block->bytes[whole] ^ address[whole]) >> (8 - rest) == 0;
}

int net_allowed_parse(const char *text, struct net_allowed *out, struct err *err)
{
    struct net_allowed allowed = {0};

    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, ",");

        if (allowed.n == NET_ALLOWED_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d networks", NET_ALLOWED_MAX);
        }
        if (!parse_block(at, n, &allowed.blocks[allowed.n])) {
            return err_set(err, ERR_INVALID, "\"%.*s\" is not an address with a prefix length",
                           (int)(n < 64 ? n : 64), at);
        }
        allowed.n++;
        at += n + (at[n] == ',');
    }
    *out = allowed;
    return 0;
}

static bool is_closed(const uint8_t address[16])
{
    for (size_t i = 0; i < sizeof(closed_text) / sizeof(closed_text[0]); i++) {
        struct net_block block;

        if (parse_block(closed_text[i], strlen(closed_text[i]), &block) && holds(&block, address)) {
            return true;
        }
    }
    return false;
}

bool net_is_allowed(const struct net_allowed *allowed, const struct sockaddr *address)
{
    uint8_t bytes[16];

    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, address, sizeof(v4));
        map_v4(&v4.sin_addr, bytes);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, address, sizeof(v6));
        memcpy(bytes, &v6.sin6_addr, sizeof(bytes));
    } else {
        return false;
    }
    for (unsigned i = 0; i < allowed->n; i++) {
        if (holds(&allowed->blocks[i], bytes)) {
            return true;
        }
    }
    return !is_closed(bytes);
}
