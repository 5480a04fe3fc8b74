/* Against a real broker: KENTONGAN_TEST_KAFKA. The topics are shared with other tests, so every
 * test has keys and groups of its own and begins at the end that it found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"
#include "bus/bus_admin.h"
#include "bus/bus_codec.h"
#include "bus/bus_consumer.h"
#include "bus/bus_key.h"
#include "bus/bus_producer.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

enum { WAIT_MS = 20000, SEEN_MAX = 4096, PARTITIONS = 6 };

static const char *brokers;

/* ---- one process with a loop ---- */

struct seen {
    int32_t partition;
    int64_t offset;
    char value[24];
};

struct station {
    struct loop *loop;
    struct bus_producer *producer;
    struct bus_consumer *consumer;
    size_t delivered;
    size_t failed_deliveries;
    int last_rc;
    int64_t ends[PARTITIONS]; /* offset of the last delivery */
    size_t n_seen;
    struct seen seen[SEEN_MAX];
    struct bus_partition parts[64];
    size_t n_parts;
    int64_t starts[PARTITIONS];
    unsigned assigned;
    unsigned revoked;
    unsigned at_end;
    unsigned fatal;
    struct err error;
    size_t want;
    int64_t end;
    unsigned n_ends;
};

static void on_delivered(const struct bus_delivery *delivery, void *ctx)
{
    struct station *station = ctx;

    station->delivered++;
    if (delivery->rc < 0) {
        station->failed_deliveries++;
        station->last_rc = delivery->rc;
        station->error = *delivery->err;
    } else {
        station->ends[delivery->partition] = delivery->offset;
    }
}

static void on_assigned(const struct bus_partition *partitions, size_t n, void *ctx)
{
    struct station *station = ctx;

    station->assigned++;
    station->n_parts = n;
    memcpy(station->parts, partitions, n * sizeof(partitions[0]));
}

static void on_revoked(bool is_lost, void *ctx)
{
    struct station *station = ctx;

    (void)is_lost;
    station->revoked++;
    station->n_parts = 0;
}

static void on_record(struct bus_record *record, void *ctx)
{
    struct station *station = ctx;
    struct seen *seen = &station->seen[station->n_seen];

    if (record->topic == TOPIC_DLQ && record->value.n < sizeof(seen->value) &&
        station->n_seen < SEEN_MAX) { /* else it is of another test */
        station->n_seen++;
        seen->partition = record->partition;
        seen->offset = record->offset;
        memcpy(seen->value, record->value.p, record->value.n);
    }
    bus_record_free(&record);
}

static void on_at_end(enum topic topic, int32_t partition, int64_t next_offset, void *ctx)
{
    struct station *station = ctx;

    (void)topic;
    station->starts[partition] = next_offset;
    station->at_end++;
}

static void on_failed(const struct err *err, bool is_fatal, void *ctx)
{
    struct station *station = ctx;

    station->error = *err;
    station->fatal += is_fatal;
}

static struct station *station_new(void)
{
    struct station *station = mem_new0(sizeof(*station));

    assert_int_equal(loop_new(&station->loop, NULL), 0);
    return station;
}

static void station_free(struct station *station)
{
    bus_producer_close(&station->producer);
    bus_consumer_close(&station->consumer, NULL, NULL);
    loop_run(station->loop); /* ends when the pool has destroyed the clients */
    loop_free(&station->loop);
    free(station);
}

static void run_until(struct station *station, bool (*is_done)(void *ctx))
{
    if (!loop_run_until(station->loop, is_done, station, WAIT_MS)) {
        fail_msg("timed out: %zu delivered, %zu seen, %u assigned, last error: %s",
                 station->delivered, station->n_seen, station->assigned, station->error.text);
    }
}

/* A little, so that two stations take turns. */
static void pump(struct station *station, bool (*is_done)(void *ctx))
{
    int ignored = loop_run_until(station->loop, is_done, station, 50);

    (void)ignored;
}

static bool all_delivered(void *ctx)
{
    const struct station *station = ctx;

    return station->delivered >= station->want;
}

static bool all_seen(void *ctx)
{
    const struct station *station = ctx;

    return station->n_seen >= station->want;
}

static bool all_ends(void *ctx)
{
    const struct station *station = ctx;

    return station->at_end >= PARTITIONS;
}

static bool is_assigned(void *ctx)
{
    const struct station *station = ctx;

    return station->assigned > 0;
}

