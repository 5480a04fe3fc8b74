#include "scheduler/scheduler_tester.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_consumer.h"
#include "bus/bus_producer.h"
#include "domain/ids.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

enum { COMMAND_MS = 5000, FENCE_COMMANDS = 3 };

static void broke(struct station *station, const char *what, int64_t number)
{
    if (station->broken[0] == '\0') {
        (void)snprintf(station->broken, sizeof(station->broken), "%s (%lld)", what,
                       (long long)number);
    }
}

/* ---- the log of blasts ---- */

struct station_blast *station_find(struct station *station, const char *uuid)
{
    for (size_t i = 0; i < station->n_blasts; i++) {
        if (strcmp(station->blasts[i].uuid, uuid) == 0) {
            return &station->blasts[i];
        }
    }
    return NULL;
}

/* INV-1 to INV-4, and that the index never goes back. */
static void check_counts(struct station *station, const struct station_blast *blast,
                         int32_t index_before)
{
    const struct blast_counts *c = &blast->state.counts;

    if (c->current_index < index_before || c->current_index > blast->total) {
        broke(station, "current_index went back or past the end", c->current_index);
    }
    if (c->sent + c->failed + c->skipped > blast->total) {
        broke(station, "more outcomes than recipients", c->sent);
    }
    if (c->sent + c->skipped > c->current_index ||
        c->current_index > c->sent + c->failed + c->skipped) {
        broke(station, "current_index is not what settled", c->current_index);
    }
    if (blast->state.status == BLAST_COMPLETED && c->current_index != blast->total) {
        broke(station, "completed before all settled", c->current_index);
    }
}

static void note(struct station *station, struct station_blast *blast,
                 const struct blast_event *event)
{
    if (event->kind == BLAST_EVENT_PROGRESSED) {
        if (event->occurred_at / 1000 < blast->progressed_us / 1000 + 1000 &&
            !blast->was_restarted) {
            broke(station, "two BlastProgressed within a second", event->occurred_at);
        }
        blast->progressed_us = event->occurred_at;
        blast->was_restarted = false;
    } else if (event->kind == BLAST_EVENT_RECIPIENTS_SKIPPED) {
        size_t n = event->as.recipients_skipped.recipients.n;

        blast->left_out += (int32_t)n;
        (void)snprintf(blast->reason, sizeof(blast->reason), "%s",
                       event->as.recipients_skipped.recipients.at[n - 1].reason);
    } else if (event->kind == BLAST_EVENT_RECIPIENTS_CANCELLED) {
        blast->n_cancelled += event->as.recipients_cancelled.last_index -
                              event->as.recipients_cancelled.first_index + 1;
    }
}

static void read_blast_event(struct station *station, const struct blast_event *event)
{
    struct station_blast *blast = station_find(station, event->aggregate_id);
    int32_t index_before;

    if (event->position != station->position + 1) {
        return; /* a repeat, or too early */
    }
    station->position = event->position;
    if (blast == NULL) {
        broke(station, "an event of an unknown blast", event->kind);
        return;
    }
    if (event->sequence != blast->state.sequence + 1) {
        broke(station, "sequences do not follow", event->sequence);
    }
    index_before = blast->state.counts.current_index;
    blast_evolve(&blast->state, event);
    blast->kinds[event->kind]++;
    note(station, blast, event);
    check_counts(station, blast, index_before);
}

/* ---- the connector ---- */

