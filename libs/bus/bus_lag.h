/* bus_lag: how far a service is behind, by what it committed to Kafka: also of one that does
 * not run. For tools: the call waits. */
#ifndef BUS_BUS_LAG_H
#define BUS_BUS_LAG_H

#include <stdint.h>

#include "base/attr.h"
#include "record/records.h"

struct err;

/* Fill @lag with the records of each topic that the service @group has not committed, over all its
 * partitions; -1: it does not read that topic. Waits at most @timeout_ms for each answer.
 *   -ERR_INVALID  @brokers is no list of addresses
 *   -ERR_TIMEOUT  no broker answers */
NODISCARD int bus_lag(const char *brokers, const char *group, int timeout_ms,
                      int64_t lag[TOPIC_COUNT], struct err *err);

#endif
