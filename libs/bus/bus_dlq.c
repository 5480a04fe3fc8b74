#include "bus/bus_dlq.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_consumer.h"

enum { REASON_MAX = 1000, ENVELOPE_MAX = 8192, KEY_MAX = 4096 };

/* At most @most bytes of @text, cut between characters; what is no UTF-8 becomes '?'. */
static const char *clean_text(struct arena *arena, const char *text, size_t most)
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

/* A copy of at most @most bytes of @from, without what the record's secret headers hold. */
static struct bytes without_secrets(struct arena *arena, const struct bus_record *record,
                                    struct bytes from, size_t most)
{
    uint8_t *copy;

    if (from.p == NULL) {
        return from;
    }
    copy = arena_new0(arena, from.n + 1);
    memcpy(copy, from.p, from.n);
    bus_record_mask(record, copy, from.n); /* before it is cut: not half of a secret stays */
    return (struct bytes){copy, from.n < most ? from.n : most};
}

const char *bus_dlq_key(struct arena *arena, const struct bus_record *record)
{
    struct bytes key = without_secrets(arena, record, record->key, KEY_MAX);

    return key.p == NULL ? NULL : clean_text(arena, (const char *)key.p, key.n);
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
        .source_key = without_secrets(&arena, record, record->key, KEY_MAX),
        .value = without_secrets(&arena, record, record->value, most),
        .reason = clean_text(&arena, reason, REASON_MAX),
        .at = now_ms,
    };
    int rc;

    if (record->value.n > most) {
        letter.reason = arena_printf(&arena, "%s (value cut, it had %zu bytes)", letter.reason,
                                     record->value.n);
    }
    rc = bus_encode(TOPIC_DLQ, &letter, out, err);
    arena_done(&arena);
    return rc;
}
