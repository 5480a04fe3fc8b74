#include "wa/wa_node_text.h"

#include <string.h>

#include "base/text.h"

/* Bytes of the character at @p, at most @n; 0 when there is none. */
static size_t character(const uint8_t *p, size_t n)
{
    for (size_t i = 1; i <= 4 && i <= n; i++) {
        if (text_is_utf8((struct bytes){p, i})) {
            return i;
        }
    }
    return 0;
}

const char *wa_node_text_clean(struct arena *arena, struct bytes raw)
{
    static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};
    uint8_t *out;
    size_t n = 0;

    if (raw.n == 0 || text_is_utf8(raw)) {
        return arena_strndup(arena, (const char *)raw.p, raw.n);
    }
    out = arena_new0(arena, 3 * raw.n + 1);
    for (size_t at = 0; at < raw.n;) {
        size_t step = character(raw.p + at, raw.n - at);

        if (step == 0) {
            memcpy(out + n, replacement, sizeof(replacement));
            n += sizeof(replacement);
            at++;
        } else {
            memcpy(out + n, raw.p + at, step);
            n += step;
            at += step;
        }
    }
    return (const char *)out;
}