static bool is_fatal(void *ctx)
{
    const struct station *station = ctx;

    return station->fatal > 0;
}

static void open_producer(struct station *station, enum bus_producer_kind kind, const char *where)
{
    struct bus_producer_options options = {
        .brokers = where,
        .client_id = "test",
        .kind = kind,
        .timeout_ms = where == brokers ? 10000 : 1000,
        .queue_max = 1000,
        .events = {.delivered = on_delivered, .ctx = station},
    };

    assert_int_equal(bus_producer_new(station->loop, &options, &station->producer, NULL), 0);
}

static void open_consumer(struct station *station, const char *group, const char *instance)
{
    static const enum topic wanted[] = {TOPIC_DLQ, TOPIC_BLAST_REJECTIONS};
    struct bus_consumer_options options = {
        .brokers = brokers,
        .client_id = "test",
        .group = group,
        .instance_id = instance,
        .topics = wanted,
        .n_topics = 2,
        .session_timeout_ms = 6000,
        .prefetch_records = 50,
        .events = {.assigned = on_assigned,
                   .revoked = on_revoked,
                   .record = on_record,
                   .at_end = on_at_end,
                   .failed = on_failed,
                   .ctx = station},
    };

    assert_int_equal(bus_consumer_new(station->loop, &options, &station->consumer, NULL), 0);
}

static int send_text(struct station *station, int32_t partition, const char *text)
{
    struct bus_header header = {"source", {(const uint8_t *)"test", 4}};
    struct bus_send send = {.topic = TOPIC_DLQ,
                            .partition = partition,
                            .key = {(const uint8_t *)"key", 3},
                            .value = {(const uint8_t *)text, strlen(text)},
                            .headers = &header,
                            .n_headers = 1};

    return bus_producer_send(station->producer, &send, NULL);
}

static void send_numbers(struct station *station, int32_t partition, unsigned n)
{
    char text[16];

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(send_text(station, partition, text), 0);
    }
    station->want += n;
    run_until(station, all_delivered);
    assert_int_equal(station->failed_deliveries, 0);
    assert_int_equal(bus_producer_pending(station->producer), 0);
}

/* Where the topic of the tests ends now. */
static void find_ends(int64_t ends[PARTITIONS])
{
    struct station *station = station_new();
    struct bus_partition parts[PARTITIONS];

    open_consumer(station, NULL, NULL);
    for (int i = 0; i < PARTITIONS; i++) {
        parts[i] = (struct bus_partition){TOPIC_DLQ, i, BUS_OFFSET_BEGINNING};
    }
    station->n_seen = 0;
    assert_int_equal(bus_consumer_start(station->consumer, parts, PARTITIONS, NULL), 0);
    run_until(station, all_ends);
    memcpy(ends, station->starts, sizeof(station->starts));
    station_free(station);
}

/* ---- tests ---- */

static int make_topics(void **state)
{
    struct bus_admin *admin = NULL;
    struct buf report = {0};
    struct err err = {0};
    struct uuid own = uuid_v7(clock_wall_ms());
    int rc = bus_set_topic_prefix(own.text, &err);

    (void)state;
    if (rc == 0) {
        rc = bus_admin_new(brokers, &admin, &err);
    }
    if (rc == 0) {
        rc = bus_admin_wait(admin, WAIT_MS, &err);
    }
    if (rc == 0) {
        rc = bus_admin_create(admin, 1, &report, &err);
    }
    if (rc == 0) {
        buf_clear(&report);
        rc = bus_admin_check(admin, &report, &err);
    }
    if (rc < 0) {
        print_error("%s%s\n", buf_text(&report), err.text);
    }
    bus_admin_free(&admin);
    buf_done(&report);
    return rc;
}

/* Those of this program alone: without a prefix nothing is ever deleted. */
static int delete_topics(void **state)
{
    struct bus_admin *admin = NULL;
    struct err err = {0};
    int rc = bus_admin_new(brokers, &admin, &err);

    (void)state;
    if (rc == 0) {
        rc = bus_admin_delete(admin, &err);
    }
    if (rc == 0 &&
        (bus_set_topic_prefix("", NULL) < 0 || bus_admin_delete(admin, NULL) != -ERR_REFUSED)) {
        rc = err_set(&err, ERR_EXTERNAL, "topics without a prefix would be deleted");
    }
    if (rc < 0) {
        print_error("%s\n", err.text);
    }
    bus_admin_free(&admin);
    return rc;
}

