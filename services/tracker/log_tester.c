#include "tracker/log_tester.h"

#include <assert.h>

#include "base/uuid.h"
#include "domain/ids.h"
#include "domain/message.h"
#include "testkit/testkit.h"

static void *record(struct log *log, enum topic topic, const void *data, size_t size)
{
    assert(log->n < LOG_MAX);
    void *copy = arena_dup(&log->arena, data, size);

    log->at[log->n++] = (struct log_record){topic, copy};
    return copy;
}

static const char *event_id(struct log *log, const char *aggregate, int64_t sequence)
{
    return arena_strdup(&log->arena, event_uuid(aggregate, sequence).text);
}

static const char *own_id(struct log *log, const char *what)
{
    return arena_strdup(&log->arena, uuid_v5("%s:%s", log->session, what).text);
}

static void session(struct log *log, int64_t sequence, struct session_event event)
{
    event.aggregate_type = "session";
    event.aggregate_id = log->session;
    event.event_id = event_id(log, log->session, sequence);
    event.event_type = record_session_event_type.cases[event.kind - 1].event_type;
    event.actor_kind = "connector";
    event.session_key = "sales";
    event.user_id = 7;
    event.sequence = sequence;
    event.occurred_at = log->clock_us += 1000000;
    record(log, TOPIC_SESSION_EVENTS, &event, sizeof(event));
}

static void blast(struct log *log, int64_t sequence, struct blast_event event)
{
    event.aggregate_type = "blast";
    event.aggregate_id = log->blast;
    event.event_id = event_id(log, log->blast, sequence);
    event.event_type = record_blast_event_type.cases[event.kind - 1].event_type;
    event.actor_kind = "system";
    event.id = 3;
    event.blast_key = "blast_20250907_001";
    event.session_uuid = log->session;
    event.session_key = "sales";
    event.user_id = 7;
    event.sequence = sequence;
    event.occurred_at = log->clock_us += 1000000;
    record(log, TOPIC_BLAST_EVENTS, &event, sizeof(event));
}

static void message_of(struct log *log, const char *id, int64_t sequence,
                       struct message_event event)
{
    event.aggregate_type = "message";
    event.aggregate_id = arena_strdup(&log->arena, id);
    event.event_id = event_id(log, id, sequence);
    event.event_type = record_message_event_type.cases[event.kind - 1].event_type;
    event.actor_kind = "connector";
    event.session_uuid = log->session;
    event.session_key = "sales";
    event.user_id = 7;
    event.state_before = event.state_before != NULL ? event.state_before : "PENDING";
    event.sequence = sequence;
    event.occurred_at = log->clock_us += 1000000;
    record(log, TOPIC_MESSAGE_EVENTS, &event, sizeof(event));
}

static void message(struct log *log, int32_t index, int64_t sequence, struct message_event event)
{
    event.blast_id = log->blast;
    event.has_blast_index = true;
    event.blast_index = index;
    message_of(log, blast_message_uuid(log->blast, index).text, sequence, event);
}

static void webhook(struct log *log, const char *id, int64_t sequence, struct webhook_event event)
{
    event.aggregate_type = "webhook";
    event.aggregate_id = id;
    event.event_id = event_id(log, id, sequence);
    event.event_type = record_webhook_event_type.cases[event.kind - 1].event_type;
    event.actor_kind = "system";
    event.session_uuid = log->session;
    event.session_key = "sales";
    event.user_id = 7;
    event.source_event_id = "s";
    event.sequence = sequence;
    event.occurred_at = log->clock_us += 1000000;
    record(log, TOPIC_WEBHOOK_EVENTS, &event, sizeof(event));
}

static void chunk(struct log *log, const char *upload, int32_t first, int32_t n)
{
    static struct record_pair code[] = {{"code", "\"\xc3\xa9\\"}};
    struct blast_recipients recipients = {.blast_id = log->blast,
                                          .upload_id = upload,
                                          .session_uuid = log->session,
                                          .user_id = 7,
                                          .first_index = first};
    struct recipient *at = arena_array0(&log->arena, (size_t)n, sizeof(*at));

    for (int32_t i = 0; i < n; i++) {
        at[i].phone = arena_printf(&log->arena, "62812337844%02d", first + i);
        at[i].contact_name = i % 2 == 0 ? upload : NULL;
        at[i].variables = (struct record_map){i % 2 == 0 ? 1 : 0, code};
    }
    recipients.recipients.n = (size_t)n;
    recipients.recipients.at = at;
    record(log, TOPIC_BLAST_RECIPIENTS, &recipients, sizeof(recipients));
}

