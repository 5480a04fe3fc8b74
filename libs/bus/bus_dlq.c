#include "bus/bus_dlq.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_consumer.h"
#include "bus/bus_key.h"

enum { REASON_MAX = 1000, ENVELOPE_MAX = 8192, KEY_MAX = 4096 };

/* At most @most bytes of @text, cut between characters; what is no UTF-8 becomes '?'. */
static const char *reason_text(struct arena *arena, const char *text, size_t most)
{
    size_t n = strnlen(text, most);
    char *copy;

    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) {
        n--;
    }
    copy = arena_strndup(arena, text, n);
    if (!text_is_utf8((struct bytes){(const uint8_t *)copy, n})) {
        for (size_t i = 0; i < n; i++) {
            if ((copy[i] & 0x80) != 0) {
                copy[i] = '?';
            }
        }
    }
    return copy;
}

int bus_dlq_encode(const struct bus_record *record, const char *service, const char *reason,
                   int64_t now_ms, struct buf *out, struct err *err)
{
    struct arena arena = {0};
    size_t most = BUS_RECORD_MAX - ENVELOPE_MAX;
    struct dead_letter letter = {
        .service = service,
        .source_topic = topics[record->topic].name,
        .source_partition = record->partition,
        .source_offset = record->offset,
        .source_key = record->key,
        .value = record->value,
        .reason = reason_text(&arena, reason, REASON_MAX),
        .at = now_ms,
    };
    int rc;

    if (letter.source_key.n > KEY_MAX) {
        letter.source_key.n = KEY_MAX;
    }
    if (letter.value.n > most) {
        letter.reason =
            arena_printf(&arena, "%s (value cut, it had %zu bytes)", letter.reason, letter.value.n);
        letter.value.n = most;
    }
    rc = bus_encode(TOPIC_DLQ, &letter, out, err);
    arena_done(&arena);
    return rc;
}

int32_t bus_dlq_partition(const struct bus_record *record)
{
    if (record->key.p == NULL) {
        return record->partition % topics[TOPIC_DLQ].partitions;
    }
    return bus_partition_of(record->key, topics[TOPIC_DLQ].partitions);
}