static void read_send(struct station *station, const struct message_command *command)
{
    const struct send_message *send = &command->as.send;
    struct station_blast *blast = station_find(station, send->blast_id);
    int32_t index = send->blast_index;
    struct uuid id = blast_message_uuid(send->blast_id, index);
    struct uuid next;

    if (blast == NULL || strcmp(id.text, command->aggregate_id) != 0) {
        broke(station, "a message of no blast", index);
        return;
    }
    next = uuid_v5("send:%s:%d", id.text, blast->times[index] + 1);
    if (strcmp(next.text, command->command_id) != 0) {
        return; /* the relay may write one twice: the same command id */
    }
    if (blast->times[index] > 0 && blast->message[index] != MESSAGE_EXPIRED) {
        broke(station, "handed over twice", index);
    }
    blast->n_handed += blast->times[index] == 0 ? 1 : 0;
    blast->first_ms = blast->first_ms == 0 ? command->issued_at : blast->first_ms;
    blast->last_ms = command->issued_at;
    blast->times[index]++;
    blast->message[index] = MESSAGE_PENDING;
    blast->n_unsettled++;
    if (blast->n_unsettled > blast->most_unsettled) {
        blast->most_unsettled = blast->n_unsettled;
    }
    (void)snprintf(station->text, sizeof(station->text), "%s", send->text);
    (void)snprintf(station->recipient, sizeof(station->recipient), "%s", send->recipient);
    station->not_after = send->has_not_after ? send->not_after : 0;
    if (station->way == STATION_SEND) {
        station_message(station, blast, index, MESSAGE_EVENT_DISPATCHED);
        station_message(station, blast, index, MESSAGE_EVENT_SENT);
    }
}

static void on_record(struct bus_record *record, void *ctx)
{
    struct station *station = ctx;
    struct arena arena = {0};
    int rc;

    if (record->topic == TOPIC_MESSAGE_CMD) {
        struct message_command command;

        rc = bus_decode(record->topic, record->value, &arena, &command, NULL);
        assert(rc == 0);
        read_send(station, &command);
    } else {
        struct blast_event event;

        rc = bus_decode(record->topic, record->value, &arena, &event, NULL);
        assert(rc == 0);
        read_blast_event(station, &event);
    }
    arena_done(&arena);
    bus_record_free(&record);
}

static void on_bus_failed(const struct err *err, bool is_fatal, void *ctx)
{
    (void)ctx;
    (void)fprintf(stderr, "station: %s\n", err->text);
    assert(!is_fatal);
}

static void on_delivered(const struct bus_delivery *delivery, void *ctx)
{
    struct station *station = ctx;

    assert(delivery->rc == 0);
    station->undelivered--;
    if (delivery->topic == TOPIC_BLAST_RECIPIENTS) {
        station->offset = delivery->offset;
    }
}

static void write_record(struct station *station, enum topic topic, const void *record)
{
    struct buf wire = {0};
    struct err err = {0};
    struct bus_send out = {.topic = topic,
                           .partition = station->partition,
                           .key = {(const uint8_t *)station->session, strlen(station->session)}};
    int rc = bus_encode(topic, record, &wire, &err);

    if (rc < 0) {
        (void)fprintf(stderr, "station: %s\n", err.text);
    }
    assert(rc == 0);
    out.value = buf_bytes(&wire);
    rc = bus_producer_send(station->producer, &out, NULL);
    assert(rc == 0);
    station->undelivered++;
    buf_done(&wire);
}

void station_session(struct station *station, enum session_event_kind kind)
{
    struct session_event event = {.aggregate_type = "session",
                                  .aggregate_id = station->session,
                                  .sequence = ++station->session_sequence,
                                  .position = ++station->session_position,
                                  .epoch = 1,
                                  .occurred_at = clock_wall_us(),
                                  .actor_kind = "connector",
                                  .session_key = "sales",
                                  .user_id = STATION_USER_ID,
                                  .kind = kind};
    struct uuid id = event_uuid(event.aggregate_id, event.sequence);

    event.event_id = id.text;
    switch (kind) {
    case SESSION_EVENT_CREATED:
        event.as.created.webhook_url = "";
        event.as.created.name = "Sales";
        break;
    case SESSION_EVENT_PAIRED:
        event.as.paired.jid = "6281234567890:1@s.whatsapp.net";
        event.as.paired.phone = "6281234567890";
        break;
    case SESSION_EVENT_LOGGED_IN:
        event.as.logged_in.jid = "6281234567890:1@s.whatsapp.net";
        break;
    case SESSION_EVENT_CONNECTION_LOST:
        event.as.connection_lost.reason = "lost";
        break;
    case SESSION_EVENT_DISCONNECTED:
        event.as.disconnected.reason = "user";
        break;
    case SESSION_EVENT_LOGGED_OUT:
        event.as.logged_out.reason = "remote";
        break;
    default:
        break;
    }
    write_record(station, TOPIC_SESSION_EVENTS, &event);
}