#define SESSION_EVENT(k, ...) ((struct session_event){.kind = SESSION_EVENT_##k, __VA_ARGS__})
#define BLAST_EVENT(k, ...)   ((struct blast_event){.kind = BLAST_EVENT_##k, __VA_ARGS__})
#define MESSAGE_EVENT(k, ...) ((struct message_event){.kind = MESSAGE_EVENT_##k, __VA_ARGS__})
#define WEBHOOK_EVENT(k, ...) ((struct webhook_event){.kind = WEBHOOK_EVENT_##k, __VA_ARGS__})

static void make_session(struct log *log)
{
    static const char *all[] = {"All"};
    static const char *two[] = {"Message", "ReadReceipt"};
    struct bytes sealed = {(const uint8_t *)"sealed", 6};

    session(log, 1,
            SESSION_EVENT(CREATED, .as.created = {.id = 5,
                                                  .name = "Sales",
                                                  .position = 2,
                                                  .webhook_url = "",
                                                  .token_enc = sealed,
                                                  .subscribe = {1, all}}));
    session(log, 2,
            SESSION_EVENT(CONNECT_REQUESTED, .as.connect_requested = {.subscribe = {2, two}}));
    session(log, 3, SESSION_EVENT(SOCKET_OPENED, .as.socket_opened = {.connector_id = "c"}));
    session(log, 4, SESSION_EVENT(QR_ISSUED, .as.qr_issued = {.ordinal = 1, .expires_at = 1}));
    session(log, 5,
            SESSION_EVENT(PAIRED, .as.paired = {.jid = "6281233784490:4@s.whatsapp.net",
                                                .lid = "9001:4@lid",
                                                .phone = "6281233784490",
                                                .platform = "android"}));
    session(log, 6,
            SESSION_EVENT(LOGGED_IN, .as.logged_in = {.jid = "6281233784490:4@s.whatsapp.net",
                                                      .push_name = "Budi",
                                                      .at = log->began_ms}));
    session(log, 7,
            SESSION_EVENT(WEBHOOK_SET, .as.webhook_set = {.webhook_url = "http://127.0.0.1/h",
                                                          .secret_enc = sealed}));
    session(log, 8,
            SESSION_EVENT(PROFILE_UPDATED, .as.profile_updated = {.operator_provider = "XL"}));
    session(log, 9,
            SESSION_EVENT(PROFILE_UPDATED, .as.profile_updated = {.operator_type = "Prepaid",
                                                                  .display_name = "Toko Budi"}));
    session(log, 10, SESSION_EVENT(CONNECTION_LOST, .as.connection_lost = {.reason = "closed"}));
    session(log, 11, SESSION_EVENT(RECONNECT_SCHEDULED, .as.reconnect_scheduled = {1, 1000}));
    session(log, 12, SESSION_EVENT(RENAMED, .as.renamed = {.name = "Penjualan"}));
}

/* Six recipients: read; read without an ack; skipped; expired and then cancelled; failed; never
 * handed over. */
static void make_blast(struct log *log)
{
    static struct skipped_recipient skipped[] = {{2, "not a phone"}};
    int64_t at = log->began_ms;

    chunk(log, "u1", 0, 4);
    chunk(log, "u2", 0, 6); /* a second upload that no create names */
    chunk(log, "u1", 4, 2);
    blast(log, 1,
          BLAST_EVENT(CREATED,
                      .as.created = {.campaign_name = "Promo",
                                     .campaign_id = "camp",
                                     .message_template = "Hi {{name}}",
                                     .upload_id = "u1",
                                     .config = "{\"contactDelay\": {\"min\": 1000, \"max\": 1000}}",
                                     .total_messages = 6}));
    blast(log, 2, BLAST_EVENT(STARTED, .as.started = {at}));
    message(log, 0, 1,
            MESSAGE_EVENT(DISPATCHED, .as.dispatched = {.attempt = 1,
                                                        .wa_message_id = "3EB00",
                                                        .recipient = "62",
                                                        .text = "Hi u1"}));
    message(log, 0, 2, MESSAGE_EVENT(SENT, .as.sent = {.wa_message_id = "3EB00", .at = at + 1}));
    message(log, 1, 1,
            MESSAGE_EVENT(DISPATCHED, .as.dispatched = {.attempt = 1,
                                                        .wa_message_id = "3EB01",
                                                        .recipient = "62",
                                                        .text = "Hi "}));
    message(log, 1, 2,
            MESSAGE_EVENT(FAILED, .as.failed = {.error = "timeout",
                                                .attempt = 1,
                                                .has_next_attempt_at = true,
                                                .next_attempt_at = at + 9}));
    blast(log, 3,
          BLAST_EVENT(RECIPIENTS_SKIPPED, .as.recipients_skipped = {.recipients = {1, skipped}}));
    blast(log, 4, BLAST_EVENT(PROGRESSED, .as.progressed = {2, 1, 1, 1, 0, 0, true, at + 5000}));
    message(log, 1, 3,
            MESSAGE_EVENT(DISPATCHED, .as.dispatched = {.attempt = 2,
                                                        .wa_message_id = "3EB01",
                                                        .recipient = "62",
                                                        .text = "Hi "}));
    message(log, 1, 4, MESSAGE_EVENT(READ, .as.read = {.at = at + 7, .source = "receipt"}));
    message(log, 0, 3,
            MESSAGE_EVENT(DELIVERED, .as.delivered = {.at = at + 3, .source = "receipt"}));
    message(log, 0, 4, MESSAGE_EVENT(READ, .as.read = {.at = at + 4, .source = "receipt"}));
    message(log, 3, 1, MESSAGE_EVENT(EXPIRED, .as.expired = {.reason = "not_after"}));
    message(log, 4, 1,
            MESSAGE_EVENT(DISPATCHED, .as.dispatched = {.attempt = 1,
                                                        .wa_message_id = "3EB04",
                                                        .recipient = "62",
                                                        .text = "Hi u1"}));
    message(
        log, 4, 2,
        MESSAGE_EVENT(FAILED,
                      .as.failed = {.error = "not on WhatsApp", .permanent = true, .attempt = 1}));
    blast(log, 5, BLAST_EVENT(STOPPED, .as.stopped = {at + 60, 4, 2, 1, 1, 2, 2}));
    blast(log, 6, BLAST_EVENT(RECIPIENTS_CANCELLED, .as.recipients_cancelled = {3, 3, "stopped"}));
    blast(log, 7, BLAST_EVENT(RECIPIENTS_CANCELLED, .as.recipients_cancelled = {5, 5, "stopped"}));
}

