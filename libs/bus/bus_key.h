/* bus_key: which topic, which partition. */
#ifndef BUS_BUS_KEY_H
#define BUS_BUS_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "record/records.h"

struct err;

/* murmur2 as Java's producers use it, made positive, modulo @partitions. */
int32_t bus_partition_of(struct bytes key, int32_t partitions);

/* The partition of the record of a session (a blast, a message of it) in every topic that is keyed
 * by session uuid; @session_uuid is its text. All these topics have the same number of partitions.
 */
int32_t bus_partition(const char *session_uuid);

enum { BUS_TOPIC_PREFIX_MAX = 64 }; /* bytes with the NUL */

/* Put @prefix before the names of all topics and groups in Kafka, so that installations, or tests,
 * can share a cluster. "" as at first. Before anything else of libs/bus is used. -ERR_INVALID: too
 * long, or with a character that no topic's name may have. */
NODISCARD int bus_set_topic_prefix(const char *prefix, struct err *err);

const char *bus_topic_prefix(void);           /* "" at first */
const char *bus_topic_name(enum topic topic); /* in Kafka, with the prefix */

/* The topic of that name in Kafka, true; false when it is none of ours. */
bool bus_topic_find(const char *name, enum topic *out);

#endif
