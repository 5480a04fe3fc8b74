/* bus_key: which topic, which partition. Pure. */
#ifndef BUS_BUS_KEY_H
#define BUS_BUS_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "record/records.h"

/* murmur2 as Java's producers use it, made positive, modulo @partitions. */
int32_t bus_partition_of(struct bytes key, int32_t partitions);

/* The partition of the record of a session (a blast, a message of it) in every topic that is keyed
 * by session uuid; @session_uuid is its text. All these topics have the same number of partitions.
 */
int32_t bus_partition(const char *session_uuid);

/* The topic of that name, true; false when it is none of ours. */
bool bus_topic_find(const char *name, enum topic *out);

#endif
