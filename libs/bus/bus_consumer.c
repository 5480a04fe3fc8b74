#include "bus/bus_consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/bus_codec.h"
#include "bus/bus_consumer_internal.h"
#include "bus/bus_key.h"

enum {
    DEFAULT_SESSION_TIMEOUT_MS = 45000,
    DEFAULT_PREFETCH = 1000,
    GROUP_MAX = 256,
    END_TIMEOUT_MS = 3000
};

/* ---- life ---- */

static int client_new(struct bus_consumer *consumer, const struct bus_consumer_options *options,
                      struct err *err)
{
    int64_t session =
        options->session_timeout_ms > 0 ? options->session_timeout_ms : DEFAULT_SESSION_TIMEOUT_MS;
    char session_ms[24];
    char heartbeat_ms[24];
    char bytes[24];
    char group[GROUP_MAX];
    const struct bus_setting settings[] = {
        {"group.id", group},
        {"group.instance.id", consumer->is_group ? options->instance_id : NULL},
        {"partition.assignment.strategy", "range"},
        {"session.timeout.ms", session_ms},
        {"heartbeat.interval.ms", heartbeat_ms},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"},
        {"check.crcs", "true"},
        {"enable.partition.eof", consumer->is_group ? "false" : "true"},
        /* a full queue makes librdkafka wait for a second: let it be large, bounded by bytes */
        {"queued.max.messages.kbytes", "16384"},
        {"fetch.max.bytes", "4194304"},
        {"fetch.message.max.bytes", bytes},
        /* a partition that begins or goes on waits for the fetch that is under way */
        {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "100"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf;
    int rc;

    (void)snprintf(group, sizeof(group), "%s%s", bus_topic_prefix(),
                   consumer->is_group ? options->group : "kentongan-none");
    (void)snprintf(session_ms, sizeof(session_ms), "%" PRId64, session);
    (void)snprintf(heartbeat_ms, sizeof(heartbeat_ms), "%" PRId64, session / 10 + 1);
    (void)snprintf(bytes, sizeof(bytes), "%d", BUS_RECORD_MAX + 65536);
    rc = bus_conf_new(options->brokers, options->client_id, settings, &conf, err);
    if (rc < 0) {
        return rc;
    }
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_rebalance_cb(conf, bus_consumer_on_rebalance);
    rd_kafka_conf_set_error_cb(conf, bus_consumer_on_error);
    return bus_client_new(RD_KAFKA_CONSUMER, conf, &consumer->client, err);
}

static int subscribe(struct bus_consumer *consumer, const struct bus_consumer_options *options,
                     struct err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;

    if (!consumer->is_group) {
        return 0;
    }
    list = rd_kafka_topic_partition_list_new((int)options->n_topics);
    for (size_t i = 0; i < options->n_topics; i++) {
        (void)rd_kafka_topic_partition_list_add(list, bus_topic_name(options->topics[i]),
                                                RD_KAFKA_PARTITION_UA);
    }
    code = rd_kafka_subscribe(consumer->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : err_set(err, ERR_INVALID, "kafka: subscribe: %s", rd_kafka_err2str(code));
}

static void destroy_client(void *ctx) /* on a thread of the pool */
{
    struct bus_consumer *consumer = ctx;

    if (consumer->client != NULL) {
        rd_kafka_destroy_flags(consumer->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
}

static void on_destroyed(void *ctx)
{
    struct bus_consumer *consumer = ctx;

    if (consumer->on_closed != NULL) {
        consumer->on_closed(consumer->on_closed_ctx);
    }
    free(consumer);
}

static void end_closed(void *ctx)
{
    struct bus_consumer *consumer = ctx;

    consumer->is_ending = true;
    loop_timer_stop(&consumer->idle);
    if (consumer->client != NULL) {
        bus_slots_drop(consumer);
    }
    if (consumer->queue != NULL) {
        rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(consumer->queue);
    }
    loop_wake_close(&consumer->wake);
    if (consumer->n_asking == 0) {
        loop_work(consumer->loop, destroy_client, on_destroyed, consumer);
    }
}

int bus_consumer_new(struct loop *loop, const struct bus_consumer_options *options,
                     struct bus_consumer **out, struct err *err)
{
    struct bus_consumer *consumer = mem_new0(sizeof(*consumer));
    int rc;

    consumer->loop = loop;
    consumer->events = options->events;
    consumer->is_group = options->group != NULL;
    consumer->prefetch =
        options->prefetch_records > 0 ? options->prefetch_records : DEFAULT_PREFETCH;
    rc = loop_wake_new(loop, bus_consumer_on_wake, consumer, &consumer->wake, err);
    if (rc == 0) {
        rc = client_new(consumer, options, err);
    }
    if (rc == 0) {
        (void)rd_kafka_poll_set_consumer(consumer->client);
        consumer->queue = rd_kafka_queue_get_consumer(consumer->client);
        rd_kafka_queue_io_event_enable(consumer->queue, loop_wake_fd(consumer->wake),
                                       &loop_wake_payload, LOOP_WAKE_SIZE);
        loop_wake_signal(consumer->wake); /* for what was there before */
        rc = subscribe(consumer, options, err);
    }
    if (rc < 0) {
        consumer->is_closed = true;
        end_closed(consumer);
        return rc;
    }
    loop_timer_start(loop, &consumer->idle, BUS_IDLE_POLL_MS, bus_consumer_on_idle, consumer);
    *out = consumer;
    return 0;
}

void bus_consumer_close(struct bus_consumer **consumer, void (*on_closed)(void *ctx), void *ctx)
{
    struct bus_consumer *closing = *consumer;

    *consumer = NULL;
    if (closing != NULL) {
        closing->is_closed = true;
        closing->on_closed = on_closed;
        closing->on_closed_ctx = ctx;
        loop_defer(closing->loop, end_closed, closing); /* librdkafka may be on the stack */
    }
}

/* ---- what the owner says ---- */

/* Whether all partitions of the assignment are among @partitions. */
static bool covers_offer(const struct bus_consumer *consumer,
                         const struct bus_partition *partitions, size_t n)
{
    for (size_t slot = 0; slot < consumer->n_slots; slot++) {
        bool is_there = false;

        for (size_t i = 0; i < n; i++) {
            is_there |= partitions[i].topic == consumer->slots[slot].topic &&
                        partitions[i].number == consumer->slots[slot].number;
        }
        if (!is_there) {
            return false;
        }
    }
    return true;
}

int bus_consumer_start(struct bus_consumer *consumer, const struct bus_partition *partitions,
                       size_t n, struct err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;

    if (consumer->is_group && consumer->phase != OFFERED) {
        return err_set(err, ERR_FENCED, "the assignment was revoked meanwhile");
    }
    if (consumer->is_group && !covers_offer(consumer, partitions, n)) {
        return err_set(err, ERR_INVALID, "not the partitions of the assignment");
    }
    bus_slots_set(consumer, partitions, n);
    consumer->phase = READING;
    list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++) {
        int64_t offset = partitions[i].offset == BUS_OFFSET_BEGINNING ? RD_KAFKA_OFFSET_BEGINNING
                                                                      : partitions[i].offset;

        rd_kafka_topic_partition_list_add(list, bus_topic_name(partitions[i].topic),
                                          partitions[i].number)
            ->offset = offset;
    }
    code = rd_kafka_assign(consumer->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : err_set(err, ERR_EXTERNAL, "kafka: assign: %s", rd_kafka_err2str(code));
}

void bus_consumer_rejoin(struct bus_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *topics_of_group = NULL;

    if (consumer->is_group &&
        rd_kafka_subscription(consumer->client, &topics_of_group) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)rd_kafka_subscribe(consumer->client, topics_of_group);
        rd_kafka_topic_partition_list_destroy(topics_of_group);
    }
}

void bus_consumer_pause(struct bus_consumer *consumer, enum topic topic, int32_t partition)
{
    struct bus_slot *slot = bus_slot_find(consumer, topic, partition);

    if (slot != NULL) {
        slot->is_paused = true;
    }
}

void bus_consumer_resume(struct bus_consumer *consumer, enum topic topic, int32_t partition)
{
    struct bus_slot *slot = bus_slot_find(consumer, topic, partition);

    if (slot != NULL && slot->is_paused) {
        slot->is_paused = false;
        bus_slot_choke(consumer, slot);
        loop_wake_signal(consumer->wake);
    }
}

void bus_consumer_hold(struct bus_consumer *consumer, bool is_held)
{
    if (consumer->is_held && !is_held) {
        loop_wake_signal(consumer->wake);
    }
    consumer->is_held = is_held;
}

void bus_consumer_commit(struct bus_consumer *consumer, const struct bus_partition *partitions,
                         size_t n)
{
    rd_kafka_topic_partition_list_t *list;

    if (!consumer->is_group || n == 0) {
        return;
    }
    list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++) {
        if (partitions[i].offset >= 0) {
            rd_kafka_topic_partition_list_add(list, bus_topic_name(partitions[i].topic),
                                              partitions[i].number)
                ->offset = partitions[i].offset;
        }
    }
    (void)rd_kafka_commit(consumer->client, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

int64_t bus_consumer_lag(const struct bus_consumer *consumer, enum topic topic, int32_t partition)
{
    const struct bus_slot *slot = bus_slot_find(consumer, topic, partition);
    int64_t low;
    int64_t high;

    if (slot == NULL || consumer->phase != READING ||
        rd_kafka_get_watermark_offsets(consumer->client, bus_topic_name(topic), partition, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0) {
        return -1;
    }
    if (slot->next_offset >= 0) {
        return high > slot->next_offset ? high - slot->next_offset : 0;
    }
    return low >= 0 && high > low ? high - low : 0;
}

/* ---- where a partition ends ---- */

struct end_ask {
    struct bus_consumer *consumer;
    enum topic topic;
    int32_t partition;
    int64_t end;
    bus_end_cb *fn;
    void *ctx;
};

static void ask_end(void *ctx) /* on a thread of the pool */
{
    struct end_ask *ask = ctx;
    int64_t low = 0;

    if (rd_kafka_query_watermark_offsets(ask->consumer->client, bus_topic_name(ask->topic),
                                         ask->partition, &low, &ask->end,
                                         END_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ask->end = -ERR_TIMEOUT;
    }
}

static void on_end(void *ctx)
{
    struct end_ask *ask = ctx;
    struct bus_consumer *consumer = ask->consumer;

    consumer->n_asking--;
    ask->fn(consumer->is_closed ? -ERR_CLOSED : ask->end, ask->ctx);
    free(ask);
    if (consumer->is_ending && consumer->n_asking == 0) {
        loop_work(consumer->loop, destroy_client, on_destroyed, consumer);
    }
}

void bus_consumer_ask_end(struct bus_consumer *consumer, enum topic topic, int32_t partition,
                          bus_end_cb *fn, void *ctx)
{
    struct end_ask *ask = mem_new0(sizeof(*ask));

    *ask = (struct end_ask){consumer, topic, partition, -ERR_TIMEOUT, fn, ctx};
    consumer->n_asking++;
    loop_work(consumer->loop, ask_end, on_end, ask);
}
