#include "domain/fixed.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

static bool is_inside_character(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void fixed_copy(char *out, size_t cap, const char *from)
{
    const char *text = from != NULL ? from : "";
    size_t n = strlen(text);

    assert(cap > 0);
    if (n >= cap) {
        n = cap - 1;
        while (n > 0 && is_inside_character(text[n])) {
            n--;
        }
    }
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
