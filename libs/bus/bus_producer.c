#include "bus/bus_producer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "bus/bus_codec.h"
#include "bus/bus_key.h"
#include "bus/bus_rdkafka.h"
#include "loop/loop.h"
#include "loop/loop_wake.h"

enum {
    DEFAULT_TIMEOUT_MS = 5000,
    DEFAULT_QUEUE_MAX = 10000,
    CLOSE_POLL_MS = 50,
    RENEW_AGAIN_MS = 1000
};

/* One client of librdkafka. A producer has one that takes records and, after a fatal error, older
 * ones until the ends of their records are told. */
struct handle {
    struct bus_producer *producer;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topics[TOPIC_COUNT]; /* kept, so that the client knows who leads them */
    bool is_retiring;                      /* takes nothing more */
    bool is_ending; /* its records are forgotten: a thread of the pool destroys it */
    struct handle *next;
};

struct waiter { /* shared by the thread that waits and the record's ticket */
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned users;
    bool is_done;
    int64_t offset;
    struct err err;
};

struct ticket { /* of one record on its way */
    void *cookie;
    struct waiter *waiter; /* NULL: `delivered` is called */
    enum topic topic;
};

struct bus_producer {
    struct loop *loop;
    struct loop_wake *wake;
    char *brokers;
    char *client_id;
    enum bus_producer_kind kind;
    int64_t timeout_ms;
    size_t queue_max;
    bool is_expected[TOPIC_COUNT]; /* topics to be written */
    struct bus_producer_events events;
    pthread_rwlock_t lock; /* guards what `current` is */
    struct handle *current;
    struct handle *handles; /* all of them, `current` too; the loop's */
    atomic_bool is_broken;  /* relay: a delivery failed */
    atomic_size_t pending;
    bool is_closed;
    bool is_renewing;
    struct loop_timer again; /* renewing failed: no descriptors, no threads */
};

/* ---- waiting threads ---- */

static struct waiter *waiter_new(void)
{
    struct waiter *waiter = mem_new0(sizeof(*waiter));
    pthread_condattr_t attributes;

    waiter->users = 2;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&waiter->lock, NULL);
    (void)pthread_cond_init(&waiter->done, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return waiter;
}

static void waiter_unref(struct waiter *waiter)
{
    bool is_last;

    (void)pthread_mutex_lock(&waiter->lock);
    is_last = --waiter->users == 0;
    (void)pthread_mutex_unlock(&waiter->lock);
    if (is_last) {
        (void)pthread_cond_destroy(&waiter->done);
        (void)pthread_mutex_destroy(&waiter->lock);
        free(waiter);
    }
}

static void waiter_tell(struct waiter *waiter, int64_t offset, const struct err *err)
{
    (void)pthread_mutex_lock(&waiter->lock);
    waiter->is_done = true;
    waiter->offset = offset;
    waiter->err = *err;
    (void)pthread_cond_signal(&waiter->done);
    (void)pthread_mutex_unlock(&waiter->lock);
    waiter_unref(waiter);
}

static bool waiter_wait(struct waiter *waiter, int64_t timeout_ms)
{
    struct timespec until;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&waiter->lock);
    while (!waiter->is_done && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&waiter->done, &waiter->lock, &until);
    }
    (void)pthread_mutex_unlock(&waiter->lock);
    return waiter->is_done;
}

/* ---- what librdkafka tells, in rd_kafka_poll on the loop ---- */

