/* bus_record: a record in one piece of memory, and lists of them. Inside libs/bus. */
#ifndef BUS_BUS_RECORD_H
#define BUS_BUS_RECORD_H

#include <librdkafka/rdkafka.h>

#include "bus/bus_consumer.h"

struct bus_record_box {
    struct bus_record record;
    struct bus_record_box *next;
    bool is_end; /* no record: the end of the partition was seen here */
    size_t n_headers;
    struct bus_header headers[];
};

/* A copy of @message, which may be an "end of partition". */
struct bus_record_box *bus_record_new(enum topic topic, const rd_kafka_message_t *message);

#endif