void station_connect(struct station *station)
{
    station_session(station, SESSION_EVENT_CREATED);
    station_session(station, SESSION_EVENT_CONNECT_REQUESTED);
    station_session(station, SESSION_EVENT_PAIRED);
    station_session(station, SESSION_EVENT_LOGGED_IN);
}

static void fill_message(struct message_event *event)
{
    switch (event->kind) {
    case MESSAGE_EVENT_DISPATCHED:
        event->as.dispatched.attempt = 1;
        event->as.dispatched.wa_message_id = "3EB0";
        event->as.dispatched.recipient = "";
        event->as.dispatched.text = "";
        break;
    case MESSAGE_EVENT_SENT:
        event->as.sent.wa_message_id = "3EB0";
        break;
    case MESSAGE_EVENT_DELIVERED:
        event->as.delivered.source = "receipt";
        break;
    case MESSAGE_EVENT_READ:
        event->as.read.source = "receipt";
        break;
    case MESSAGE_EVENT_FAILED:
        event->as.failed.error = "no";
        event->as.failed.permanent = true;
        break;
    case MESSAGE_EVENT_EXPIRED:
        event->as.expired.reason = "late";
        break;
    default:
        break;
    }
}

void station_message(struct station *station, struct station_blast *blast, int32_t index,
                     enum message_event_kind kind)
{
    struct uuid id = blast_message_uuid(blast->uuid, index);
    enum message_state before = (enum message_state)blast->message[index];
    struct message_event event = {.aggregate_type = "message",
                                  .aggregate_id = id.text,
                                  .sequence = 1,
                                  .position = ++station->message_position,
                                  .epoch = 1,
                                  .occurred_at = clock_wall_us(),
                                  .actor_kind = "connector",
                                  .session_uuid = station->session,
                                  .session_key = "sales",
                                  .user_id = STATION_USER_ID,
                                  .blast_id = blast->uuid,
                                  .has_blast_index = true,
                                  .blast_index = index,
                                  .state_before = message_state_name(before),
                                  .kind = kind};
    struct uuid event_id = uuid_v7(clock_wall_ms());
    enum message_state after;

    event.event_id = event_id.text;
    fill_message(&event);
    after = message_state_after(&event);
    if (!message_is_settled(before) && (message_is_settled(after) || after == MESSAGE_EXPIRED)) {
        blast->n_unsettled--;
    }
    blast->message[index] = (uint8_t)after;
    write_record(station, TOPIC_MESSAGE_EVENTS, &event);
}

/* ---- ingress ---- */

struct chunk {
    struct blast_recipients record;
    struct recipient list[500];
    char phones[500][24];
    char names[500][24];
    struct record_pair pairs[500];
};

/* Every hundredth recipient has a bad number in blasts of an odd total. */
static void make_chunk(const struct station *station, const struct station_blast *blast,
                       int32_t first, int32_t n, struct chunk *out)
{
    *out = (struct chunk){.record = {.blast_id = blast->uuid,
                                     .upload_id = blast->upload_id,
                                     .session_uuid = station->session,
                                     .user_id = STATION_USER_ID,
                                     .first_index = first}};
    for (int32_t i = 0; i < n; i++) {
        bool is_bad = blast->total % 2 == 1 && (first + i) % 100 == 3;

        (void)snprintf(out->phones[i], sizeof(out->phones[i]), "%s6281%07d", is_bad ? "x" : "+",
                       first + i);
        (void)snprintf(out->names[i], sizeof(out->names[i]), "Person %d", first + i);
        out->pairs[i] = (struct record_pair){"code", out->names[i] + 7};
        out->list[i] = (struct recipient){.phone = out->phones[i],
                                          .contact_name = out->names[i],
                                          .variables = {1, &out->pairs[i]}};
    }
    out->record.recipients.n = (size_t)n;
    out->record.recipients.at = out->list;
}

static bool is_delivered(void *ctx)
{
    return ((struct station *)ctx)->undelivered == 0;
}