static void topics_are_made_once(void **state)
{
    struct bus_admin *admin = NULL;
    struct buf report = {0};

    (void)state;
    assert_int_equal(bus_admin_new(brokers, &admin, NULL), 0);
    assert_int_equal(bus_admin_create(admin, 1, &report, NULL), 0);
    assert_int_equal(report.n, 0);
    bus_admin_free(&admin);
    buf_done(&report);
}

static void what_is_sent_is_read_in_order(void **state)
{
    struct station *station = station_new();
    int64_t ends[PARTITIONS];
    struct bus_partition part = {TOPIC_DLQ, 3, 0};

    (void)state;
    find_ends(ends);
    part.offset = ends[3];
    open_producer(station, BUS_PRODUCER_RELAY, brokers);
    send_numbers(station, 3, 500);
    assert_int_equal(station->ends[3], ends[3] + 499);
    open_consumer(station, NULL, NULL);
    assert_int_equal(bus_consumer_start(station->consumer, &part, 1, NULL), 0);
    station->want = 500;
    run_until(station, all_seen);
    for (size_t i = 0; i < 500; i++) {
        assert_int_equal(strtol(station->seen[i].value, NULL, 10), i);
        assert_int_equal(station->seen[i].offset, ends[3] + (int64_t)i);
    }
    assert_int_equal(bus_consumer_lag(station->consumer, TOPIC_DLQ, 3), 0);
    assert_int_equal(bus_consumer_lag(station->consumer, TOPIC_DLQ, 4), -1);
    station_free(station);
}

static void on_end(int64_t end, void *ctx)
{
    struct station *station = ctx;

    station->end = end;
    station->n_ends++;
}

static bool has_end(void *ctx)
{
    const struct station *station = ctx;

    return station->n_ends > 0;
}

static void a_partition_is_asked_for_its_end(void **state)
{
    struct station *station = station_new();
    int64_t ends[PARTITIONS];

    (void)state;
    find_ends(ends);
    open_producer(station, BUS_PRODUCER_RELAY, brokers);
    send_numbers(station, 3, 7);
    open_consumer(station, NULL, NULL); /* reads nothing */
    bus_consumer_ask_end(station->consumer, TOPIC_DLQ, 3, on_end, station);
    run_until(station, has_end);
    assert_int_equal(station->end, ends[3] + 7);
    bus_consumer_ask_end(station->consumer, TOPIC_DLQ, 3, on_end, station);
    bus_consumer_close(&station->consumer, NULL, NULL);
    station->n_ends = 0;
    run_until(station, has_end); /* it is told in any case */
    assert_int_equal(station->end, -ERR_CLOSED);
    station_free(station);
}

/* Given 20, then paused: the rest waits, twelve times what is kept ready, and comes afterwards. */
struct pausing {
    struct station station; /* first: the callbacks get it */
    size_t pause_at;
};

static void on_record_pause(struct bus_record *record, void *ctx)
{
    struct pausing *pausing = ctx;
    int32_t partition = record->partition;

    on_record(record, &pausing->station);
    if (pausing->station.n_seen == pausing->pause_at) {
        bus_consumer_pause(pausing->station.consumer, TOPIC_DLQ, partition);
    }
}

static bool is_other_partition_done(void *ctx)
{
    const struct pausing *pausing = ctx;

    return pausing->station.n_seen >= pausing->pause_at + 10;
}

static void a_paused_partition_waits_and_others_do_not(void **state)
{
    struct pausing *pausing = mem_new0(sizeof(*pausing));
    struct station *station = &pausing->station;
    int64_t ends[PARTITIONS];
    struct bus_partition parts[2];

    (void)state;
    find_ends(ends);
    assert_int_equal(loop_new(&station->loop, NULL), 0);
    open_producer(station, BUS_PRODUCER_RELAY, brokers);
    send_numbers(station, 1, 600);
    open_consumer(station, NULL, NULL);
    bus_consumer_close(&station->consumer, NULL, NULL); /* closing at once is fine, too */
    {
        struct bus_consumer_options options = {
            .brokers = brokers,
            .client_id = "test",
            .prefetch_records = 50,
            .events = {.record = on_record_pause, .failed = on_failed, .ctx = pausing},
        };
        assert_int_equal(bus_consumer_new(station->loop, &options, &station->consumer, NULL), 0);
    }
    parts[0] = (struct bus_partition){TOPIC_DLQ, 1, ends[1]};
    parts[1] = (struct bus_partition){TOPIC_DLQ, 2, ends[2]};
    pausing->pause_at = 20;
    assert_int_equal(bus_consumer_start(station->consumer, parts, 2, NULL), 0);
    station->want = 20;
    run_until(station, all_seen);
    station->want = 600;
    send_numbers(station, 2, 10);
    run_until(station, is_other_partition_done);
    assert_int_equal(station->n_seen, 30);
    bus_consumer_hold(station->consumer, true);
    bus_consumer_resume(station->consumer, TOPIC_DLQ, 1);
    bus_consumer_hold(station->consumer, false);
    station->want = 610;
    run_until(station, all_seen);
    for (size_t i = 31; i < 610; i++) { /* nothing twice, nothing missing */
        assert_int_equal(station->seen[i].offset, station->seen[i - 1].offset + 1);
    }
    bus_producer_close(&station->producer);
    bus_consumer_close(&station->consumer, NULL, NULL);
    loop_run(station->loop);
    loop_free(&station->loop);
    free(pausing);
}

