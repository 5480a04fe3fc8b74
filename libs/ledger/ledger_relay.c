/* What is committed goes to Kafka in the order of its positions (L3). A committed row is handed to
 * the producer from memory while there is room for it; otherwise it waits in the table and is read
 * again. After any failure the producer is replaced and everything begins at the lowest row that
 * was not delivered. */
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "ledger/ledger_internal.h"

enum {
    RETRY_FIRST_MS = 50,
    RETRY_MOST_MS = 2000,
    SWEEP_MS = 25,     /* how long delivered rows wait for a turn that deletes them */
    READ_ROWS = 500,   /* at a time */
    QUEUE_ROWS = 10000 /* in the producer */
};

#define READ_SQL                                                                   \
    "SELECT position, key, value FROM outbox WHERE topic = $1 AND partition = $2 " \
    "AND position >= $3 ORDER BY position LIMIT $4"

/* Nothing is left below the lowest; said all the same, so that the index is not searched through
 * what was deleted and not yet vacuumed. */
#define DELETE_SQL                                                                       \
    "DELETE FROM outbox o USING unnest($1::text[], $2::int8[], $3::int8[], $4::int8[]) " \
    "AS d(topic, partition, lowest, upto) WHERE o.topic = d.topic "                      \
    "AND o.partition = d.partition AND o.position >= d.lowest AND o.position < d.upto"

static void on_retry(struct loop_timer *timer, void *ctx);
static void on_sweep(struct loop_timer *timer, void *ctx);

static bool may_send(const struct ledger_stream *stream)
{
    return stream->is_open && stream->ledger->parts[stream->partition].phase == LEDGER_LIVE;
}

struct ledger_stream *ledger_stream_find(struct ledger *ledger, enum topic topic, int partition)
{
    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        if (ledger->streams[i].topic == topic && ledger->streams[i].partition == partition) {
            return &ledger->streams[i];
        }
    }
    return NULL;
}

void ledger_relay_open(struct ledger_stream *stream, int64_t next, int64_t lowest)
{
    int64_t from = lowest > 0 ? lowest : next;

    stream->stale += stream->in_flight;
    stream->in_flight = 0;
    stream->is_open = true;
    stream->next = next;
    stream->tx_next = next;
    stream->sent = from;
    stream->acked = from;
    stream->deleted = from;
    stream->deleting = from;
}

void ledger_relay_close_part(struct ledger *ledger, int partition)
{
    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        struct ledger_stream *stream = &ledger->streams[i];

        if (stream->partition == partition) {
            stream->is_open = false;
            stream->stale += stream->in_flight;
            stream->in_flight = 0;
        }
    }
}

/* ---- the producer ---- */

static void wait_a_little(struct ledger *ledger)
{
    loop_timer_start(
        ledger->loop, &ledger->relay.retry,
        loop_backoff_next_ms(&ledger->relay.backoff, (uint32_t)loop_now_ms(ledger->loop)), on_retry,
        ledger);
}

/* What the producer carries of a row. */
struct ledger_cookie {
    struct ledger_stream *stream;
    size_t bytes;
    struct ledger_cookie *next; /* while free */
};

static void free_all_cookies(struct ledger_relay *relay)
{
    relay->free_cookies = NULL;
    for (size_t i = 0; i < QUEUE_ROWS; i++) {
        relay->cookies[i].next = relay->free_cookies;
        relay->free_cookies = &relay->cookies[i];
    }
    relay->bytes_in_flight = 0;
}

/* Forget what is on its way; all of it is in the table. */
static void restart(struct ledger *ledger)
{
    struct ledger_relay *relay = &ledger->relay;

    ledger->metrics.relay_restarts++;
    bus_producer_close(&relay->producer); /* its cookies never come back */
    free_all_cookies(relay);
    for (size_t i = 0; i < LEDGER_STREAMS_MAX; i++) {
        struct ledger_stream *stream = &ledger->streams[i];

        stream->stale = 0;
        stream->in_flight = 0;
        stream->sent = stream->acked;
    }
    wait_a_little(ledger);
}