/* Fills @err; its code says whether the record may lie in the log. */
static int outcome(const rd_kafka_message_t *message, struct err *err)
{
    const char *why = rd_kafka_err2str(message->err);

    switch (rd_kafka_message_status(message)) {
    case RD_KAFKA_MSG_STATUS_PERSISTED:
        *err = (struct err){0};
        return 0;
    case RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED:
        return err_set(err, ERR_UNCERTAIN, "kafka: delivery: %s", why);
    default:
        return err_set(
            err, message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? ERR_LIMIT : ERR_TIMEOUT,
            "kafka: delivery: %s", why);
    }
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct handle *handle = opaque;
    struct bus_producer *producer = handle->producer;
    struct ticket *ticket = message->_private;
    struct err err;
    struct bus_delivery delivery = {
        .topic = ticket->topic,
        .partition = message->partition,
        .offset = message->offset,
        .cookie = ticket->cookie,
        .rc = outcome(message, &err),
        .err = &err,
    };

    (void)client;
    if (delivery.rc < 0 || delivery.offset < 0) {
        delivery.offset = -1;
    }
    if (ticket->waiter != NULL) {
        waiter_tell(ticket->waiter, delivery.offset, &err);
    }
    if (!handle->is_ending) {
        (void)atomic_fetch_sub(&producer->pending, 1);
        if (delivery.rc < 0 && producer->kind == BUS_PRODUCER_RELAY) {
            atomic_store(&producer->is_broken, true);
        }
        if (ticket->waiter == NULL && !producer->is_closed) {
            producer->events.delivered(&delivery, producer->events.ctx);
        }
    }
    free(ticket);
}

static void renew(void *ctx);

static void on_again(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    renew(ctx);
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct handle *handle = opaque;
    struct bus_producer *producer = handle->producer;
    struct err err;
    bool is_fatal;

    if (handle->is_ending || producer->is_closed) {
        return;
    }
    is_fatal = bus_error_is_fatal(client, code, reason, &err);
    if (is_fatal && producer->kind == BUS_PRODUCER_RELAY) {
        atomic_store(&producer->is_broken, true);
    } else if (is_fatal && !handle->is_retiring && !producer->is_renewing) {
        producer->is_renewing = true;
        loop_defer(producer->loop, renew, producer);
    }
    if (producer->events.trouble != NULL) {
        producer->events.trouble(&err, producer->events.ctx);
    }
}

/* ---- handles ---- */

static int handle_new(struct bus_producer *producer, struct handle **out, struct err *err)
{
    char timeout[24];
    char queue[24];
    char bytes[24];
    bool is_relay = producer->kind == BUS_PRODUCER_RELAY;
    const struct bus_setting settings[] = {
        {"enable.idempotence", "true"},
        {"enable.gapless.guarantee", is_relay ? "true" : "false"},
        {"message.timeout.ms", timeout},
        {"queue.buffering.max.messages", queue},
        {"queue.buffering.max.kbytes", "65536"},
        {"message.max.bytes", bytes},
        {"compression.codec", "lz4"},
        {"linger.ms", is_relay ? "2" : "0.5"},
        {NULL, NULL},
    };
    struct handle *handle = mem_new0(sizeof(*handle));
    rd_kafka_conf_t *conf;
    int rc;

    (void)snprintf(timeout, sizeof(timeout), "%lld",
                   is_relay ? 0LL : (long long)producer->timeout_ms);
    (void)snprintf(queue, sizeof(queue), "%zu", producer->queue_max);
    (void)snprintf(bytes, sizeof(bytes), "%d", BUS_RECORD_MAX + 65536); /* key, headers, frame */
    rc = bus_conf_new(producer->brokers, producer->client_id, settings, &conf, err);
    if (rc == 0) {
        rd_kafka_conf_set_opaque(conf, handle);
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        rd_kafka_conf_set_error_cb(conf, on_error);
        rc = bus_client_new(RD_KAFKA_PRODUCER, conf, &handle->client, err);
    }
    if (rc < 0) {
        free(handle);
        return rc;
    }
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (producer->is_expected[i]) {
            handle->topics[i] =
                rd_kafka_topic_new(handle->client, bus_topic_name((enum topic)i), NULL);
        }
    }
    handle->producer = producer;
    handle->queue = rd_kafka_queue_get_main(handle->client);
    rd_kafka_queue_io_event_enable(handle->queue, loop_wake_fd(producer->wake), &loop_wake_payload,
                                   LOOP_WAKE_SIZE);
    loop_wake_signal(producer->wake); /* for what was there before */
    handle->next = producer->handles;
    producer->handles = handle;
    *out = handle;
    return 0;
}

