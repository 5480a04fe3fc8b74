#include "bus/bus_key.h"

#include <string.h>

#include "base/attr.h"

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

bool bus_topic_find(const char *name, enum topic *out)
{
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            *out = (enum topic)i;
            return true;
        }
    }
    return false;
}
