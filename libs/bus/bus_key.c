#include "bus/bus_key.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/err.h"

static uint32_t tail_of(const uint8_t *p, size_t n, uint32_t hash)
{
    switch (n) {
    case 3:
        hash ^= (uint32_t)p[2] << 16;
        FALLTHROUGH;
    case 2:
        hash ^= (uint32_t)p[1] << 8;
        FALLTHROUGH;
    case 1:
        hash ^= p[0];
        hash *= 0x5bd1e995U;
        break;
    default:
        break;
    }
    return hash;
}

static uint32_t murmur2(const uint8_t *p, size_t n)
{
    uint32_t hash = 0x9747b28cU ^ (uint32_t)n;

    for (; n >= 4; p += 4, n -= 4) {
        uint32_t k =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        k *= 0x5bd1e995U;
        k ^= k >> 24;
        k *= 0x5bd1e995U;
        hash *= 0x5bd1e995U;
        hash ^= k;
    }
    hash = tail_of(p, n, hash);
    hash ^= hash >> 13;
    hash *= 0x5bd1e995U;
    hash ^= hash >> 15;
    return hash;
}

int32_t bus_partition_of(struct bytes key, int32_t partitions)
{
    return (int32_t)(murmur2(key.p, key.n) & 0x7fffffffU) % partitions;
}

int32_t bus_partition(const char *session_uuid)
{
    struct bytes key = {(const uint8_t *)session_uuid, strlen(session_uuid)};

    return bus_partition_of(key, topics[TOPIC_SESSION_CMD].partitions);
}

enum { NAME_MAX_BYTES = 160 };

static char topic_prefix[BUS_TOPIC_PREFIX_MAX];
static char prefixed[TOPIC_COUNT][NAME_MAX_BYTES]; /* empty names while there is no prefix */

int bus_set_topic_prefix(const char *prefix, struct err *err)
{
    size_t n = strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    if (prefix[n] != '\0' || n >= BUS_TOPIC_PREFIX_MAX) {
        return err_set(err, ERR_INVALID,
                       "topic prefix \"%.80s\" has a forbidden character or over %d bytes", prefix,
                       BUS_TOPIC_PREFIX_MAX - 1);
    }
    (void)snprintf(topic_prefix, sizeof(topic_prefix), "%s", prefix);
    for (int i = 0; i < TOPIC_COUNT; i++) {
        (void)snprintf(prefixed[i], sizeof(prefixed[i]), "%s%s", prefix, topics[i].name);
    }
    return 0;
}

const char *bus_topic_prefix(void)
{
    return topic_prefix;
}

const char *bus_topic_name(enum topic topic)
{
    return prefixed[topic][0] != '\0' ? prefixed[topic] : topics[topic].name;
}

bool bus_topic_find(const char *name, enum topic *out)
{
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (strcmp(bus_topic_name((enum topic)i), name) == 0) {
            *out = (enum topic)i;
            return true;
        }
    }
    return false;
}
