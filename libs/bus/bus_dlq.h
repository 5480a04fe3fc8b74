/* bus_dlq: dead letters: records that could not be processed, with the reason. */
#ifndef BUS_BUS_DLQ_H
#define BUS_BUS_DLQ_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct arena;
struct err;
struct bus_record;

/* Append to @out the value for wa.dlq.v1 (key: bus_dlq_key; partition: the number of the
 * record's own) that holds @record, which came from a consumer. @reason is for operators and holds
 * no secret; it is cut at 1000 bytes. The headers are not in it, and where key or value repeat a
 * credential of theirs, it is overwritten. A value too large to be wrapped is cut, and the reason
 * says so. */
NODISCARD int bus_dlq_encode(const struct bus_record *record, const char *service,
                             const char *reason, int64_t now_ms, struct buf *out, struct err *err);

/* The record's own key as text, without credentials, and with question marks for what is no UTF-8;
 * NULL when it has none. Lives in @arena. */
const char *bus_dlq_key(struct arena *arena, const struct bus_record *record);

#endif