static void delivered(struct ledger_stream *stream)
{
    struct ledger *ledger = stream->ledger;

    crash_point(ledger->service, "after.publish");
    stream->in_flight--;
    stream->acked++;
    loop_backoff_reset(&ledger->relay.backoff);
    if (!loop_timer_is_running(&ledger->relay.sweep)) {
        loop_timer_start(ledger->loop, &ledger->relay.sweep, SWEEP_MS, on_sweep, ledger);
    }
}

static void on_delivered(const struct bus_delivery *delivery, void *ctx)
{
    struct ledger *ledger = ctx;
    struct ledger_relay *relay = &ledger->relay;
    struct ledger_cookie *cookie = delivery->cookie;
    struct ledger_stream *stream = cookie->stream;

    relay->bytes_in_flight -= cookie->bytes;
    cookie->next = relay->free_cookies;
    relay->free_cookies = cookie;
    if (delivery->rc < 0) {
        log_debug("a row was not delivered", LOG_STR("topic", topics[delivery->topic].name),
                  LOG_STR("why", delivery->err->text));
        restart(ledger);
        return;
    }
    if (stream->stale > 0) {
        stream->stale--;
        return;
    }
    delivered(stream);
    ledger_relay_run(ledger);
    ledger_check_drained(ledger);
}

static int open_producer(struct ledger *ledger)
{
    enum topic outputs[LEDGER_OUTPUTS_MAX + 1];
    struct bus_producer_options options = {
        .brokers = ledger->brokers,
        .client_id = ledger->instance,
        .kind = BUS_PRODUCER_RELAY,
        .queue_max = QUEUE_ROWS,
        .topics = outputs,
        .n_topics = ledger->n_outputs,
        .events = {.delivered = on_delivered, .ctx = ledger},
    };
    struct err err = {0};
    int rc;

    for (size_t i = 0; i < ledger->n_outputs; i++) {
        outputs[i] = ledger->outputs[i].topic;
    }
    rc = bus_producer_new(ledger->loop, &options, &ledger->relay.producer, &err);
    if (rc < 0) {
        log_debug("no producer", LOG_STR("why", err.text));
    }
    return rc;
}

static bool has_room(const struct ledger_relay *relay, const struct ledger *ledger)
{
    return relay->producer != NULL && relay->free_cookies != NULL &&
           relay->bytes_in_flight < ledger->config.relay_bytes_max;
}

/* Hand the row at stream->sent to the producer. False: no room, it waits in the table. */
static bool send_row(struct ledger_stream *stream, const char *key, struct bytes value)
{
    struct ledger *ledger = stream->ledger;
    struct ledger_relay *relay = &ledger->relay;
    struct ledger_cookie *cookie = relay->free_cookies;
    struct bus_send send = {
        .topic = stream->topic,
        .partition = stream->partition,
        .key = {.p = (const uint8_t *)key, .n = key != NULL ? strlen(key) : 0},
        .value = value,
        .cookie = cookie,
    };
    int rc;

    if (!has_room(relay, ledger)) {
        return false;
    }
    crash_point(ledger->service, "before.publish");
    rc = bus_producer_send(relay->producer, &send, NULL);
    if (rc == -ERR_CLOSED) { /* it broke, perhaps with no delivery under way that would say so */
        restart(ledger);
    } else if (rc < 0) {
        wait_a_little(ledger);
    }
    if (rc < 0) {
        return false;
    }
    relay->free_cookies = cookie->next;
    cookie->stream = stream;
    cookie->bytes = value.n;
    stream->sent++;
    stream->in_flight++;
    relay->bytes_in_flight += value.n;
    return true;
}

void ledger_relay_committed(struct ledger *ledger, const struct ledger_row *rows, size_t n)
{
    (void)ledger;
    for (size_t i = 0; i < n; i++) {
        /* behind an earlier row that waits in the table, it waits there too */
        if (may_send(rows[i].stream) && rows[i].stream->sent == rows[i].position) {
            (void)send_row(rows[i].stream, rows[i].key, rows[i].value);
        }
    }
}

