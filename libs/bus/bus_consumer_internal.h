/* Inside a consumer: the partitions that it reads with their records (bus_consumer_slots.c), what
 * librdkafka brings and what is given on (bus_consumer_read.c), and what the owner says
 * (bus_consumer.c). All on the loop's thread but where it says otherwise. */
#ifndef BUS_BUS_CONSUMER_INTERNAL_H
#define BUS_BUS_CONSUMER_INTERNAL_H

#include "bus/bus_consumer.h"
#include "bus/bus_rdkafka.h"
#include "bus/bus_record.h"
#include "loop/loop.h"
#include "loop/loop_wake.h"

enum { BUS_IDLE_POLL_MS = 1000 };

/* A partition that is read, and its records that were not given yet. */
struct bus_slot {
    enum topic topic;
    int32_t number;
    int64_t next_offset; /* of the record to give next */
    struct bus_record_box *first;
    struct bus_record_box *last;
    size_t n;
    size_t bytes;
    bool is_paused; /* by the owner */
    bool is_choked; /* paused in librdkafka because enough is here */
};

enum phase { IDLE, OFFERED, READING };

struct bus_consumer {
    struct loop *loop;
    struct loop_wake *wake;
    struct loop_timer idle;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct bus_consumer_events events;
    size_t prefetch;
    bool is_group;
    enum phase phase;
    struct bus_slot *slots; /* sorted by topic and number */
    size_t n_slots;
    unsigned generation; /* of slots: they are others when it is another */
    bool is_held;
    bool is_dead; /* a fatal error was told */
    bool is_closed;
    bool is_ending;    /* nothing of it is used any more, and its client goes when n_asking is 0 */
    unsigned n_asking; /* threads of the pool that ask where a partition ends */
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
};

/* ---- slots: the partitions of the assignment ---- */

/* NULL: it is not among them. */
struct bus_slot *bus_slot_find(const struct bus_consumer *consumer, enum topic topic,
                               int32_t number);

/* Exactly these from now on, without records; the records of those before are freed. */
void bus_slots_set(struct bus_consumer *consumer, const struct bus_partition *partitions, size_t n);
void bus_slots_drop(struct bus_consumer *consumer);

void bus_slot_add(struct bus_slot *slot, struct bus_record_box *box); /* takes @box */
struct bus_record_box *bus_slot_take(struct bus_slot *slot);          /* gives the first */

/* Stop fetching a partition that the owner paused when enough is here, so that the others go on,
 * or go on with it; what librdkafka has of it is fetched again later. */
void bus_slot_choke(struct bus_consumer *consumer, struct bus_slot *slot);

/* ---- reading ---- */

/* For librdkafka, which calls them in rd_kafka_consumer_poll on the loop; opaque is the consumer.
 */
void bus_consumer_on_error(rd_kafka_t *client, int code, const char *reason, void *opaque);
void bus_consumer_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                               rd_kafka_topic_partition_list_t *list, void *opaque);

/* For the loop: something may have come; and now and then whether or not. @ctx is the consumer. */
void bus_consumer_on_wake(void *ctx);
void bus_consumer_on_idle(struct loop_timer *timer, void *ctx);

#endif
