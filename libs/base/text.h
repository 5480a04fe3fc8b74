/* text: bytes as hex and base64, numbers out of text. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

enum text_base64 { TEXT_BASE64, TEXT_BASE64URL }; /* padded standard; unpadded url-safe */

void text_hex(struct buf *out, struct bytes from); /* appends lower-case hex */
void text_base64(struct buf *out, struct bytes from, enum text_base64 variant); /* appends */

int text_hex_digit(char c); /* 0 to 15, in either case; -1 for another */

/* Append the bytes that @text stands for. -ERR_INVALID leaves @out as it was. */
NODISCARD int text_unhex(struct buf *out, const char *text, size_t n);
NODISCARD int text_unbase64(struct buf *out, const char *text, size_t n, enum text_base64 variant);

/* A whole decimal number within [@min, @max], nothing before or behind it. */
bool text_to_int(const char *text, int64_t min, int64_t max, int64_t *out);

bool text_is_utf8(struct bytes text); /* well-formed (no overlong forms, no surrogates), no NUL */

/* How many bytes of @text (UTF-8) are kept of at most @max: whole characters. */
size_t text_clip(const char *text, size_t max);

enum { TEXT_JSON_DEPTH_MAX = 32 }; /* of what others sent */

/* Where the brackets of a JSON text, outside of its strings, are first nested deeper than
 * TEXT_JSON_DEPTH_MAX; @json.n: nowhere. To be asked before jansson, whose parser recurses 2,048
 * deep, which is more than the stack of a thread that serves HTTP holds. */
size_t text_json_too_deep(struct bytes json);

#endif