static void a_group_reads_from_the_offsets_of_its_owner(void **state)
{
    struct station *station = station_new();
    struct uuid group = uuid_v7(clock_wall_ms());
    int64_t ends[PARTITIONS];
    struct err err = {0};

    (void)state;
    find_ends(ends);
    open_producer(station, BUS_PRODUCER_RELAY, brokers);
    send_numbers(station, 0, 7);
    open_consumer(station, group.text, "one");
    run_until(station, is_assigned);
    assert_int_equal(station->n_parts, 2 * PARTITIONS);
    assert_int_equal(bus_consumer_start(station->consumer, station->parts, 3, &err), -ERR_INVALID);
    for (size_t i = 0; i < station->n_parts; i++) {
        struct bus_partition *part = &station->parts[i];

        part->offset = part->topic == TOPIC_DLQ ? ends[part->number] : BUS_OFFSET_BEGINNING;
        if (i > 0) {
            assert_true(part->topic > part[-1].topic || part->number > part[-1].number);
        }
    }
    assert_int_equal(bus_consumer_start(station->consumer, station->parts, station->n_parts, NULL),
                     0);
    assert_int_equal(bus_consumer_start(station->consumer, station->parts, station->n_parts, &err),
                     -ERR_FENCED);
    station->want = 7;
    run_until(station, all_seen);
    assert_int_equal(station->seen[0].offset, ends[0]);
    station->parts[0].offset = ends[0] + 7;
    bus_consumer_commit(station->consumer, station->parts, station->n_parts);
    station_free(station);
}

/* A second member gets half of each topic, the same numbers of both. */
static bool is_halved(void *ctx)
{
    const struct station *station = ctx;

    return station->n_parts == PARTITIONS && station->revoked >= 1;
}

static void members_share_and_stay_co_partitioned(void **state)
{
    struct station *first = station_new();
    struct station *second = station_new();
    struct uuid group = uuid_v7(clock_wall_ms());
    int64_t until = clock_mono_ms() + WAIT_MS;

    (void)state;
    open_consumer(first, group.text, "one");
    run_until(first, is_assigned);
    for (size_t i = 0; i < first->n_parts; i++) {
        first->parts[i].offset = BUS_OFFSET_BEGINNING;
    }
    bus_consumer_hold(first->consumer, true);
    assert_int_equal(bus_consumer_start(first->consumer, first->parts, first->n_parts, NULL), 0);
    open_consumer(second, group.text, "two");
    while (!(is_halved(first) && second->assigned > 0) && clock_mono_ms() < until) {
        pump(first, is_halved);
        pump(second, is_assigned);
    }
    assert_int_equal(first->n_parts, PARTITIONS);
    assert_int_equal(second->n_parts, PARTITIONS);
    for (size_t i = 0; i < PARTITIONS / 2; i++) {
        assert_int_equal(first->parts[i].number, first->parts[i + PARTITIONS / 2].number);
        assert_int_not_equal(first->parts[i].number, second->parts[i].number);
    }
    station_free(first);
    station_free(second);
}