static void make_rest(struct log *log)
{
    const char *delivered = own_id(log, "delivered");
    const char *dead = own_id(log, "dead");
    const char *direct = own_id(log, "direct");
    const char *inbound = own_id(log, "inbound");

    message_of(
        log, direct, 1,
        MESSAGE_EVENT(QUEUED,
                      .as.queued = {.recipient = "6281111111111", .kind = "text", .text = "Halo"}));
    message_of(log, direct, 2,
               MESSAGE_EVENT(DISPATCHED, .as.dispatched = {.attempt = 1,
                                                           .wa_message_id = "3EB0D",
                                                           .recipient = "x",
                                                           .text = "y"}));
    message_of(log, inbound, 1,
               MESSAGE_EVENT(RECEIVED, .as.received = {.wa_message_id = "3A",
                                                       .from = "a",
                                                       .to = "b",
                                                       .kind = "text",
                                                       .text = "Ya"}));
    webhook(log, delivered, 1, WEBHOOK_EVENT(QUEUED, .as.queued = {"Message"}));
    webhook(log, dead, 1, WEBHOOK_EVENT(QUEUED, .as.queued = {"Message"}));
    webhook(log, delivered, 2,
            WEBHOOK_EVENT(ATTEMPT_FAILED, .as.attempt_failed = {1, true, 500, "status", 5}));
    webhook(log, delivered, 3, WEBHOOK_EVENT(DELIVERED, .as.delivered = {2, 200}));
    webhook(log, dead, 2, WEBHOOK_EVENT(DEAD, .as.dead = {0, "cancelled"}));
}

void log_add_random(struct log *log, uint64_t seed)
{
    static const struct send_message send = {.recipient = "62", .kind = "text", .text = "Halo"};
    struct testkit_random random = {.state = seed};

    for (int i = 0; i < LOG_RANDOM_MESSAGES; i++) {
        struct uuid id = uuid_v5("random:%s:%d:%d", log->session, (int)seed, i);
        struct message message = {0};

        for (int step = 0; step < 20; step++) {
            struct message_input input = {
                .kind = step == 0
                            ? MESSAGE_IN_ACCEPT
                            : (enum message_input_kind)testkit_below(&random, MESSAGE_INPUT_COUNT),
                .now_ms = log->clock_us / 1000,
                .send = &send,
                .wa_message_id = "3EB0",
                .permanent = testkit_below(&random, 5) == 0};
            struct message_decision made;

            message_decide(&message, &input, &made);
            if (made.has_event) {
                message_evolve(&message, &made.event);
                message_of(log, id.text, message.sequence, made.event);
            }
        }
    }
}

void log_add_rename(struct log *log, int64_t sequence, const char *name)
{
    session(log, sequence, SESSION_EVENT(RENAMED, .as.renamed = {.name = name}));
}

void log_make(struct log *log, const char *of_session, const char *of_blast, int64_t clock_us)
{
    *log = (struct log){.clock_us = clock_us, .began_ms = clock_us / 1000};
    log->session = arena_strdup(&log->arena, of_session);
    log->blast = arena_strdup(&log->arena, of_blast);
    make_session(log);
    make_blast(log);
    make_rest(log);
}

void log_done(struct log *log)
{
    arena_done(&log->arena);
}