static void destroy_client(void *ctx) /* on a thread of the pool */
{
    struct handle *handle = ctx;

    /* Again and again: a purge may miss what is just then on its way from one queue to another. */
    while (rd_kafka_outq_len(handle->client) > 0) {
        (void)rd_kafka_purge(handle->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_poll(handle->client, CLOSE_POLL_MS); /* tickets come back: on_delivery */
    }
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (handle->topics[i] != NULL) {
            rd_kafka_topic_destroy(handle->topics[i]);
        }
    }
    rd_kafka_destroy(handle->client);
}

static void on_destroyed(void *ctx)
{
    free(ctx);
}

/* From here on nobody hears of its records. */
static void handle_end(struct handle *handle)
{
    struct bus_producer *producer = handle->producer;
    struct handle **at = &producer->handles;

    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    handle->is_ending = true;
    handle->producer = NULL;
    rd_kafka_queue_io_event_enable(handle->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(handle->queue);
    loop_work(producer->loop, destroy_client, on_destroyed, handle);
}

static void end_closed(void *ctx)
{
    struct bus_producer *producer = ctx;

    while (producer->handles != NULL) {
        handle_end(producer->handles);
    }
    loop_timer_stop(&producer->again);
    loop_wake_close(&producer->wake);
    (void)pthread_rwlock_destroy(&producer->lock);
    free(producer->brokers);
    free(producer->client_id);
    free(producer);
}

/* After a fatal error: records that come from now on go to a new client. */
static void renew(void *ctx)
{
    struct bus_producer *producer = ctx;
    struct handle *old = producer->current;
    struct handle *fresh;
    struct err err;

    if (producer->is_closed) {
        return; /* end_closed comes after this */
    }
    if (handle_new(producer, &fresh, &err) < 0) {
        if (producer->events.trouble != NULL) {
            producer->events.trouble(&err, producer->events.ctx);
        }
        loop_timer_start(producer->loop, &producer->again, RENEW_AGAIN_MS, on_again, producer);
        return;
    }
    producer->is_renewing = false;
    (void)pthread_rwlock_wrlock(&producer->lock);
    producer->current = fresh;
    (void)pthread_rwlock_unlock(&producer->lock);
    old->is_retiring = true;
    (void)rd_kafka_purge(old->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                          RD_KAFKA_PURGE_F_NON_BLOCKING);
    loop_wake_signal(producer->wake);
}

static void on_wake(void *ctx)
{
    struct bus_producer *producer = ctx;
    struct handle *next;

    for (struct handle *handle = producer->handles; handle != NULL && !producer->is_closed;
         handle = next) {
        (void)rd_kafka_poll(handle->client, 0);
        next = handle->next;
        if (handle->is_retiring && !producer->is_closed && rd_kafka_outq_len(handle->client) == 0) {
            handle_end(handle);
        }
    }
}

/* ---- the way in ---- */

int bus_producer_new(struct loop *loop, const struct bus_producer_options *options,
                     struct bus_producer **out, struct err *err)
{
    struct bus_producer *producer = mem_new0(sizeof(*producer));
    int rc;

    assert(options->events.delivered != NULL || options->kind == BUS_PRODUCER_REQUEST);
    producer->loop = loop;
    producer->brokers = mem_strdup(options->brokers);
    producer->client_id = mem_strdup(options->client_id);
    producer->kind = options->kind;
    producer->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    producer->queue_max = options->queue_max > 0 ? options->queue_max : DEFAULT_QUEUE_MAX;
    producer->events = options->events;
    for (size_t i = 0; i < options->n_topics; i++) {
        producer->is_expected[options->topics[i]] = true;
    }
    (void)pthread_rwlock_init(&producer->lock, NULL);
    rc = loop_wake_new(loop, on_wake, producer, &producer->wake, err);
    if (rc == 0) {
        rc = handle_new(producer, &producer->current, err);
    }
    if (rc < 0) {
        end_closed(producer);
        return rc;
    }
    *out = producer;
    return 0;
}

static rd_kafka_headers_t *headers_of(const struct bus_send *send)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(send->n_headers);

    for (size_t i = 0; i < send->n_headers; i++) {
        (void)rd_kafka_header_add(headers, send->headers[i].name, -1, send->headers[i].value.p,
                                  (ssize_t)send->headers[i].value.n);
    }
    return headers;
}

