#include "webhooks/intake.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "record/record_sane.h"
#include "webhooks/delivery.h"
#include "webhooks/early.h"
#include "webhooks/endpoint.h"
#include "webhooks/payload.h"
#include "webhooks/store.h"
#include "webhooks/webhooks.h"

/* ---- sessions ---- */

static void set_url(struct endpoint *endpoint, const char *url)
{
    endpoint_set_text(&endpoint->url, url);
    endpoint->is_slow = false; /* who is there now may be another */
    if (url[0] == '\0') {
        endpoint->cancel_below = endpoint->next_number;
        endpoint_ask(endpoint);
    }
}

static void set_subscription(struct endpoint *endpoint, const struct record_strings *names)
{
    uint32_t set = event_names_set(names);

    if (set != 0) {
        endpoint->subscribe = set;
    }
}

static void create(struct endpoint *endpoint, const struct session_created *from)
{
    endpoint->is_known = true;
    endpoint_set_text(&endpoint->url, from->webhook_url);
    endpoint_set_secret(endpoint, from->webhook_secret_enc);
    endpoint->subscribe = event_names_set(&from->subscribe);
    endpoint_ask(endpoint); /* what came early */
}

/* Takes over what the event says of the endpoint; false when it says nothing of it. */
static bool apply(struct endpoint *endpoint, const struct session_event *event)
{
    switch (event->kind) {
    case SESSION_EVENT_CREATED:
        create(endpoint, &event->as.created);
        return true;
    case SESSION_EVENT_WEBHOOK_SET:
        if (event->as.webhook_set.secret_enc.n > 0) {
            endpoint_set_secret(endpoint, event->as.webhook_set.secret_enc);
        }
        set_url(endpoint, event->as.webhook_set.webhook_url);
        return true;
    case SESSION_EVENT_SUBSCRIPTION_SET:
        set_subscription(endpoint, &event->as.subscription_set.subscribe);
        return true;
    case SESSION_EVENT_CONNECT_REQUESTED:
        set_subscription(endpoint, &event->as.connect_requested.subscribe);
        return event->as.connect_requested.subscribe.n > 0;
    case SESSION_EVENT_PAIRED:
        endpoint_set_text(&endpoint->jid, event->as.paired.jid);
        return true;
    case SESSION_EVENT_LOGGED_IN:
        endpoint_set_text(&endpoint->jid, event->as.logged_in.jid);
        return true;
    case SESSION_EVENT_DELETED:
        endpoint->is_deleted = true;
        endpoint_set_secret(endpoint, (struct bytes){0});
        set_url(endpoint, "");
        return true;
    default:
        return false;
    }
}

static void take_session(struct webhooks *webhooks, struct ledger_tx *tx,
                         const struct ledger_record *record, bool has_delivery)
{
    const struct session_event *event = record->data;
    struct endpoint *endpoint = endpoint_get(webhooks, event->aggregate_id, record->partition);
    struct payload payload;

    if (event->occurred_at > webhooks->told_until_us[record->partition]) {
        webhooks->told_until_us[record->partition] = event->occurred_at;
    }
    endpoint_set_text(&endpoint->session_key, event->session_key);
    endpoint->user_id = event->user_id;
    if (apply(endpoint, event)) {
        endpoint_touch(endpoint);
        store_endpoint(tx, endpoint);
    }
    if (!has_delivery && payload_of_session(event, ledger_tx_arena(tx), &payload)) {
        struct delivery_source source = {event->event_id, event->occurred_at, &payload};

        delivery_offer(tx, endpoint, &source);
    }
}

/* ---- messages ---- */

static bool wants_receipts(const struct endpoint *endpoint)
{
    return endpoint != NULL && delivery_is_wanted(endpoint, EVENT_NAME_READ_RECEIPT);
}

struct receipt { /* of one ledger_ask; in the turn's memory */
    struct webhooks *webhooks;
    struct ledger_tx *tx;
    const struct message_event *event;
};

static void on_sent(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct receipt *receipt = ctx;
    const struct message_event *event = receipt->event;
    struct endpoint *endpoint = endpoint_find(receipt->webhooks, event->session_uuid);
    struct payload payload;
    struct payload_receipt about;
    struct delivery_source source = {event->event_id, event->occurred_at, &payload};

    (void)err; /* it only runs when the statement did well */
    ledger_redeem(receipt->tx, DELIVERY_ROOM, 0);
    if (endpoint == NULL || pg_rows_n(rows) == 0) {
        return;
    }
    about =
        (struct payload_receipt){pg_get_text(rows, 0, 0), pg_get_text(rows, 0, 1), endpoint->jid};
    payload_of_receipt(event, &about, ledger_tx_arena(receipt->tx), &payload);
    delivery_offer(receipt->tx, endpoint, &source);
}

static void ask_sent(struct webhooks *webhooks, struct ledger_tx *tx,
                     const struct message_event *event)
{
    struct receipt *receipt = arena_new0(ledger_tx_arena(tx), sizeof(*receipt));
    struct pg_stmt *stmt =
        pg_stmt_new("SELECT wa_message_id, recipient FROM sent WHERE message_id = $1");

    *receipt = (struct receipt){webhooks, tx, event};
    pg_add_uuid(stmt, event->aggregate_id);
    webhooks->asked++;
    ledger_promise(tx, DELIVERY_ROOM, 0);
    ledger_ask(tx, stmt, on_sent, receipt);
}

