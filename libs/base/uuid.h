/* uuid: RFC 9562 ids as lower-case text with dashes. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum { UUID_TEXT_MAX = 37 }; /* bytes with the NUL */

struct uuid {
    char text[UUID_TEXT_MAX];
};

/* Version 7: @wall_ms in front, random behind; sorts by time. */
struct uuid uuid_v7(int64_t wall_ms);

/* Version 5: the same id for the same @name, for ever. The namespace is Kentongan's own; callers
 * separate their kinds of names by a prefix, such as "session:1:sales" (S6). */
struct uuid uuid_v5(const char *fmt, ...) PRINTF_LIKE(1, 2);

bool uuid_is_valid(const char *text); /* 36 characters, lower-case hex and dashes */

#endif