#ifdef __clang__ /* the arguments of producev are macros of librdkafka's */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#endif
static rd_kafka_resp_err_t produce(rd_kafka_t *client, const struct bus_send *send,
                                   struct ticket *ticket)
{
    rd_kafka_headers_t *headers = headers_of(send);
    rd_kafka_resp_err_t code;
    void *key; /* librdkafka copies both, for all that the arguments are not const */
    void *value;

    memcpy(&key, (const void *)&send->key.p, sizeof(key));
    memcpy(&value, (const void *)&send->value.p, sizeof(value));
    code = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(bus_topic_name(send->topic)),
        RD_KAFKA_V_PARTITION(send->partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, send->key.n), RD_KAFKA_V_VALUE(value, send->value.n),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(ticket), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
    }
    return code;
}
#ifdef __clang__
#pragma clang diagnostic pop
#endif

static int check_send(struct bus_producer *producer, const struct bus_send *send, struct err *err)
{
    size_t n = send->key.n + send->value.n;

    for (size_t i = 0; i < send->n_headers; i++) {
        n += strlen(send->headers[i].name) + send->headers[i].value.n;
    }
    if (send->value.n > BUS_RECORD_MAX || n > BUS_RECORD_MAX + 32768) {
        return err_set(err, ERR_LIMIT, "record of %zu bytes, at most %d", n, BUS_RECORD_MAX);
    }
    if (send->n_headers > BUS_HEADERS_MAX) {
        return err_set(err, ERR_LIMIT, "%zu headers, at most %d", send->n_headers, BUS_HEADERS_MAX);
    }
    if (atomic_load(&producer->is_broken)) {
        return err_set(err, ERR_CLOSED, "the producer must be replaced after a failed delivery");
    }
    return 0;
}

static int queue_record(struct bus_producer *producer, const struct bus_send *send,
                        struct waiter *waiter, struct err *err)
{
    struct ticket *ticket;
    rd_kafka_resp_err_t code;
    int rc = check_send(producer, send, err);

    if (rc < 0) {
        return rc;
    }
    ticket = mem_new0(sizeof(*ticket));
    *ticket = (struct ticket){send->cookie, waiter, send->topic};
    (void)atomic_fetch_add(&producer->pending, 1);
    (void)pthread_rwlock_rdlock(&producer->lock);
    code = produce(producer->current->client, send, ticket);
    (void)pthread_rwlock_unlock(&producer->lock);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 0;
    }
    (void)atomic_fetch_sub(&producer->pending, 1);
    free(ticket);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        return err_set(err, ERR_LIMIT, "%zu records are on their way already", producer->queue_max);
    }
    return err_set(err, code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? ERR_LIMIT : ERR_CLOSED,
                   "kafka: %s", rd_kafka_err2str(code));
}

int bus_producer_send(struct bus_producer *producer, const struct bus_send *send, struct err *err)
{
    return queue_record(producer, send, NULL, err);
}

int bus_producer_send_wait(struct bus_producer *producer, const struct bus_send *send,
                           int64_t timeout_ms, int64_t *offset, struct err *err)
{
    struct waiter *waiter = waiter_new();
    int rc = queue_record(producer, send, waiter, err);

    if (rc < 0) {
        waiter->users = 1;
    } else if (!waiter_wait(waiter, timeout_ms)) {
        rc = err_set(err, ERR_UNCERTAIN, "kafka: no acknowledgement within %lld ms",
                     (long long)timeout_ms);
    } else {
        rc = waiter->err.code;
        if (rc < 0 && err != NULL) {
            *err = waiter->err;
        } else if (offset != NULL) {
            *offset = waiter->offset;
        }
    }
    waiter_unref(waiter);
    return rc;
}

size_t bus_producer_pending(struct bus_producer *producer)
{
    return atomic_load(&producer->pending);
}

void bus_producer_close(struct bus_producer **producer)
{
    struct bus_producer *closing = *producer;

    *producer = NULL;
    if (closing != NULL && !closing->is_closed) {
        closing->is_closed = true;
        loop_defer(closing->loop, end_closed, closing); /* librdkafka may be on the stack */
    }
}
