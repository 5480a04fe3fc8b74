/* timezone: the file of a time zone by its name. */
#ifndef SCHEDULER_TIMEZONE_H
#define SCHEDULER_TIMEZONE_H

#include "base/attr.h"

struct err;
struct zone;

/* Read the zone @name, such as "Asia/Jakarta", from the machine's own. Gives *@out (zone_free):
 * NULL for UTC, which needs no file. -ERR_INVALID: no such zone, or none that can be read. */
NODISCARD int timezone_read(const char *name, struct zone **out, struct err *err);

#endif