static void an_instance_id_used_twice_is_fatal(void **state)
{
    struct station *first = station_new();
    struct station *second = station_new();
    struct uuid group = uuid_v7(clock_wall_ms());
    int64_t until = clock_mono_ms() + WAIT_MS;

    (void)state;
    open_consumer(first, group.text, "same");
    run_until(first, is_assigned);
    for (size_t i = 0; i < first->n_parts; i++) {
        first->parts[i].offset = BUS_OFFSET_BEGINNING;
    }
    bus_consumer_hold(first->consumer, true);
    assert_int_equal(bus_consumer_start(first->consumer, first->parts, first->n_parts, NULL), 0);
    open_consumer(second, group.text, "same");
    while (first->fatal == 0 && clock_mono_ms() < until) {
        pump(first, is_fatal);
        pump(second, is_assigned);
    }
    assert_int_equal(first->fatal, 1);
    assert_int_equal(first->error.code, -ERR_FENCED);
    station_free(first);
    station_free(second);
}

static void an_offset_that_is_not_there_is_fatal(void **state)
{
    struct station *station = station_new();
    struct bus_partition part = {TOPIC_DLQ, 5, 1000000000};

    (void)state;
    open_consumer(station, NULL, NULL);
    assert_int_equal(bus_consumer_start(station->consumer, &part, 1, NULL), 0);
    run_until(station, is_fatal);
    assert_int_equal(station->error.code, -ERR_NOT_FOUND);
    assert_non_null(strstr(station->error.text, "wa.dlq.v1 5"));
    station_free(station);
}

static void a_request_that_reaches_no_broker_is_given_up(void **state)
{
    struct station *station = station_new();

    (void)state;
    open_producer(station, BUS_PRODUCER_REQUEST, "127.0.0.1:1");
    assert_int_equal(send_text(station, 0, "x"), 0);
    assert_int_equal(bus_producer_pending(station->producer), 1);
    station->want = 1;
    run_until(station, all_delivered);
    assert_int_equal(station->last_rc, -ERR_TIMEOUT);
    assert_int_equal(bus_producer_pending(station->producer), 0);
    station_free(station);
}

static void a_full_queue_says_so(void **state)
{
    struct station *station = station_new();
    int rc = 0;
    unsigned taken = 0;

    (void)state;
    open_producer(station, BUS_PRODUCER_REQUEST, "127.0.0.1:1");
    while ((rc = send_text(station, 0, "x")) == 0) {
        taken++;
    }
    assert_int_equal(rc, -ERR_LIMIT);
    assert_int_equal(taken, 1000);
    station_free(station); /* forgets a thousand records */
}

/* ---- a thread that waits ---- */

struct asking {
    struct station *station;
    int rc;
    int64_t offset;
    bool is_done;
};

static void ask(void *ctx) /* on a thread of the pool */
{
    struct asking *asking = ctx;
    struct bus_send send = {
        .topic = TOPIC_DLQ, .partition = 4, .value = {(const uint8_t *)"asked", 5}};

    asking->rc =
        bus_producer_send_wait(asking->station->producer, &send, 10000, &asking->offset, NULL);
}

static void on_asked(void *ctx)
{
    struct asking *asking = ctx;

    asking->is_done = true;
}

static bool is_asked(void *ctx)
{
    const struct asking *asking = ctx;

    return asking->is_done;
}

static void a_thread_can_wait_for_its_record(void **state)
{
    struct station *station = station_new();
    struct asking asking = {.station = station};
    int64_t ends[PARTITIONS];

    (void)state;
    find_ends(ends);
    open_producer(station, BUS_PRODUCER_REQUEST, brokers);
    loop_work(station->loop, ask, on_asked, &asking);
    assert_int_equal(loop_run_until(station->loop, is_asked, &asking, WAIT_MS), 1);
    assert_int_equal(asking.rc, 0);
    assert_int_equal(asking.offset, ends[4]);
    assert_int_equal(station->delivered, 0);
    station_free(station);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_made_once),
        cmocka_unit_test(what_is_sent_is_read_in_order),
        cmocka_unit_test(a_partition_is_asked_for_its_end),
        cmocka_unit_test(a_paused_partition_waits_and_others_do_not),
        cmocka_unit_test(a_group_reads_from_the_offsets_of_its_owner),
        cmocka_unit_test(members_share_and_stay_co_partitioned),
        cmocka_unit_test(an_instance_id_used_twice_is_fatal),
        cmocka_unit_test(an_offset_that_is_not_there_is_fatal),
        cmocka_unit_test(a_request_that_reaches_no_broker_is_given_up),
        cmocka_unit_test(a_full_queue_says_so),
        cmocka_unit_test(a_thread_can_wait_for_its_record),
    };

    brokers = testkit_env("KENTONGAN_TEST_KAFKA");
    return cmocka_run_group_tests(tests, make_topics, delete_topics);
}
