#include "domain/fixed.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

void fixed_copy(char *out, size_t cap, const char *from)
{
    const char *text = from != NULL ? from : "";
    size_t n;

    assert(cap > 0);
    n = text_clip(text, cap - 1);
    memmove(out, text, n); /* NOLINT(bugprone-not-null-terminated-result): the rest is cleared */
    memset(out + n, 0, cap - n); /* all of it: equal texts are equal bytes */
    if (!text_is_utf8((struct bytes){(const uint8_t *)out, n})) {
        for (size_t i = 0; i < n; i++) {
            if ((unsigned char)out[i] >= 0x80) {
                out[i] = '?';
            }
        }
    }
}
