/* bus_tester: records for tests. */
#ifndef BUS_BUS_TESTER_H
#define BUS_BUS_TESTER_H

#include <stdint.h>

#include "base/arena.h"
#include "record/records.h"

/* A record of @topic, of @kind where it has kinds, full of values made from @seed; nullable members
 * are null in one of three. Lives as long as @arena. */
void *bus_any_record(enum topic topic, struct arena *arena, uint64_t seed, int kind);

/* The same, but here and there with what is over a limit, or just under one. */
void *bus_wild_record(enum topic topic, struct arena *arena, uint64_t seed, int kind);

#endif
