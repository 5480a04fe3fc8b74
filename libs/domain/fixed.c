#include "domain/fixed.h"

#include <string.h>

#include "base/text.h"

void fixed_copy(char *out, size_t cap, const char *from)
{
    size_t n = from == NULL ? 0 : strlen(from);

    if (n >= cap) {
        n = cap - 1;
        while (n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80) {
            n--; /* the middle of a UTF-8 character */
        }
    }
    if (n > 0) {
        memmove(out, from, n);
    }
    if (!text_is_utf8((struct bytes){(const uint8_t *)out, n})) {
        for (size_t i = 0; i < n; i++) {
            out[i] = (unsigned char)out[i] >= 0x80 ? '?' : out[i];
        }
    }
    memset(out + n, 0, cap - n); /* equal texts are equal bytes */
}
