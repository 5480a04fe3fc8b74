#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/bus_consumer_internal.h"
#include "bus/bus_key.h"

enum {
    READY_BYTES_MAX = 8 << 20, /* of unread records of all, and one record */
    TURN_MAX = 1000            /* records fetched, and given, before the loop has its turn */
};

static int by_topic_and_number(const void *a, const void *b)
{
    const struct bus_partition *one = a;
    const struct bus_partition *two = b;

    if (one->topic != two->topic) {
        return one->topic < two->topic ? -1 : 1;
    }
    return (one->number > two->number) - (one->number < two->number);
}

/* ---- what librdkafka tells, in rd_kafka_consumer_poll on the loop ---- */

static void fail(struct bus_consumer *consumer, const struct err *err, bool is_fatal)
{
    if (consumer->is_dead || consumer->is_closed) {
        return;
    }
    consumer->is_dead = is_fatal;
    if (is_fatal && consumer->is_group && consumer->phase != IDLE) {
        bus_slots_drop(consumer); /* librdkafka gives the partitions up without a word */
        consumer->phase = IDLE;
        consumer->events.revoked(true, consumer->events.ctx);
    }
    if (!consumer->is_closed) {
        consumer->events.failed(err, is_fatal, consumer->events.ctx);
    }
}

void bus_consumer_on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct bus_consumer *consumer = opaque;
    struct err err;
    bool is_fatal;

    if (!consumer->is_ending) {
        is_fatal = bus_error_is_fatal(client, code, reason, &err);
        fail(consumer, &err, is_fatal);
    }
}

static void on_assigned(struct bus_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    size_t n = 0;
    struct bus_partition *offered = mem_array0((size_t)list->cnt + 1, sizeof(*offered));

    for (int i = 0; i < list->cnt; i++) {
        if (bus_topic_find(list->elems[i].topic, &offered[n].topic)) {
            offered[n++].number = list->elems[i].partition;
        }
    }
    qsort(offered, n, sizeof(*offered), by_topic_and_number);
    bus_slots_set(consumer, offered, n);
    consumer->phase = OFFERED;
    consumer->events.assigned(offered, n, consumer->events.ctx);
    free(offered);
}

void bus_consumer_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                               rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct bus_consumer *consumer = opaque;
    bool was_told;

    if (consumer->is_ending || consumer->is_closed) {
        (void)rd_kafka_assign(client, NULL);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assigned(consumer, list);
        return;
    }
    was_told = consumer->phase != IDLE;
    bus_slots_drop(consumer);
    consumer->phase = IDLE;
    if (was_told) {
        consumer->events.revoked(rd_kafka_assignment_lost(client) != 0, consumer->events.ctx);
    }
    (void)rd_kafka_assign(client, NULL);
}

/* A message that is an error. */
static void on_bad_message(struct bus_consumer *consumer, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt == NULL ? "-" : rd_kafka_topic_name(message->rkt);
    struct err err;

    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        (void)bus_error_is_fatal(consumer->client, message->err, "", &err);
        fail(consumer, &err, true);
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        (void)err_set(&err, ERR_NOT_FOUND, "kafka: %s %d has no offset %" PRId64 " any more", topic,
                      message->partition, message->offset);
        fail(consumer, &err, true);
        return;
    }
    (void)err_set(&err, ERR_EXTERNAL, "kafka: %s %d: %s", topic, message->partition,
                  rd_kafka_message_errstr(message));
    fail(consumer, &err, false);
}

static void on_message(struct bus_consumer *consumer, const rd_kafka_message_t *message)
{
    struct bus_slot *slot;
    enum topic topic;

    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        on_bad_message(consumer, message);
        return;
    }
    if (consumer->phase != READING || !bus_topic_find(rd_kafka_topic_name(message->rkt), &topic)) {
        return;
    }
    slot = bus_slot_find(consumer, topic, message->partition);
    if (slot != NULL) {
        bus_slot_add(slot, bus_record_new(topic, message));
        bus_slot_choke(consumer, slot);
    }
}

/* ---- fetching and giving ---- */

/* The owner is slower than the broker: what comes now waits in librdkafka's queue, which is
 * bounded. */
static bool is_full(const struct bus_consumer *consumer)
{
    size_t n = 0;
    size_t bytes = 0;

    for (size_t i = 0; i < consumer->n_slots; i++) {
        if (!consumer->slots[i].is_paused) { /* those have a bound of their own */
            n += consumer->slots[i].n;
            bytes += consumer->slots[i].bytes;
        }
    }
    return n >= consumer->prefetch || bytes >= READY_BYTES_MAX;
}

/* At most @most messages. True when there may be more. */
static bool fetch(struct bus_consumer *consumer, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        rd_kafka_message_t *message;

        if (consumer->is_closed) {
            return false;
        }
        message = rd_kafka_consumer_poll(consumer->client, 0);
        if (message == NULL) {
            return false;
        }
        if (!consumer->is_closed) {
            on_message(consumer, message);
        }
        rd_kafka_message_destroy(message);
    }
    return true;
}

static bool is_givable(const struct bus_consumer *consumer, const struct bus_slot *slot)
{
    return slot->first != NULL && !slot->is_paused && !consumer->is_held && !consumer->is_closed &&
           !consumer->is_dead;
}

static void give(struct bus_consumer *consumer, struct bus_slot *slot)
{
    struct bus_record_box *box = bus_slot_take(slot);

    bus_slot_choke(consumer, slot);
    if (box->is_end) {
        enum topic topic = box->record.topic;
        int32_t number = box->record.partition;
        int64_t offset = box->record.offset;

        free(box);
        if (consumer->events.at_end != NULL) {
            consumer->events.at_end(topic, number, offset, consumer->events.ctx);
        }
        return;
    }
    slot->next_offset = box->record.offset + 1;
    consumer->events.record(&box->record, consumer->events.ctx);
}

/* One record of each partition in turn, so that none waits for another. True when there are more.
 */
static bool give_some(struct bus_consumer *consumer)
{
    unsigned given = 0;
    bool is_any = true;

    while (is_any && given < TURN_MAX) {
        unsigned generation = consumer->generation;

        is_any = false;
        for (size_t i = 0; i < consumer->n_slots; i++) {
            if (is_givable(consumer, &consumer->slots[i])) {
                give(consumer, &consumer->slots[i]);
                is_any = true;
                given++;
            }
            if (consumer->generation != generation) {
                break; /* the callback began something new */
            }
        }
    }
    return is_any;
}

void bus_consumer_on_wake(void *ctx)
{
    struct bus_consumer *consumer = ctx;
    bool was_full = is_full(consumer);
    bool is_more = !was_full && fetch(consumer, TURN_MAX);

    if (!consumer->is_closed && give_some(consumer)) {
        is_more = true;
    }
    if (was_full && !is_full(consumer)) {
        is_more = true;
    }
    if (is_more && !consumer->is_closed) {
        loop_wake_signal(consumer->wake);
    }
}

void bus_consumer_on_idle(struct loop_timer *timer, void *ctx)
{
    struct bus_consumer *consumer = ctx;

    /* also when full: an assignment that ended must be heard of */
    loop_timer_start(consumer->loop, timer, BUS_IDLE_POLL_MS, bus_consumer_on_idle, consumer);
    (void)fetch(consumer, 1);
    if (!consumer->is_closed) {
        bus_consumer_on_wake(consumer);
    }
}
