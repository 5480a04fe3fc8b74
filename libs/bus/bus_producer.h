/* bus_producer: records to Kafka (wraps librdkafka), idempotent, every one acknowledged by all
 * replicas, its end told exactly once on the loop.
 *
 * new and close belong to the loop's thread; bus_producer_send and bus_producer_send_wait are for
 * any thread. No call blocks but bus_producer_send_wait. */
#ifndef BUS_BUS_PRODUCER_H
#define BUS_BUS_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "record/records.h"

struct err;
struct loop;
struct bus_producer;

enum { BUS_HEADERS_MAX = 32 };

struct bus_header {
    const char *name;
    struct bytes value;
};

struct bus_send {
    enum topic topic;
    int32_t partition;  /* always explicit: bus_partition(session uuid) */
    struct bytes key;   /* p NULL for none */
    struct bytes value; /* as bus_encode made it */
    const struct bus_header *headers;
    size_t n_headers;
    void *cookie; /* comes back in bus_delivery */
};

struct bus_delivery {
    enum topic topic;
    int32_t partition;
    int64_t offset; /* where it lies; -1 when it failed */
    void *cookie;
    int rc; /* 0, -ERR_TIMEOUT (surely not written), -ERR_UNCERTAIN, -ERR_LIMIT (too large) */
    const struct err *err; /* why, when rc is not 0 */
};

struct bus_producer_events {
    /* Once for each bus_send that was taken, on the loop; per partition in the order of sending.
     * Not after bus_producer_close. */
    void (*delivered)(const struct bus_delivery *delivery, void *ctx);
    /* Something is wrong as a whole (no broker can be reached, a log-in was refused); for people,
     * may come often. May be NULL. */
    void (*trouble)(const struct err *err, void *ctx);
    void *ctx;
};

enum bus_producer_kind {
    /* For outboxes: nothing is given up by time-out, nothing is skipped. After a delivery with an
     * rc the producer takes nothing more (-ERR_CLOSED): close it, make a new one, and begin again
     * at the lowest row that is left. */
    BUS_PRODUCER_RELAY,
    /* For requests: a record is given up after timeout_ms; the producer mends itself. */
    BUS_PRODUCER_REQUEST
};

struct bus_producer_options {
    const char *brokers;   /* host:port, separated by commas */
    const char *client_id; /* for the broker's logs: the instance id */
    enum bus_producer_kind kind;
    int64_t timeout_ms; /* of BUS_PRODUCER_REQUEST; 0: 5000 */
    size_t queue_max;   /* records taken and not yet delivered; 0: 10000 */
    /* To be written soon: who leads them is looked up at once, and not when the first record waits
     * for it, which costs that up to a second. May be none. */
    const enum topic *topics;
    size_t n_topics;
    struct bus_producer_events events;
};

/* Gives *@out (bus_producer_close). Keeps nothing of @options but events.ctx. Returns before any
 * broker was reached. -ERR_INVALID: an option that librdkafka refuses. */
NODISCARD int bus_producer_new(struct loop *loop, const struct bus_producer_options *options,
                               struct bus_producer **out, struct err *err);

/* Any thread. Queue @send; copies what it points to.
 *   -ERR_LIMIT   queue_max records are on their way (try when some are delivered), or the record is
 *                over BUS_RECORD_MAX, or over BUS_HEADERS_MAX headers
 *   -ERR_CLOSED  the producer must be replaced (BUS_PRODUCER_RELAY) */
NODISCARD int bus_producer_send(struct bus_producer *producer, const struct bus_send *send,
                                struct err *err);

/* Any thread but the loop's. As bus_producer_send, and wait for the delivery, which `delivered`
 * does not hear of. Gives the offset in *@offset (may be NULL).
 *   -ERR_TIMEOUT    surely not written
 *   -ERR_UNCERTAIN  may or may not be written; also when @timeout_ms passed first */
NODISCARD int bus_producer_send_wait(struct bus_producer *producer, const struct bus_send *send,
                                     int64_t timeout_ms, int64_t *offset, struct err *err);

size_t
bus_producer_pending(struct bus_producer *producer); /* any thread: taken, not yet delivered */

/* Sets *@producer to NULL (NULL is fine) and forgets at once what is on its way: no more callbacks.
 * All other threads must be gone from it. The end itself happens on a thread of the pool. */
void bus_producer_close(struct bus_producer **producer);

#endif
