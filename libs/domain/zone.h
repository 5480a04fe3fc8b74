/* zone: a time zone read from the bytes of a TZif file (RFC 9636). Pure: the caller reads the file.
 */
#ifndef DOMAIN_ZONE_H
#define DOMAIN_ZONE_H

#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"

struct err;
struct zone; /* opaque; never changes once made */

enum { ZONE_FILE_MAX = 65536, ZONE_TIMES_MAX = 4096 }; /* bytes; changes of offset in one file */

struct zone_offset {
    int32_t seconds;  /* east of UTC */
    int64_t until_ms; /* the first moment with another offset; INT64_MAX when there is none */
};

/* Gives *@out (zone_free). On failure *@out is untouched:
 *   -ERR_INVALID   not a TZif file of version 2 or later, or damaged
 *   -ERR_LIMIT     over ZONE_FILE_MAX or ZONE_TIMES_MAX */
NODISCARD int zone_parse(struct bytes file, struct zone **out, struct err *err);
void zone_free(struct zone **zone); /* sets *@zone to NULL; NULL is fine */

/* What holds at @at_ms since the epoch. A NULL @zone is UTC. */
struct zone_offset zone_offset_at(const struct zone *zone, int64_t at_ms);

#endif
