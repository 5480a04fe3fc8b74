/* The first byte chooses the topic, the rest is a record as it comes from Kafka. What decodes must
 * encode again, and then decode to the same. */
#include "bus/bus_codec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(enum topic topic, const void *record)
{
    struct arena arena = {0};
    struct buf first = {0};
    struct buf second = {0};
    void *copy = mem_new0(topics[topic].type->size);

    if (bus_encode(topic, record, &first, NULL) == 0) {
        if (bus_decode(topic, buf_bytes(&first), &arena, copy, NULL) < 0 ||
            bus_encode(topic, copy, &second, NULL) < 0 || first.n != second.n ||
            memcmp(first.p, second.p, first.n) != 0) {
            abort();
        }
    }
    free(copy);
    buf_done(&first);
    buf_done(&second);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    enum topic topic;
    void *record;

    if (size == 0) {
        return 0;
    }
    topic = (enum topic)(data[0] % TOPIC_COUNT);
    record = mem_new0(topics[topic].type->size);
    if (bus_decode(topic, (struct bytes){data + 1, size - 1}, &arena, record, NULL) == 0) {
        again(topic, record);
    }
    free(record);
    arena_done(&arena);
    return 0;
}
