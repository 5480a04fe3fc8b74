#include "webhooks/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "pg/pg.h"
#include "webhooks/endpoint.h"
#include "webhooks/pump.h"
#include "webhooks/webhooks.h"

#define ENTRY_COLUMNS                                                                         \
    "delivery_id, number, source_event_id, event, body, state, attempts, sequence, next_at, " \
    "happened_at"

/* ---- rows into memory ---- */

static int load_endpoint(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                         struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct endpoint *endpoint = endpoint_get(ctx, uuid.text, partition);

    (void)err;
    endpoint->is_known = pg_get_bool(rows, row, 1);
    endpoint->is_deleted = pg_get_bool(rows, row, 2);
    endpoint_set_text(&endpoint->session_key, pg_get_text(rows, row, 3));
    endpoint->user_id = pg_get_int(rows, row, 4);
    endpoint_set_text(&endpoint->url, pg_get_text(rows, row, 5));
    endpoint_set_secret(endpoint, pg_get_bytes(rows, row, 6));
    endpoint->subscribe = (uint32_t)pg_get_int(rows, row, 7);
    endpoint_set_text(&endpoint->jid, pg_get_text(rows, row, 8));
    endpoint->cancel_below = endpoint->next_number = pg_get_int(rows, row, 9);
    return 0;
}

static int load_count(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                      struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    struct endpoint *endpoint = endpoint_get(ctx, uuid.text, partition);

    (void)err;
    endpoint_set_waiting(endpoint, (size_t)pg_get_int(rows, row, 1));
    if (pg_get_int(rows, row, 2) >= endpoint->next_number) {
        endpoint->next_number = pg_get_int(rows, row, 2) + 1;
    }
    return 0;
}

/* Columns from @column on are ENTRY_COLUMNS. */
static void add_entry(struct endpoint *endpoint, const struct pg_rows *rows, size_t row, int column)
{
    struct entry *entry = mem_new0(sizeof(*entry));
    const char *state = pg_get_text(rows, row, column + 5);
    int64_t next_us = pg_get_time_us(rows, row, column + 8);

    entry->id = pg_get_uuid(rows, row, column);
    entry->number = pg_get_int(rows, row, column + 1);
    entry->source_event_id = mem_strdup(pg_get_text(rows, row, column + 2));
    entry->event = mem_strdup(pg_get_text(rows, row, column + 3));
    entry->body = mem_strdup(pg_get_text(rows, row, column + 4));
    entry->is_early = !webhook_state_parse(state, &entry->state.state);
    entry->state.attempts = (int32_t)pg_get_int(rows, row, column + 6);
    entry->state.sequence = pg_get_int(rows, row, column + 7);
    entry->state.next_at_ms = next_us == INT64_MIN ? 0 : next_us / 1000;
    entry->happened_us = pg_get_time_us(rows, row, column + 9);
    entry->is_committed = true;
    endpoint_append(endpoint, entry);
}

static int load_entry(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                      struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);

    (void)err;
    add_entry(endpoint_get(ctx, uuid.text, partition), rows, row, 1);
    return 0;
}

const struct ledger_load store_loads[STORE_LOADS] = {
    {"SELECT session_uuid, is_known, is_deleted, session_key, user_id, url, secret, subscribe, "
     "jid, cancel_below FROM endpoint WHERE partition = $1",
     load_endpoint},
    {"SELECT session_uuid, count(*) FILTER (WHERE state <> 'DEAD'), max(number) FROM delivery "
     "WHERE partition = $1 GROUP BY session_uuid",
     load_count},
    {"SELECT e.session_uuid, d.* FROM endpoint e, LATERAL (SELECT " ENTRY_COLUMNS
     " FROM delivery WHERE session_uuid = e.session_uuid AND state <> 'DEAD' ORDER BY number "
     "LIMIT 16) d WHERE e.partition = $1 ORDER BY e.session_uuid, d.number",
     load_entry},
};

_Static_assert(WEBHOOKS_LINE_MAX == 16, "as the limits of the statements here say");

/* ---- more of a line ---- */

struct reading {
    struct webhooks *webhooks;
    struct uuid session;
    int partition;
    uint64_t generation; /* of the partition; another one: what comes is of the past */
};

static void on_more(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct reading *reading = ctx;
    struct webhooks *webhooks = reading->webhooks;
    struct endpoint *endpoint = endpoint_find(webhooks, reading->session.text);

    if (endpoint != NULL &&
        reading->generation == ledger_generation(webhooks->ledger, reading->partition)) {
        endpoint->is_reading = false;
        if (rows == NULL) { /* the next look at the line asks again */
            log_warn("deliveries cannot be read", LOG_STR("session", endpoint->uuid.text),
                     LOG_STR("why", err->text));
        } else {
            for (size_t row = 0; row < pg_rows_n(rows); row++) {
                add_entry(endpoint, rows, row, 0);
            }
            endpoint->is_exhausted = pg_rows_n(rows) == 0;
            pump_one(endpoint);
        }
    }
    free(reading);
}

