#include "ledger/ledger_station.h"

#include <assert.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "bus/bus_admin.h"
#include "bus/bus_codec.h"
#include "bus/bus_consumer.h"
#include "bus/bus_key.h"
#include "bus/bus_producer.h"
#include "ledger/ledger_position.h"
#include "loop/loop.h"

enum { BROKER_WAIT_MS = 20000 };

static char prefix[48];

const char *station_prefix(void)
{
    return prefix;
}

struct uuid station_id(int partition, int number)
{
    for (int i = 0;; i++) {
        struct uuid id = uuid_v5("station:%d:%d:%d", partition, number, i);

        if (bus_partition(id.text) == partition) {
            return id;
        }
    }
}

/* ---- reading ---- */

static int64_t *sequence_of(struct station *station, const char *id)
{
    for (size_t i = 0; i < station->n_ids; i++) {
        if (strcmp(station->ids[i].id, id) == 0) {
            return &station->ids[i].sequence;
        }
    }
    assert(station->n_ids < STATION_IDS_MAX);
    (void)snprintf(station->ids[station->n_ids].id, UUID_TEXT_MAX, "%s", id);
    return &station->ids[station->n_ids++].sequence;
}

static void read_event(struct station *station, int partition, const struct blast_event *event)
{
    int64_t *sequence;

    switch (ledger_place_of(station->last[partition], event->position, false)) {
    case LEDGER_PLACE_REPEAT:
        station->repeats++;
        return;
    case LEDGER_PLACE_EARLY:
        station->early++;
        return;
    case LEDGER_PLACE_NEXT:
    case LEDGER_PLACE_NONE:
    default:
        break;
    }
    station->last[partition] = event->position;
    station->applied++;
    sequence = sequence_of(station, event->aggregate_id);
    station->broken += event->sequence != *sequence + 1;
    station->broken += event->epoch < station->epoch[partition];
    *sequence = event->sequence;
    station->epoch[partition] = event->epoch;
}

static void on_record(struct bus_record *record, void *ctx)
{
    struct station *station = ctx;
    struct arena arena = {0};
    struct blast_event event;
    struct dead_letter letter;
    int rc;

    if (record->topic == TOPIC_DLQ) {
        rc = bus_decode(TOPIC_DLQ, record->value, &arena, &letter, NULL);
        assert(rc == 0);
        station->dead++;
        (void)snprintf(station->reason, sizeof(station->reason), "%s", letter.reason);
    } else {
        rc = bus_decode(TOPIC_BLAST_EVENTS, record->value, &arena, &event, NULL);
        assert(rc == 0);
        read_event(station, record->partition, &event);
    }
    arena_done(&arena);
    bus_record_free(&record);
}

static void on_bus_failed(const struct err *err, bool is_fatal, void *ctx)
{
    (void)ctx;
    if (is_fatal) {
        (void)fprintf(stderr, "station: %s\n", err->text);
    }
    assert(!is_fatal);
}

static void on_delivered(const struct bus_delivery *delivery, void *ctx)
{
    struct station *station = ctx;

    assert(delivery->rc == 0);
    station->undelivered--;
}

/* ---- life ---- */

static int make_topics(const char *brokers, struct err *err)
{
    static int count;
    struct bus_admin *admin = NULL;
    struct buf report = {0};
    int rc;

    (void)snprintf(prefix, sizeof(prefix), "kt%d-%d.", (int)getpid(), ++count);
    rc = bus_set_topic_prefix(prefix, err);
    if (rc == 0) {
        rc = bus_admin_new(brokers, &admin, err);
    }
    if (rc == 0) {
        rc = bus_admin_wait(admin, BROKER_WAIT_MS, err);
    }
    if (rc == 0) {
        rc = bus_admin_create(admin, 1, &report, err);
    }
    buf_done(&report);
    bus_admin_free(&admin);
    return rc;
}

int station_open(struct station *station, struct loop *loop, const char *brokers, struct err *err)
{
    struct bus_partition partitions[2 * LEDGER_PARTITIONS];
    struct bus_producer_options out = {
        .brokers = brokers,
        .client_id = "station",
        .kind = BUS_PRODUCER_RELAY,
        .queue_max = 100000,
        .events = {.delivered = on_delivered, .ctx = station},
    };
    struct bus_consumer_options in = {
        .brokers = brokers,
        .client_id = "station",
        .events = {.record = on_record, .failed = on_bus_failed, .ctx = station},
    };
    int rc = make_topics(brokers, err);

    *station = (struct station){.loop = loop, .brokers = brokers};
    if (rc == 0) {
        rc = bus_producer_new(loop, &out, &station->producer, err);
    }
    if (rc == 0) {
        rc = bus_consumer_new(loop, &in, &station->consumer, err);
    }
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        partitions[p] = (struct bus_partition){TOPIC_BLAST_EVENTS, p, BUS_OFFSET_BEGINNING};
        partitions[LEDGER_PARTITIONS + p] =
            (struct bus_partition){TOPIC_DLQ, p, BUS_OFFSET_BEGINNING};
    }
    if (rc == 0) {
        rc = bus_consumer_start(station->consumer, partitions, 2L * LEDGER_PARTITIONS, err);
    }
    return rc;
}