void station_write_chunks(struct station *station, struct station_blast *blast, int32_t each,
                          int32_t from)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    struct chunk *chunk = mem_new0(sizeof(*chunk));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    struct buf hex = {0};
    int ok = EVP_DigestInit_ex(hash, EVP_sha256(), NULL);

    blast->chunks = 0;
    for (int32_t first = 0; first < blast->total; first += each) {
        int32_t n = blast->total - first < each ? blast->total - first : each;
        struct buf body = {0};
        int rc;

        make_chunk(station, blast, first, n, chunk);
        rc = bus_encode_body(TOPIC_BLAST_RECIPIENTS, &chunk->record, &body, NULL);
        assert(rc == 0 && ok == 1);
        ok = EVP_DigestUpdate(hash, body.p, body.n);
        buf_done(&body);
        if (blast->chunks++ >= from) {
            write_record(station, TOPIC_BLAST_RECIPIENTS, &chunk->record);
        }
    }
    station_until(station, is_delivered, station, "delivered chunks");
    blast->last_offset = station->offset;
    ok = EVP_DigestFinal_ex(hash, digest, &size);
    assert(ok == 1);
    text_hex(&hex, (struct bytes){digest, size});
    (void)snprintf(blast->sha256, sizeof(blast->sha256), "%s", buf_text(&hex));
    buf_done(&hex);
    free(chunk);
    EVP_MD_CTX_free(hash);
}

static struct station_blast *new_blast(struct station *station, int32_t total, int32_t each,
                                       int32_t from)
{
    struct station_blast *blast = &station->blasts[station->n_blasts++];
    struct uuid uuid = uuid_v7(clock_wall_ms());

    assert(station->n_blasts <= STATION_BLASTS_MAX);
    *blast = (struct station_blast){.total = total};
    memcpy(blast->uuid, uuid.text, UUID_TEXT_MAX);
    (void)snprintf(blast->upload_id, sizeof(blast->upload_id), "upload-%zu", station->n_blasts);
    blast->times = mem_new0((size_t)total);
    blast->message = mem_new0((size_t)total);
    station_write_chunks(station, blast, each, from);
    return blast;
}

struct station_blast *station_upload(struct station *station, int32_t total, int32_t each)
{
    return new_blast(station, total, each, 0);
}

struct station_blast *station_bare(struct station *station, int32_t total)
{
    return new_blast(station, total, total, 1);
}

struct blast_command station_command_of(const struct station *station,
                                        const struct station_blast *blast,
                                        enum blast_command_kind kind, struct uuid *id)
{
    int64_t now_ms = clock_wall_ms();

    *id = uuid_v7(now_ms);
    return (struct blast_command){.command_id = id->text,
                                  .aggregate_id = blast->uuid,
                                  .session_uuid = station->session,
                                  .user_id = STATION_USER_ID,
                                  .correlation_id = id->text,
                                  .reply_to = "ingress-1",
                                  .issued_at = now_ms,
                                  .deadline = now_ms + COMMAND_MS,
                                  .actor_kind = "user",
                                  .actor_id = "7",
                                  .kind = kind};
}

void station_send(struct station *station, const struct blast_command *command)
{
    write_record(station, TOPIC_BLAST_CMD, command);
}

struct uuid station_command(struct station *station, const struct station_blast *blast,
                            enum blast_command_kind kind)
{
    struct uuid id;
    struct blast_command command = station_command_of(station, blast, kind, &id);

    station_send(station, &command);
    return id;
}

struct uuid station_create(struct station *station, const struct station_blast *blast,
                           const char *config, bool auto_start)
{
    struct uuid id;
    struct blast_command command = station_command_of(station, blast, BLAST_COMMAND_CREATE, &id);

    command.as.create = (struct create_blast){.id = 1,
                                              .blast_key = "blast_20250907_001",
                                              .session_key = "sales",
                                              .campaign_name = "Promo",
                                              .message_template = "Hi {{name}}, {{code}}{{gone}}!",
                                              .total_messages = blast->total,
                                              .upload_id = blast->upload_id,
                                              .chunk_count = blast->chunks,
                                              .recipients_sha256 = blast->sha256,
                                              .last_chunk_offset = blast->last_offset,
                                              .config = config == NULL ? "" : config,
                                              .auto_start = auto_start};
    station_send(station, &command);
    return id;
}

/* ---- waiting ---- */

void station_until(struct station *station, bool (*is_so)(void *ctx), void *ctx, const char *what)
{
    if (loop_run_until(station->loop, is_so, ctx, STATION_WAIT_MS) != 1) {
        fail_msg("waited in vain for %s", what);
    }
}