/* ---- rows that are only in the table ---- */

/* False: a row that must be there is not. */
static bool send_rows(struct ledger_stream *stream, const struct pg_rows *rows)
{
    bool is_any = false;

    for (size_t row = 0; row < pg_rows_n(rows) && may_send(stream); row++) {
        int64_t position = pg_get_int(rows, row, 0);

        is_any = true;
        if (stream->sent > position) {
            continue;
        }
        if (stream->sent != position) {
            return false;
        }
        if (!send_row(stream, pg_get_text(rows, row, 1), pg_get_bytes(rows, row, 2))) {
            break;
        }
    }
    return is_any || !may_send(stream) || stream->sent >= stream->next;
}

/* Rows go only when they are delivered, and as a prefix. The owner before us, who waits for the
 * deliveries that it began, may take some away after we have read which was the lowest: @rows is
 * everything from stream->sent on. */
static void skip_deleted(struct ledger_stream *stream, const struct pg_rows *rows)
{
    int64_t first = pg_rows_n(rows) > 0 ? pg_get_int(rows, 0, 0) : stream->next;

    if (stream->in_flight == 0 && stream->is_open && first > stream->sent) {
        stream->sent = stream->acked = stream->deleted = stream->deleting = first;
    }
}

static void on_read(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger *ledger = ctx;
    struct ledger_relay *relay = &ledger->relay;
    struct ledger_stream *stream = relay->reading;

    (void)err;
    relay->is_reading = false;
    if (rows == NULL) {
        wait_a_little(ledger);
        return;
    }
    if (stream->sent != relay->reading_from) { /* begun anew since, from before these */
        ledger_relay_run(ledger);
        return;
    }
    skip_deleted(stream, rows);
    if (!send_rows(stream, rows)) { /* somebody else deletes them: look who owns the partition */
        if (ledger->tx == NULL) {
            ledger_part_fail(&ledger->parts[stream->partition]);
        } else {
            wait_a_little(ledger);
        }
        return;
    }
    ledger_relay_run(ledger);
}

static void read_behind(struct ledger *ledger, struct ledger_stream *stream)
{
    struct pg_stmt *stmt = pg_stmt_new(READ_SQL);

    pg_add_text(stmt, topics[stream->topic].name);
    pg_add_int(stmt, stream->partition);
    pg_add_int(stmt, stream->sent);
    pg_add_int(stmt, READ_ROWS);
    ledger->relay.is_reading = true;
    ledger->relay.reading = stream;
    ledger->relay.reading_from = stream->sent;
    pg_query(ledger->pg, stmt, on_read, ledger);
}

void ledger_relay_run(struct ledger *ledger)
{
    struct ledger_relay *relay = &ledger->relay;

    if (relay->is_reading || !ledger->is_up || !has_room(relay, ledger) ||
        loop_timer_is_running(&relay->retry) || ledger->is_closed) {
        return;
    }
    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        if (may_send(&ledger->streams[i]) && ledger->streams[i].sent < ledger->streams[i].next) {
            read_behind(ledger, &ledger->streams[i]);
            return;
        }
    }
}

static void on_retry(struct loop_timer *timer, void *ctx)
{
    struct ledger *ledger = ctx;

    if (ledger->relay.producer == NULL && open_producer(ledger) < 0) {
        loop_timer_start(ledger->loop, timer, RETRY_MOST_MS, on_retry, ledger);
        return;
    }
    ledger_relay_run(ledger);
}

/* ---- deleting, always a prefix ---- */

struct pg_stmt *ledger_relay_delete(struct ledger *ledger)
{
    struct pg_stmt *stmt;
    struct pg_array *names;
    struct pg_array *partitions;
    struct pg_array *lowest;
    struct pg_array *ends;

