#include "connector/farewell.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/link.h"
#include "loop/loop_backoff.h"
#include "pg/pg.h"
#include "wa/wa_client.h"
#include "ws/ws.h"

#define DAY_MS INT64_C(86400000)

struct farewell {
    struct farewell *prev; /* of all in memory (utlist) */
    struct farewell *next;
    struct connector *connector;
    char uuid[UUID_TEXT_MAX];
    char device[WA_JID_TEXT_MAX];
    int partition;
    struct credentials *credentials;
    int64_t asked_ms; /* wall clock */
    struct loop_backoff backoff;
    struct loop_timer timer; /* the next try, or the end of this one */
    struct loop_timer deadline;
    struct ws *ws; /* NULL: no try is under way */
    struct wa_client *client;
};

/* ---- the end of a try, and of all ---- */

static void on_timer(struct loop_timer *timer, void *ctx);

static void hang_up(struct farewell *farewell)
{
    loop_timer_stop(&farewell->timer);
    loop_timer_stop(&farewell->deadline);
    if (farewell->client != NULL) {
        farewell->connector->n_parting--;
        wa_client_free(&farewell->client);
    }
    ws_close(&farewell->ws, WS_CODE_NORMAL);
}

static void look_again(struct farewell *farewell, int64_t wait_ms)
{
    loop_timer_start(farewell->connector->loop, &farewell->timer, wait_ms, on_timer, farewell);
}

static void try_again(struct farewell *farewell, const char *why)
{
    int64_t wait_ms = loop_backoff_next_ms(&farewell->backoff, randombytes_random());

    log_info("device not unlinked yet", LOG_STR("session", farewell->uuid), LOG_STR("why", why),
             LOG_INT("again_ms", wait_ms));
    hang_up(farewell);
    look_again(farewell, wait_ms);
}

static void forget(struct farewell *farewell)
{
    hang_up(farewell);
    DL_DELETE(farewell->connector->farewells, farewell);
    credentials_free(&farewell->credentials);
    loop_free_later(farewell->connector->loop, farewell); /* its client may be on the stack */
}

static void on_deleted(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    (void)ctx;
    if (rows == NULL) { /* after the next start WhatsApp will say that it knows no such device */
        log_warn("what was unlinked is not forgotten", LOG_STR("why", err->text));
    }
}

/* Nothing is left to be done. The row is no state that turns decide on, so none deletes it. */
static void delete_row(struct connector *connector, const char *uuid, const char *device)
{
    struct pg_stmt *stmt =
        pg_stmt_new("DELETE FROM to_unlink WHERE session_uuid = $1::uuid AND device = $2");

    pg_add_uuid(stmt, uuid);
    pg_add_text(stmt, device);
    pg_query(ledger_pg(connector->ledger), stmt, on_deleted, NULL);
}

static bool is_too_old(int64_t asked_ms)
{
    return clock_wall_ms() - asked_ms > FAREWELL_DAYS * DAY_MS;
}

static void give_up(struct connector *connector, const char *uuid, const char *device)
{
    log_warn("device stays linked", LOG_STR("session", uuid));
    delete_row(connector, uuid, device);
}

static void unlinked(struct farewell *farewell)
{
    log_info("device unlinked", LOG_STR("session", farewell->uuid));
    delete_row(farewell->connector, farewell->uuid, farewell->device);
    forget(farewell);
}

/* ---- a try ---- */

static int64_t now_ms(const struct farewell *farewell)
{
    return loop_now_ms(farewell->connector->loop);
}

static void arm(struct farewell *farewell);

static void on_deadline(struct loop_timer *timer, void *ctx)
{
    struct farewell *farewell = ctx;

    (void)timer;
    wa_client_tick(farewell->client, now_ms(farewell));
    arm(farewell);
}

static void arm(struct farewell *farewell)
{
    int64_t deadline = farewell->client == NULL ? INT64_MAX : wa_client_deadline(farewell->client);

    if (deadline != INT64_MAX) {
        int64_t wait_ms = deadline - now_ms(farewell);

        loop_timer_start(farewell->connector->loop, &farewell->deadline, wait_ms > 0 ? wait_ms : 0,
                         on_deadline, farewell);
    }
}

static void on_answer(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct err err = {0};

    (void)reply;
    if (rc == 0) {
        unlinked(ctx);
    } else if (rc != -ERR_CLOSED) { /* else the end of the connection says the rest */
        (void)err_set(&err, ERR_REFUSED, "WhatsApp refused with code %d", code);
        try_again(ctx, err.text);
    }
}

static void ask(struct farewell *farewell)
{
    struct arena arena = {0};
    struct wa_node *iq = link_unlink_iq(&arena, &farewell->credentials->device);
    struct err err = {0};

    if (wa_client_request(farewell->client, iq, now_ms(farewell), on_answer, farewell, &err) < 0) {
        try_again(farewell, err.text);
    }
    arena_done(&arena);
}