void station_close(struct station *station)
{
    struct bus_admin *admin = NULL;
    int rc;

    bus_producer_close(&station->producer);
    bus_consumer_close(&station->consumer, NULL, NULL);
    rc = bus_admin_new(station->brokers, &admin, NULL);
    if (rc == 0) {
        rc = bus_admin_delete(admin, NULL);
    }
    bus_admin_free(&admin);
    if (rc < 0) { /* nothing depends on it but the broker's room */
        (void)fprintf(stderr, "station: topics were not deleted\n");
    }
}

/* ---- sending ---- */

static void send_to(struct station *station, enum topic topic, const char *id, struct bytes value)
{
    struct bus_send out = {
        .topic = topic,
        .partition = bus_partition(id),
        .key = {(const uint8_t *)id, strlen(id)},
        .value = value,
    };
    int rc = bus_producer_send(station->producer, &out, NULL);

    assert(rc == 0);
    station->undelivered++;
}

static void encode_and_send(struct station *station, enum topic topic, const char *id,
                            const void *record)
{
    struct buf wire = {0};
    struct err err = {0};
    int rc = bus_encode(topic, record, &wire, &err);

    if (rc < 0) {
        (void)fprintf(stderr, "station: %s\n", err.text);
    }
    assert(rc == 0);
    send_to(station, topic, id, buf_bytes(&wire));
    buf_done(&wire);
}

void station_command(struct station *station, const char *id, const char *command_id)
{
    struct uuid fresh = uuid_v7(clock_wall_ms());
    struct blast_command command = {
        .command_id = command_id != NULL ? command_id : fresh.text,
        .aggregate_id = id,
        .session_uuid = id,
        .user_id = 1,
        .correlation_id = command_id != NULL ? command_id : fresh.text,
        .reply_to = "test",
        .issued_at = clock_wall_ms(),
        .deadline = clock_wall_ms() + 5000,
        .actor_kind = "user",
        .kind = BLAST_COMMAND_PAUSE,
    };

    encode_and_send(station, TOPIC_BLAST_CMD, id, &command);
}

void station_event(struct station *station, enum topic topic, const char *id, int64_t position)
{
    struct session_event session = {
        .event_id = id,
        .aggregate_type = "session",
        .aggregate_id = id,
        .sequence = position,
        .actor_kind = "connector",
        .position = position,
        .epoch = 1,
        .session_key = "a",
        .kind = SESSION_EVENT_RENAMED,
        .as.renamed = {.name = "b"},
    };
    struct webhook_event webhook = {
        .event_id = id,
        .aggregate_type = "webhook",
        .aggregate_id = id,
        .sequence = position,
        .actor_kind = "system",
        .position = position,
        .epoch = 1,
        .session_uuid = id,
        .session_key = "a",
        .source_event_id = id,
        .kind = WEBHOOK_EVENT_QUEUED,
        .as.queued = {.event = "message"},
    };

    if (topic == TOPIC_SESSION_EVENTS) {
        encode_and_send(station, topic, id, &session);
    } else {
        encode_and_send(station, topic, id, &webhook);
    }
}

void station_bytes(struct station *station, enum topic topic, const char *id, const char *bytes)
{
    send_to(station, topic, id, (struct bytes){(const uint8_t *)bytes, strlen(bytes)});
}

void station_wire(struct station *station, enum topic topic, const char *id, struct bytes wire)
{
    send_to(station, topic, id, wire);
}

int station_limit(const char *brokers, enum topic topic, int bytes, struct err *err)
{
    char why[256] = "no answer";
    char number[16];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;
    rd_kafka_ConfigResource_t *wanted =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, bus_topic_name(topic));
    bool is_done;

    (void)snprintf(number, sizeof(number), "%d", bytes);
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why));
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert(client != NULL);
    queue = rd_kafka_queue_new(client);
    (void)rd_kafka_ConfigResource_set_config(wanted, "max.message.bytes", number);
    rd_kafka_AlterConfigs(client, &wanted, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, BROKER_WAIT_MS);
    is_done = event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ConfigResource_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return is_done ? 0 : err_set(err, ERR_EXTERNAL, "altering %s: %s", bus_topic_name(topic), why);
}
