/* Lines that are full, and what is known of all lines; the ledger and the tables are stand-ins. */
#include "webhooks/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/metric.h"
#include "base/text.h"
#include "base/uuid.h"
#include "crypto/crypto.h"
#include "testkit/testkit.h"
#include "webhooks/endpoint.h"
#include "webhooks/payload.h"
#include "webhooks/poster.h"
#include "webhooks/store.h"
#include "webhooks/webhooks.h"

enum { QUEUE_MAX = 4 };

/* ---- stand-ins ---- */

struct ledger {
    bool is_live[LEDGER_PARTITIONS];
    int64_t lag; /* of the sessions' events */
};

struct ledger_tx {
    struct buf said;  /* events in short: "Queued(Message) Dead(cancelled) " */
    struct buf error; /* of the last failed attempt */
    int rows;         /* in the table */
    int early;        /* of them */
};

int ledger_emit(struct ledger_tx *tx, int partition, enum topic topic, const char *key,
                void *record, struct err *err)
{
    const struct webhook_event *event = record;
    const char *name = record_webhook_event_type.cases[event->kind - 1].event_type;
    bool is_queued = event->kind == WEBHOOK_EVENT_QUEUED;
    bool is_dead = event->kind == WEBHOOK_EVENT_DEAD;

    (void)partition;
    (void)err;
    assert_int_equal(topic, TOPIC_WEBHOOK_EVENTS);
    assert_string_equal(key, event->session_uuid);
    if (event->kind == WEBHOOK_EVENT_ATTEMPT_FAILED) {
        buf_clear(&tx->error);
        buf_add_str(&tx->error, event->as.attempt_failed.error);
        assert_true(text_is_utf8(buf_bytes(&tx->error))); /* else the ledger takes no event */
    }
    buf_addf(&tx->said, "%s(%s) ", name + strlen("Webhook"),
             is_queued ? event->as.queued.event
             : is_dead ? event->as.dead.reason
                       : "");
    return 0;
}

size_t ledger_room(const struct ledger_tx *tx)
{
    (void)tx;
    return LEDGER_EVENTS_MAX;
}

void ledger_want_turn(struct ledger *ledger)
{
    (void)ledger;
}

bool ledger_is_live(const struct ledger *ledger, int partition)
{
    return ledger->is_live[partition];
}

void ledger_metrics(const struct ledger *ledger, struct ledger_metrics *out)
{
    *out = (struct ledger_metrics){0};
    out->inputs[0].lag = ledger->lag;
}

void store_entry(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry)
{
    (void)endpoint;
    tx->rows++;
    tx->early += entry->is_early ? 1 : 0;
}

void store_state(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry,
                 const char *error)
{
    (void)tx;
    (void)endpoint;
    (void)entry;
    (void)error;
}

void store_done(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry)
{
    (void)endpoint;
    (void)entry;
    tx->rows--;
}

/* ---- one session ---- */

struct scene {
    struct ledger ledger;
    struct ledger_tx tx;
    struct webhooks webhooks;
    struct endpoint *endpoint;
    int64_t dropped_before;
    int offered;
};

static struct endpoint *known(struct scene *scene, int partition)
{
    struct uuid uuid = uuid_v5("session %d", partition);
    struct endpoint *endpoint = endpoint_get(&scene->webhooks, uuid.text, partition);

    endpoint->is_known = true;
    endpoint->subscribe = 1U << EVENT_NAME_ALL;
    endpoint_set_text(&endpoint->url, "http://127.0.0.1/");
    return endpoint;
}

static void set_up(struct scene *scene)
{
    *scene = (struct scene){0};
    scene->webhooks.ledger = &scene->ledger;
    scene->webhooks.config.queue_max = QUEUE_MAX;
    scene->webhooks.metrics.dropped = metric_counter("dropped", "");
    scene->webhooks.metrics.cancelled = metric_counter("cancelled", "");
    scene->webhooks.metrics.given_up = metric_counter("given_up", "");
    scene->dropped_before = metric_value(scene->webhooks.metrics.dropped);
    scene->ledger.is_live[0] = true;
    scene->endpoint = known(scene, 0);
}

static void tear_down(struct scene *scene)
{
    for (int partition = 0; partition < LEDGER_PARTITIONS; partition++) {
        endpoint_drop(&scene->webhooks, partition);
        assert_int_equal(scene->webhooks.waiting[partition], 0);
    }
    buf_done(&scene->tx.said);
    buf_done(&scene->tx.error);
}

static void offer(struct scene *scene, struct endpoint *endpoint, int n)
{
    for (int i = 0; i < n; i++) {
        struct payload payload = {EVENT_NAME_MESSAGE, "{}"};
        char id[32];
        struct delivery_source source = {id, 1, &payload};

        (void)snprintf(id, sizeof(id), "event %d", scene->offered++);
        delivery_offer(&scene->tx, endpoint, &source);
    }
}

/* What the events of since the last time say. */
static void expect_said(struct scene *scene, const char *want)
{
    assert_string_equal(buf_text(&scene->tx.said), want);
    buf_clear(&scene->tx.said);
}

static int64_t dropped(const struct scene *scene)
{
    return metric_value(scene->webhooks.metrics.dropped) - scene->dropped_before;
}