static void take_message(struct webhooks *webhooks, struct ledger_tx *tx,
                         const struct ledger_record *record)
{
    const struct message_event *event = record->data;
    struct endpoint *endpoint = endpoint_find(webhooks, event->session_uuid);
    struct payload payload;

    if (event->kind == MESSAGE_EVENT_DISPATCHED && wants_receipts(endpoint)) {
        store_sent(tx, record->partition, event);
    } else if ((event->kind == MESSAGE_EVENT_DELIVERED || event->kind == MESSAGE_EVENT_READ) &&
               wants_receipts(endpoint)) {
        ask_sent(webhooks, tx, event);
    } else if (payload_of_message(event, ledger_tx_arena(tx), &payload)) {
        struct delivery_source source = {event->event_id, event->occurred_at, &payload};

        endpoint = endpoint_get(webhooks, event->session_uuid, record->partition);
        if (!endpoint->is_known && endpoint->waiting == 0) {
            endpoint_set_text(&endpoint->session_key, event->session_key);
            endpoint->user_id = event->user_id;
            store_endpoint(tx, endpoint); /* by which its line is found at a take-over */
        }
        delivery_offer(tx, endpoint, &source);
    }
}

static void take(struct webhooks *webhooks, struct ledger_tx *tx,
                 const struct ledger_record *record, bool has_delivery)
{
    if (record->topic == TOPIC_SESSION_EVENTS) {
        take_session(webhooks, tx, record, has_delivery);
    } else if (!has_delivery) {
        take_message(webhooks, tx, record);
    }
}

/* ---- with care ----
 *
 * An event that comes again while its delivery is in the table, which no writer of ours does, fails
 * its turn. So after each turn that failed, records are taken one a turn for a while, and for each
 * it is looked up whether there is a delivery of it. */

struct looking { /* of one ledger_ask; in the turn's memory */
    struct webhooks *webhooks;
    struct ledger_tx *tx;
    const struct ledger_record *record;
};

static const char *event_id_of(const struct ledger_record *record)
{
    return record->topic == TOPIC_SESSION_EVENTS
               ? ((const struct session_event *)record->data)->event_id
               : ((const struct message_event *)record->data)->event_id;
}

static void on_looked_up(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct looking *looking = ctx;
    const struct ledger_record *record = looking->record;
    bool has_delivery = pg_rows_n(rows) > 0;

    (void)err; /* it only runs when the statement did well */
    if (has_delivery) {
        log_warn("an event came again, its delivery is there", LOG_STR("id", event_id_of(record)),
                 LOG_INT("partition", record->partition), LOG_INT("offset", record->offset));
    }
    take(looking->webhooks, looking->tx, record, has_delivery);
}

static void look_up(struct webhooks *webhooks, struct ledger_tx *tx,
                    const struct ledger_record *record)
{
    struct looking *looking = arena_new0(ledger_tx_arena(tx), sizeof(*looking));
    struct pg_stmt *stmt = pg_stmt_new("SELECT 1 FROM delivery WHERE delivery_id = $1");

    *looking = (struct looking){webhooks, tx, record};
    pg_add_uuid(stmt, delivery_id_of(event_id_of(record)).text);
    webhooks->careful--;
    webhooks->asked = WEBHOOKS_ASKED_MAX; /* no other record in this turn */
    ledger_ask(tx, stmt, on_looked_up, looking);
}

void intake_be_careful(struct webhooks *webhooks)
{
    webhooks->careful = LEDGER_RECORDS_MAX; /* what failed is among them */
}

/* ---- records ---- */

/* -ERR_INVALID: it makes no sense; says why. What it says goes into columns as it is, and its key
 * into events, which have a largest size. */
static int check(const struct ledger_record *record, struct err *err)
{
    const struct session_event *session = record->data;
    const struct message_event *message = record->data;
    bool is_session = record->topic == TOPIC_SESSION_EVENTS;
    int rc;

    if (!ledger_record_is_of(record, is_session ? session->aggregate_id : message->session_uuid)) {
        return err_set(err, ERR_INVALID, "the session is not a uuid, or not of this partition");
    }
    rc = record_id_is_sane("aggregate_id",
                           is_session ? session->aggregate_id : message->aggregate_id, err);
    if (rc == 0) {
        rc = record_id_is_sane("event_id", event_id_of(record), err);
    }
    if (rc == 0) {
        rc = record_key_is_sane("session_key",
                                is_session ? session->session_key : message->session_key, err);
    }
    return rc == 0 ? record_is_sane(topics[record->topic].type, record->data, err) : rc;
}

void intake_record(struct webhooks *webhooks, struct ledger_tx *tx,
                   const struct ledger_record *record)
{
    struct err err;

    if (check(record, &err) < 0) {
        ledger_dead(tx, record, err.text);
    } else if (webhooks->careful > 0) {
        look_up(webhooks, tx, record);
    } else {
        take(webhooks, tx, record, false);
    }
}