static void on_send(void *ctx, struct bytes message)
{
    struct farewell *farewell = ctx;

    if (farewell->ws != NULL) {
        (void)(ws_send(farewell->ws, message, NULL) < 0); /* the socket says it too */
    }
}

static void on_event(void *ctx, const struct wa_event *event)
{
    struct farewell *farewell = ctx;

    if (event->kind == WA_EVENT_READY) {
        ask(farewell);
    } else if (event->kind == WA_EVENT_PREKEYS_WANTED) {
        wa_client_proceed(farewell->client, now_ms(farewell)); /* nobody will use any */
    } else if (event->kind == WA_EVENT_ENDED && event->ended.end == WA_END_LOGGED_OUT) {
        unlinked(farewell);
    } else if (event->kind == WA_EVENT_ENDED) {
        try_again(farewell, wa_end_text(event->ended.end));
    }
}

static void on_open(struct ws *ws, void *ctx)
{
    struct farewell *farewell = ctx;

    (void)ws;
    wa_client_open(farewell->client, now_ms(farewell), clock_wall_ms());
    arm(farewell);
}

static void on_message(struct ws *ws, struct bytes message, void *ctx)
{
    struct farewell *farewell = ctx;

    (void)ws;
    wa_client_feed(farewell->client, message, now_ms(farewell));
    arm(farewell);
}

static void on_closed(struct ws *ws, const struct err *why, void *ctx)
{
    (void)ws;
    try_again(ctx, why->text);
}

static const struct wa_client_ops client_ops = {on_send, on_event};
static const struct ws_handlers ws_handlers = {on_open, on_message, on_closed};

static void begin(struct farewell *farewell)
{
    struct connector *connector = farewell->connector;
    struct wa_client_config config;
    struct err err = {0};

    link_client_config(connector, &farewell->credentials->device, &config);
    config.stay_passive = true;
    farewell->client = wa_client_new(&config, &client_ops, farewell);
    connector->n_parting++;
    look_again(farewell, FAREWELL_TRY_MS);
    if (link_dial(connector, &ws_handlers, farewell, &farewell->ws, &err) < 0) {
        try_again(farewell, err.text);
    }
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct farewell *farewell = ctx;
    struct connector *connector = farewell->connector;

    (void)timer;
    if (farewell->client != NULL) {
        try_again(farewell, "WhatsApp did not answer");
    } else if (is_too_old(farewell->asked_ms)) {
        give_up(connector, farewell->uuid, farewell->device);
        forget(farewell);
    } else if (connector->draining || connector->n_parting >= FAREWELL_AT_ONCE ||
               !ledger_is_live(connector->ledger, farewell->partition)) {
        look_again(farewell, FAREWELL_LOOK_MS);
    } else {
        begin(farewell);
    }
}

/* ---- which there are ---- */

static void add(struct connector *connector, int partition, const char *uuid,
                struct credentials *credentials, int64_t asked_ms)
{
    struct farewell *farewell = mem_new0(sizeof(*farewell));

    farewell->connector = connector;
    farewell->partition = partition;
    memcpy(farewell->uuid, uuid, UUID_TEXT_MAX);
    (void)wa_jid_format(&credentials->device.pn, farewell->device);
    farewell->credentials = credentials;
    farewell->asked_ms = asked_ms;
    farewell->backoff =
        (struct loop_backoff){FAREWELL_FIRST_MS, FAREWELL_MOST_MS, .jitter_percent = 20};
    DL_APPEND(connector->farewells, farewell);
    look_again(farewell, 0);
}

void farewell_add(struct account *account)
{
    struct credentials *credentials = account->credentials;

    if (credentials != NULL) {
        account->credentials = NULL;
        add(account->connector, account->partition, account->state.uuid, credentials,
            clock_wall_ms());
    }
}

void farewell_load(struct connector *connector, int partition, const struct pg_rows *rows,
                   size_t row)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    int64_t asked_ms = pg_get_time_us(rows, row, 3) / 1000;
    struct credentials *credentials = NULL;
    struct err err = {0};

    if (is_too_old(asked_ms)) {
        give_up(connector, uuid.text, pg_get_text(rows, row, 1));
    } else if (credentials_open(connector, uuid.text, pg_get_bytes(rows, row, 2), &credentials,
                                &err) < 0) {
        log_error("device cannot be unlinked", LOG_STR("why", err.text));
    } else {
        add(connector, partition, uuid.text, credentials, asked_ms);
    }
}

void farewell_pause(struct connector *connector, int partition)
{
    struct farewell *farewell;

    DL_FOREACH (connector->farewells, farewell) {
        if (farewell->partition == partition && farewell->client != NULL) {
            hang_up(farewell);
            look_again(farewell, FAREWELL_LOOK_MS);
        }
    }
}

void farewell_drop(struct connector *connector, int partition)
{
    struct farewell *farewell = NULL;
    struct farewell *next = NULL;

    DL_FOREACH_SAFE (connector->farewells, farewell, next) {
        if (farewell->partition == partition) {
            forget(farewell);
        }
    }
}
