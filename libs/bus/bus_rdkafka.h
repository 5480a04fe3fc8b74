/* bus_rdkafka: what the users of librdkafka in this folder share. Inside libs/bus. */
#ifndef BUS_BUS_RDKAFKA_H
#define BUS_BUS_RDKAFKA_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include "base/attr.h"

struct err;

struct bus_setting {
    const char *name;
    const char *value; /* NULL: left at its default */
};

/* A configuration for @brokers with what all clients have in common, and @settings, which end with
 * a NULL name. Gives *@out (rd_kafka_conf_destroy, or rd_kafka_new takes it). -ERR_INVALID:
 * refused. */
NODISCARD int bus_conf_new(const char *brokers, const char *client_id,
                           const struct bus_setting *settings, rd_kafka_conf_t **out,
                           struct err *err);

/* A client of @type. Takes @conf, also when it fails. */
NODISCARD int bus_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **out,
                             struct err *err);

/* Fill @err with what error_cb heard; true when the client is of no more use. */
bool bus_error_is_fatal(rd_kafka_t *client, int code, const char *reason, struct err *err);

#endif
