#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static int sodium_variant(enum text_base64 variant)
{
    return variant == TEXT_BASE64 ? sodium_base64_VARIANT_ORIGINAL
                                  : sodium_base64_VARIANT_URLSAFE_NO_PADDING;
}

void text_hex(struct buf *out, struct bytes from)
{
    char *room = (char *)buf_room(out, from.n * 2 + 1);

    (void)sodium_bin2hex(room, from.n * 2 + 1, from.p, from.n);
    buf_used(out, from.n * 2);
}

void text_base64(struct buf *out, struct bytes from, enum text_base64 variant)
{
    size_t need = sodium_base64_encoded_len(from.n, sodium_variant(variant));
    char *room = (char *)buf_room(out, need);

    (void)sodium_bin2base64(room, need, from.p, from.n, sodium_variant(variant));
    buf_used(out, strlen(room));
}

int text_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int text_unhex(struct buf *out, const char *text, size_t n)
{
    size_t len = 0;

    if (sodium_hex2bin(buf_room(out, n / 2 + 1), n / 2 + 1, text, n, NULL, &len, NULL) != 0 ||
        len * 2 != n) {
        return -ERR_INVALID;
    }
    buf_used(out, len);
    return 0;
}

int text_unbase64(struct buf *out, const char *text, size_t n, enum text_base64 variant)
{
    const char *end = NULL;
    size_t len = 0;

    if (sodium_base642bin(buf_room(out, n / 4 * 3 + 3), n / 4 * 3 + 3, text, n, NULL, &len, &end,
                          sodium_variant(variant)) != 0 ||
        end != text + n) {
        return -ERR_INVALID;
    }
    buf_used(out, len);
    return 0;
}

bool text_to_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end = NULL;
    long long v;

    if (text == NULL || (text[0] != '-' && (text[0] < '0' || text[0] > '9'))) {
        return false;
    }
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < min || v > max) {
        return false;
    }
    *out = v;
    return true;
}

/* Length of the well-formed sequence at @p, 0 if there is none (RFC 3629, table 3-7 of Unicode). */
static size_t utf8_step(const uint8_t *p, size_t n)
{
    size_t len;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;

    if (p[0] < 0x80) {
        return p[0] == 0 ? 0 : 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
    high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
    if (n < len || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0U) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool text_is_utf8(struct bytes text)
{
    for (size_t at = 0; at < text.n;) {
        size_t step = utf8_step(text.p + at, text.n - at);

        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

size_t text_clip(const char *text, size_t max)
{
    size_t n = strnlen(text, max + 1);

    if (n <= max) {
        return n;
    }
    n = max;
    while (n > 0 && ((uint8_t)text[n] & 0xc0U) == 0x80) {
        n--;
    }
    return n;
}

size_t text_json_too_deep(struct bytes json)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < json.n; i++) {
        uint8_t c = json.p[i];

        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
            if (depth > TEXT_JSON_DEPTH_MAX) {
                return i;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return json.n;
}