void store_read_on(struct endpoint *endpoint)
{
    struct webhooks *webhooks = endpoint->webhooks;
    struct reading *reading = mem_new0(sizeof(*reading));
    struct pg_stmt *stmt = pg_stmt_new("SELECT " ENTRY_COLUMNS
                                       " FROM delivery WHERE session_uuid = $1 AND number > $2 AND "
                                       "state <> 'DEAD' ORDER BY number LIMIT 16");

    *reading =
        (struct reading){.webhooks = webhooks,
                         .session = endpoint->uuid,
                         .partition = endpoint->partition,
                         .generation = ledger_generation(webhooks->ledger, endpoint->partition)};
    pg_add_uuid(stmt, endpoint->uuid.text);
    pg_add_int(stmt, endpoint->last == NULL ? 0 : endpoint->last->number);
    endpoint->is_reading = true;
    pg_query(ledger_pg(webhooks->ledger), stmt, on_more, reading);
}

/* ---- staging ---- */

void store_endpoint(struct ledger_tx *tx, const struct endpoint *endpoint)
{
    struct pg_stmt *stmt =
        ledger_sql(tx, endpoint->partition,
                   "INSERT INTO endpoint (session_uuid, partition, is_known, is_deleted, "
                   "session_key, user_id, url, secret, subscribe, jid, cancel_below) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
                   "ON CONFLICT (session_uuid) DO UPDATE SET is_known = excluded.is_known, "
                   "is_deleted = excluded.is_deleted, session_key = excluded.session_key, "
                   "user_id = excluded.user_id, url = excluded.url, secret = excluded.secret, "
                   "subscribe = excluded.subscribe, jid = excluded.jid, "
                   "cancel_below = excluded.cancel_below, updated_at = now()");

    pg_add_uuid(stmt, endpoint->uuid.text);
    pg_add_int(stmt, endpoint->partition);
    pg_add_bool(stmt, endpoint->is_known);
    pg_add_bool(stmt, endpoint->is_deleted);
    pg_add_text(stmt, endpoint->session_key);
    pg_add_int(stmt, endpoint->user_id);
    pg_add_text(stmt, endpoint->url);
    pg_add_bytes(stmt, endpoint->secret);
    pg_add_int(stmt, endpoint->subscribe);
    pg_add_text(stmt, endpoint->jid);
    pg_add_int(stmt, endpoint->cancel_below);
}

static const char *state_text(const struct entry *entry)
{
    return entry->is_early ? "EARLY" : webhook_state_name(entry->state.state);
}

static int64_t next_at(const struct entry *entry)
{
    return entry->state.state == WEBHOOK_RETRYING ? entry->state.next_at_ms : INT64_MIN;
}

void store_entry(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry)
{
    struct pg_stmt *stmt = ledger_sql(tx, endpoint->partition,
                                      "INSERT INTO delivery (delivery_id, session_uuid, partition, "
                                      "number, source_event_id, event, "
                                      "body, state, attempts, sequence, happened_at) "
                                      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");

    pg_add_uuid(stmt, entry->id.text);
    pg_add_uuid(stmt, endpoint->uuid.text);
    pg_add_int(stmt, endpoint->partition);
    pg_add_int(stmt, entry->number);
    pg_add_text(stmt, entry->source_event_id);
    pg_add_text(stmt, entry->event);
    pg_add_text(stmt, entry->body);
    pg_add_text(stmt, state_text(entry));
    pg_add_int(stmt, entry->state.attempts);
    pg_add_int(stmt, entry->state.sequence);
    pg_add_time_us(stmt, entry->happened_us);
}

void store_state(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry,
                 const char *error)
{
    struct pg_stmt *stmt =
        ledger_sql(tx, endpoint->partition,
                   "UPDATE delivery SET state = $2, attempts = $3, sequence = $4, next_at = $5, "
                   "last_error = $6 WHERE delivery_id = $1");

    pg_add_uuid(stmt, entry->id.text);
    pg_add_text(stmt, state_text(entry));
    pg_add_int(stmt, entry->state.attempts);
    pg_add_int(stmt, entry->state.sequence);
    pg_add_time_ms(stmt, next_at(entry));
    pg_add_text(stmt, error);
    pg_stmt_expect(stmt, 1);
}

void store_done(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry)
{
    struct pg_stmt *stmt =
        ledger_sql(tx, endpoint->partition, "DELETE FROM delivery WHERE delivery_id = $1");

    pg_add_uuid(stmt, entry->id.text);
    pg_stmt_expect(stmt, 1);
}

void store_sent(struct ledger_tx *tx, int partition, const struct message_event *event)
{
    struct pg_stmt *stmt =
        ledger_sql(tx, partition,
                   "INSERT INTO sent (message_id, session_uuid, wa_message_id, recipient) "
                   "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");

    pg_add_uuid(stmt, event->aggregate_id);
    pg_add_uuid(stmt, event->session_uuid);
    pg_add_text(stmt, event->as.dispatched.wa_message_id);
    pg_add_text(stmt, event->as.dispatched.recipient);
}

/* ---- what is too old ---- */

void store_sweep(struct webhooks *webhooks)
{
    static const char *const texts[] = {
        "DELETE FROM delivery WHERE state = 'DEAD' AND created_at < now() - interval '30 days'",
        "DELETE FROM sent WHERE created_at < now() - interval '30 days'",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pg_query(ledger_pg(webhooks->ledger), pg_stmt_new(texts[i]), NULL, NULL);
    }
}
