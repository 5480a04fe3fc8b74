#include "bus/bus_consumer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bus/bus_codec.h"
#include "bus/bus_key.h"
#include "bus/bus_rdkafka.h"
#include "bus/bus_record.h"
#include "loop/loop.h"
#include "loop/loop_queue.h"

enum {
    DEFAULT_SESSION_TIMEOUT_MS = 45000,
    DEFAULT_PREFETCH = 1000,
    GROUP_MAX = 256,
    SLOT_BYTES_MAX = 1 << 20,  /* of unread records of a paused partition, and one record */
    READY_BYTES_MAX = 8 << 20, /* of unread records of all, and one record */
    TURN_MAX = 1000,           /* records fetched, and given, before the loop has its turn */
    IDLE_POLL_MS = 1000,
    END_TIMEOUT_MS = 3000
};

/* A partition that is read, and its records that were not given yet. */
struct slot {
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
    struct slot *slots; /* sorted by topic and number */
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

/* ---- slots ---- */

static struct slot *find_slot(const struct bus_consumer *consumer, enum topic topic, int32_t number)
{
    for (size_t i = 0; i < consumer->n_slots; i++) {
        if (consumer->slots[i].topic == topic && consumer->slots[i].number == number) {
            return &consumer->slots[i];
        }
    }
    return NULL;
}

static void slot_add(struct slot *slot, struct bus_record_box *box)
{
    if (slot->last == NULL) {
        slot->first = box;
    } else {
        slot->last->next = box;
    }
    slot->last = box;
    slot->n++;
    slot->bytes += box->record.value.n;
}

static struct bus_record_box *slot_take(struct slot *slot)
{
    struct bus_record_box *box = slot->first;

    slot->first = box->next;
    if (slot->first == NULL) {
        slot->last = NULL;
    }
    slot->n--;
    slot->bytes -= box->record.value.n;
    box->next = NULL;
    return box;
}

static rd_kafka_topic_partition_list_t *list_of_slot(const struct slot *slot)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    (void)rd_kafka_topic_partition_list_add(list, bus_topic_name(slot->topic), slot->number);
    return list;
}

static void unchoke(struct bus_consumer *consumer, struct slot *slot)
{
    rd_kafka_topic_partition_list_t *list;

    if (slot->is_choked) { /* resuming one that is not paused would read records twice */
        list = list_of_slot(slot);
        (void)rd_kafka_resume_partitions(consumer->client, list);
        rd_kafka_topic_partition_list_destroy(list);
        slot->is_choked = false;
    }
}

/* Stop fetching a partition that the owner paused when enough is here, so that the others go on;
 * what librdkafka has of it is fetched again later. */
static void choke(struct bus_consumer *consumer, struct slot *slot)
{
    rd_kafka_topic_partition_list_t *list;

    if (slot->is_paused && !slot->is_choked &&
        (slot->n > consumer->prefetch || slot->bytes > SLOT_BYTES_MAX)) {
        list = list_of_slot(slot);
        (void)rd_kafka_pause_partitions(consumer->client, list);
        rd_kafka_topic_partition_list_destroy(list);
        slot->is_choked = true;
    } else if (!slot->is_paused && slot->n <= consumer->prefetch / 2 &&
               slot->bytes <= SLOT_BYTES_MAX / 2) {
        unchoke(consumer, slot);
    }
}

static void drop_slots(struct bus_consumer *consumer)
{
    for (size_t i = 0; i < consumer->n_slots; i++) {
        while (consumer->slots[i].first != NULL) {
            free(slot_take(&consumer->slots[i]));
        }
        unchoke(consumer, &consumer->slots[i]);
    }
    free(consumer->slots);
    consumer->slots = NULL;
    consumer->n_slots = 0;
    consumer->generation++;
}

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
        drop_slots(consumer); /* librdkafka gives the partitions up without a word */
        consumer->phase = IDLE;
        consumer->events.revoked(true, consumer->events.ctx);
    }
    if (!consumer->is_closed) {
        consumer->events.failed(err, is_fatal, consumer->events.ctx);
    }
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
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
    consumer->slots = mem_array0(n + 1, sizeof(*consumer->slots));
    consumer->n_slots = n;
    consumer->generation++;
    for (size_t i = 0; i < n; i++) {
        consumer->slots[i].topic = offered[i].topic;
        consumer->slots[i].number = offered[i].number;
    }
    consumer->phase = OFFERED;
    consumer->events.assigned(offered, n, consumer->events.ctx);
    free(offered);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
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
    drop_slots(consumer);
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
    struct slot *slot;
    enum topic topic;

    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        on_bad_message(consumer, message);
        return;
    }
    if (consumer->phase != READING || !bus_topic_find(rd_kafka_topic_name(message->rkt), &topic)) {
        return;
    }
    slot = find_slot(consumer, topic, message->partition);
    if (slot != NULL) {
        slot_add(slot, bus_record_new(topic, message));
        choke(consumer, slot);
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

static bool is_givable(const struct bus_consumer *consumer, const struct slot *slot)
{
    return slot->first != NULL && !slot->is_paused && !consumer->is_held && !consumer->is_closed &&
           !consumer->is_dead;
}

static void give(struct bus_consumer *consumer, struct slot *slot)
{
    struct bus_record_box *box = slot_take(slot);

    choke(consumer, slot);
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

static void on_wake(void *ctx)
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

static void on_idle(struct loop_timer *timer, void *ctx)
{
    struct bus_consumer *consumer = ctx;

    /* also when full: an assignment that ended must be heard of */
    loop_timer_start(consumer->loop, timer, IDLE_POLL_MS, on_idle, consumer);
    (void)fetch(consumer, 1);
    if (!consumer->is_closed) {
        on_wake(consumer);
    }
}

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
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
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
        drop_slots(consumer);
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
    rc = loop_wake_new(loop, on_wake, consumer, &consumer->wake, err);
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
    loop_timer_start(loop, &consumer->idle, IDLE_POLL_MS, on_idle, consumer);
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

static void take_slots(struct bus_consumer *consumer, const struct bus_partition *partitions,
                       size_t n)
{
    drop_slots(consumer);
    consumer->slots = mem_array0(n + 1, sizeof(*consumer->slots));
    consumer->n_slots = n;
    for (size_t i = 0; i < n; i++) {
        consumer->slots[i].topic = partitions[i].topic;
        consumer->slots[i].number = partitions[i].number;
        consumer->slots[i].next_offset = partitions[i].offset;
    }
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
    take_slots(consumer, partitions, n);
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
    struct slot *slot = find_slot(consumer, topic, partition);

    if (slot != NULL) {
        slot->is_paused = true;
    }
}

void bus_consumer_resume(struct bus_consumer *consumer, enum topic topic, int32_t partition)
{
    struct slot *slot = find_slot(consumer, topic, partition);

    if (slot != NULL && slot->is_paused) {
        slot->is_paused = false;
        choke(consumer, slot);
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
    const struct slot *slot = find_slot(consumer, topic, partition);
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