static void deliver(struct scene *scene, int n)
{
    for (struct entry *entry = scene->endpoint->first; entry != NULL; entry = entry->next) {
        entry->is_committed = true;
    }
    for (int i = 0; i < n; i++) {
        scene->endpoint->has_result = true;
        scene->endpoint->status = 200;
        assert_false(delivery_go_on(&scene->tx, scene->endpoint));
    }
}

static void what_does_not_fit_ends_with_its_events_and_no_row(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    offer(&scene, scene.endpoint, QUEUE_MAX);
    expect_said(&scene, "Queued(Message) Queued(Message) Queued(Message) Queued(Message) ");
    assert_false(scene.endpoint->is_dropping);
    offer(&scene, scene.endpoint, 2);
    expect_said(&scene, "Queued(Message) Dead(too many wait) Queued(Message) Dead(too many wait) ");
    assert_int_equal(dropped(&scene), 2);
    assert_int_equal(scene.tx.rows, QUEUE_MAX);
    assert_true(scene.endpoint->is_dropping);
    deliver(&scene, 1);
    expect_said(&scene, "Delivered() ");
    assert_true(scene.endpoint->is_dropping);
    offer(&scene, scene.endpoint, 1);
    expect_said(&scene, "Queued(Message) ");
    deliver(&scene, 2);
    assert_false(scene.endpoint->is_dropping); /* the next is logged again */
    assert_int_equal(dropped(&scene), 2);
    tear_down(&scene);
}

static void also_when_nobody_knows_whether_it_is_wanted(void **state)
{
    static const char want[] =
        "Queued(Message) Dead(too many wait; whether it is wanted was not known yet) ";
    struct scene scene;

    (void)state;
    set_up(&scene);
    scene.endpoint->is_known = false;
    offer(&scene, scene.endpoint, QUEUE_MAX);
    expect_said(&scene, "");
    assert_int_equal(scene.tx.early, QUEUE_MAX);
    offer(&scene, scene.endpoint, 1);
    expect_said(&scene, want);
    scene.endpoint->is_known = true;
    scene.ledger.lag = 1; /* what was said of it before may be unread */
    offer(&scene, scene.endpoint, 1);
    expect_said(&scene, want);
    scene.webhooks.told_until_us[0] = 1;
    offer(&scene, scene.endpoint, 1);
    expect_said(&scene, "Queued(Message) Dead(too many wait) ");
    assert_int_equal(dropped(&scene), 3);
    assert_int_equal(scene.tx.rows, QUEUE_MAX);
    endpoint_set_text(&scene.endpoint->url, "");
    offer(&scene, scene.endpoint, 1); /* nobody wants it: there is nothing to tell */
    expect_said(&scene, "");
    tear_down(&scene);
}

static void what_waits_is_counted_where_partitions_are_live(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    scene.ledger.is_live[3] = true;
    offer(&scene, scene.endpoint, QUEUE_MAX + 1);
    offer(&scene, known(&scene, 3), 2);
    endpoint_set_waiting(known(&scene, 4), 100); /* read at a take-over that is not done */
    assert_int_equal(endpoint_waiting(&scene.webhooks), QUEUE_MAX + 2);
    scene.ledger.is_live[4] = true;
    assert_int_equal(endpoint_waiting(&scene.webhooks), QUEUE_MAX + 102);
    endpoint_drop(&scene.webhooks, 4);
    deliver(&scene, 3);
    assert_int_equal(endpoint_waiting(&scene.webhooks), QUEUE_MAX - 1);
    scene.ledger.is_live[3] = false;
    assert_int_equal(endpoint_waiting(&scene.webhooks), QUEUE_MAX - 3);
    tear_down(&scene);
}

/* A first attempt that ended with @error, as libcurl put it. */
static void fail_with(const char *error, const char *want)
{
    struct post_result result = {.error = error};
    struct scene scene;

    set_up(&scene);
    offer(&scene, scene.endpoint, 1);
    scene.endpoint->first->is_committed = true;
    endpoint_set_result(scene.endpoint, &result);
    assert_false(delivery_go_on(&scene.tx, scene.endpoint));
    expect_said(&scene, "Queued(Message) AttemptFailed() ");
    assert_string_equal(buf_text(&scene.tx.error), want);
    tear_down(&scene);
}

static void whatever_a_failure_says_is_text(void **state)
{
    char ascii[ENDPOINT_ERROR_MAX - 1];
    char cut[ENDPOINT_ERROR_MAX + 2];

    (void)state;
    memset(ascii, 'x', sizeof(ascii) - 1);
    ascii[sizeof(ascii) - 1] = '\0';
    (void)snprintf(cut, sizeof(cut), "%s\xe2\x82\xac", ascii); /* the end is within a character */
    fail_with(cut, ascii);
    fail_with("Could not resolve \xff", "Could not resolve ?");
    fail_with("Tidak dapat menemukan \xc3\xa9", "Tidak dapat menemukan \xc3\xa9");
    fail_with(NULL, "no answer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_ends_with_its_events_and_no_row),
        cmocka_unit_test(also_when_nobody_knows_whether_it_is_wanted),
        cmocka_unit_test(what_waits_is_counted_where_partitions_are_live),
        cmocka_unit_test(whatever_a_failure_says_is_text),
    };

    if (crypto_start(NULL) < 0) {
        return EXIT_FAILURE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