struct wanted {
    struct station_blast *blast;
    enum blast_status status;
    int32_t n;
};

static bool has_status(void *ctx)
{
    const struct wanted *wanted = ctx;

    return wanted->blast->state.status == wanted->status;
}

void station_until_status(struct station *station, struct station_blast *blast,
                          enum blast_status status)
{
    struct wanted wanted = {.blast = blast, .status = status};

    station_until(station, has_status, &wanted, blast_status_name(status));
}

static bool has_handed(void *ctx)
{
    const struct wanted *wanted = ctx;

    return wanted->blast->n_handed >= wanted->n;
}

void station_until_handed(struct station *station, struct station_blast *blast, int32_t n)
{
    struct wanted wanted = {.blast = blast, .n = n};

    station_until(station, has_handed, &wanted, "messages handed over");
}

struct asked {
    struct station *station;
    char sql[160];
    char text[200];
};

static bool has_verdict(void *ctx)
{
    struct asked *asked = ctx;

    (void)snprintf(asked->text, sizeof(asked->text), "%s",
                   testkit_pg_text(&asked->station->db, asked->sql));
    return asked->text[0] != '\0';
}

static const char *member_of(struct station *station, const char *member, struct uuid command_id)
{
    static struct asked asked;

    asked = (struct asked){.station = station};
    (void)snprintf(asked.sql, sizeof(asked.sql),
                   "SELECT (verdict::json)->>'%s' FROM scheduler.command_verdict "
                   "WHERE command_id = '%s'",
                   member, command_id.text);
    station_until(station, has_verdict, &asked, "a verdict");
    return asked.text;
}

const char *station_verdict(struct station *station, struct uuid command_id)
{
    return member_of(station, "code", command_id);
}

const char *station_message_of(struct station *station, struct uuid command_id)
{
    return member_of(station, "message", command_id);
}

/* One turn may only ask for what the next hands over, so one command would not show it. */
void station_fence(struct station *station)
{
    for (int i = 0; i < FENCE_COMMANDS; i++) {
        struct station_blast nobody = {0};
        struct uuid uuid = uuid_v7(clock_wall_ms());
        struct uuid id;

        memcpy(nobody.uuid, uuid.text, UUID_TEXT_MAX);
        id = station_command(station, &nobody, BLAST_COMMAND_PAUSE);
        assert_string_equal(station_verdict(station, id), "NOT_FOUND");
    }
}

static bool knows_session(void *ctx)
{
    struct station *station = ctx;
    char sql[128];

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM scheduler.session WHERE sequence = %lld",
                   (long long)station->session_sequence);
    return testkit_pg_int(&station->db, sql) == 1;
}

void station_until_session(struct station *station)
{
    station_until(station, knows_session, station, "the events of the session to be read");
}

int64_t station_handed(struct station *station)
{
    return testkit_pg_int(&station->db,
                          "SELECT coalesce(sum(next_position - 1), 0) FROM "
                          "scheduler.output_position WHERE topic LIKE '%message.cmd.v1'");
}

/* ---- the bus ---- */

void station_open_bus(struct station *station, const char *brokers)
{
    struct bus_producer_options out = {
        .brokers = brokers,
        .client_id = "station",
        .kind = BUS_PRODUCER_RELAY,
        .queue_max = 200000,
        .events = {.delivered = on_delivered, .ctx = station},
    };
    struct bus_consumer_options in = {
        .brokers = brokers,
        .client_id = "station",
        .events = {.record = on_record, .failed = on_bus_failed, .ctx = station},
    };
    struct bus_partition from[] = {{TOPIC_MESSAGE_CMD, station->partition, BUS_OFFSET_BEGINNING},
                                   {TOPIC_BLAST_EVENTS, station->partition, BUS_OFFSET_BEGINNING}};
    int rc = bus_producer_new(station->loop, &out, &station->producer, NULL);

    assert(rc == 0);
    rc = bus_consumer_new(station->loop, &in, &station->consumer, NULL);
    assert(rc == 0);
    rc = bus_consumer_start(station->consumer, from, 2, NULL);
    assert(rc == 0);
}