    if (ledger->relay.is_sweeping) {
        return NULL;
    }
    stmt = pg_stmt_new(DELETE_SQL);
    names = pg_add_array(stmt, PG_ARRAY_TEXT);
    partitions = pg_add_array(stmt, PG_ARRAY_INT);
    lowest = pg_add_array(stmt, PG_ARRAY_INT);
    ends = pg_add_array(stmt, PG_ARRAY_INT);
    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        struct ledger_stream *stream = &ledger->streams[i];

        if (stream->is_open && stream->acked > stream->deleted) {
            stream->deleting = stream->acked;
            pg_array_text(names, topics[stream->topic].name);
            pg_array_int(partitions, stream->partition);
            pg_array_int(lowest, stream->deleted);
            pg_array_int(ends, stream->acked);
        }
    }
    if (pg_array_n(names) == 0) {
        pg_stmt_free(&stmt);
        return NULL;
    }
    crash_point(ledger->service, "before.delete");
    ledger->relay.is_sweeping = true;
    return stmt;
}

void ledger_relay_deleted(struct ledger *ledger, bool is_done)
{
    ledger->relay.is_sweeping = false;
    for (size_t i = 0; is_done && i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        struct ledger_stream *stream = &ledger->streams[i];

        if (stream->is_open && stream->deleting > stream->deleted) {
            stream->deleted = stream->deleting;
        }
    }
    if (is_done) {
        crash_point(ledger->service, "after.delete");
    }
}

static void on_swept(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger *ledger = ctx;

    (void)err;
    ledger_relay_deleted(ledger, rows != NULL);
    if (rows == NULL) {
        loop_timer_start(ledger->loop, &ledger->relay.sweep, RETRY_MOST_MS, on_sweep, ledger);
    }
    ledger_check_drained(ledger);
}

static void on_sweep(struct loop_timer *timer, void *ctx)
{
    struct ledger *ledger = ctx;
    struct pg_stmt *stmt;

    if (ledger->tx != NULL || !ledger->is_up ||
        ledger->relay.is_sweeping) { /* a turn deletes too */
        loop_timer_start(ledger->loop, timer, ledger->is_up ? SWEEP_MS : RETRY_MOST_MS, on_sweep,
                         ledger);
        return;
    }
    stmt = ledger_relay_delete(ledger);
    if (stmt != NULL) {
        pg_query(ledger->pg, stmt, on_swept, ledger);
    }
}

/* ---- life ---- */

void ledger_relay_init(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        ledger->streams[i].ledger = ledger;
        ledger->streams[i].topic = ledger->outputs[i / LEDGER_PARTITIONS].topic;
        ledger->streams[i].partition = (int)(i % LEDGER_PARTITIONS);
    }
    ledger->relay.backoff =
        (struct loop_backoff){.first_ms = RETRY_FIRST_MS, .most_ms = RETRY_MOST_MS};
    ledger->relay.cookies = mem_array0(QUEUE_ROWS, sizeof(*ledger->relay.cookies));
    free_all_cookies(&ledger->relay);
    if (ledger->n_outputs > 0) {
        loop_timer_start(ledger->loop, &ledger->relay.retry, 0, on_retry, ledger);
    }
}

bool ledger_relay_is_dry(const struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        const struct ledger_stream *stream = &ledger->streams[i];

        if (may_send(stream) && stream->deleted < stream->next) {
            return false;
        }
    }
    return true;
}

int64_t ledger_relay_rows(const struct ledger *ledger)
{
    int64_t n = 0;

    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        if (ledger->streams[i].is_open) {
            n += ledger->streams[i].next - ledger->streams[i].acked;
        }
    }
    return n;
}

void ledger_relay_close(struct ledger *ledger)
{
    loop_timer_stop(&ledger->relay.retry);
    loop_timer_stop(&ledger->relay.sweep);
    bus_producer_close(&ledger->relay.producer);
    free(ledger->relay.cookies);
    ledger->relay.cookies = NULL;
}
