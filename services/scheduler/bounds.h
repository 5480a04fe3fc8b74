/* bounds: are the texts of a command short enough to be carried on by events? Pure. */
#ifndef SCHEDULER_BOUNDS_H
#define SCHEDULER_BOUNDS_H

#include "base/attr.h"
#include "record/records.h"

struct err;

enum { BOUNDS_ENVELOPE_MAX = 256 }; /* bytes of each text of a command's envelope */

/* -ERR_LIMIT: names the member, how long it is, and how long it may be. The config is not looked
 * at: blast_config_from_json has a limit, and its answer. */
NODISCARD int bounds_check(const struct blast_command *command, struct err *err);

#endif
