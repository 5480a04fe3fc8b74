#include "webhooks/pump.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "webhooks/early.h"
#include "webhooks/endpoint.h"
#include "webhooks/poster.h"
#include "webhooks/sign.h"
#include "webhooks/store.h"
#include "webhooks/webhooks.h"

enum { WAIT_MAX_MS = 660000 }; /* the longest delay, whatever the wall clock says */

static void on_due(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    pump_one(ctx);
}

static void on_posted(const struct post_result *result, void *ctx)
{
    struct endpoint *endpoint = ctx;
    struct webhooks *webhooks = endpoint->webhooks;

    endpoint_set_result(endpoint, result);
    metric_observe_us(webhooks->metrics.seconds, result->took_ms * 1000);
    metric_add(result->error == NULL ? webhooks->metrics.delivered : webhooks->metrics.failed, 1);
    endpoint_ask(endpoint);
}

/* The secret in the clear at the end of @out, which is wiped afterwards. */
static int open_secret(const struct endpoint *endpoint, struct buf *out, struct err *err)
{
    if (endpoint->secret.p == NULL) {
        return 0;
    }
    return crypto_unseal(&endpoint->webhooks->keyring, endpoint->uuid.text, WEBHOOK_SECRET_LABEL,
                         endpoint->secret, out, err);
}

static void post(struct endpoint *endpoint)
{
    struct webhooks *webhooks = endpoint->webhooks;
    const struct entry *entry = endpoint->first;
    const char *headers[SIGN_HEADERS_MAX + 1];
    struct arena arena = {0};
    struct buf secret = {0};
    struct err err;
    struct sign_delivery delivery = {
        .id = entry->id.text,
        .attempt = entry->state.attempts + 1,
        .now_s = clock_wall_ms() / 1000,
        .body = {(const uint8_t *)entry->body, strlen(entry->body)},
    };
    struct post_request request = {endpoint->url, headers, delivery.body, endpoint->is_slow};

    if (open_secret(endpoint, &secret, &err) < 0) { /* a mistake of ours: it costs no attempt */
        log_error("webhook secret does not open, WEBHOOK_KEY may be another",
                  LOG_STR("session", endpoint->uuid.text), LOG_STR("why", err.text));
        metric_add(webhooks->metrics.sealed, 1);
        loop_timer_start(webhooks->loop, &endpoint->timer, WEBHOOKS_SEALED_MS, on_due, endpoint);
        return;
    }
    delivery.secret = endpoint->secret.p == NULL ? NULL : buf_text(&secret);
    sign_headers(&delivery, &arena, headers);
    endpoint->post = post_start(webhooks->poster, &request, on_posted, endpoint);
    buf_wipe(&secret);
    arena_done(&arena);
}

static void read_on(struct endpoint *endpoint)
{
    if (endpoint->n < WEBHOOKS_LINE_LOW && endpoint->n < endpoint->waiting &&
        !endpoint->is_reading && !endpoint->is_exhausted) {
        store_read_on(endpoint);
    }
}

/* The first delivery is nothing to post yet: a turn comes first, and is asked for if it may be now.
 */
static bool needs_turn(struct endpoint *endpoint)
{
    const struct entry *entry = endpoint->first;

    if (endpoint->has_result || entry->number < endpoint->cancel_below) {
        endpoint_ask(endpoint);
        return true;
    }
    if (entry->is_early) {
        early_wait(endpoint);
        return true;
    }
    return false;
}

void pump_one(struct endpoint *endpoint)
{
    struct webhooks *webhooks = endpoint->webhooks;
    const struct entry *entry;
    int64_t left;

    if (endpoint->is_touched || !ledger_is_live(webhooks->ledger, endpoint->partition)) {
        return;
    }
    read_on(endpoint);
    entry = endpoint->first;
    if (entry == NULL || !entry->is_committed || needs_turn(endpoint) || endpoint->post != NULL ||
        webhooks->draining) {
        return;
    }
    left = entry->state.state == WEBHOOK_RETRYING ? entry->state.next_at_ms - clock_wall_ms() : 0;
    if (left > 0) {
        loop_timer_start(webhooks->loop, &endpoint->timer, left < WAIT_MAX_MS ? left : WAIT_MAX_MS,
                         on_due, endpoint);
        return;
    }
    if (!loop_timer_is_running(&endpoint->timer)) { /* else a secret does not open */
        post(endpoint);
    }
}

void pump_partition(struct webhooks *webhooks, int partition)
{
    for (struct map_entry *at = map_first(&webhooks->endpoints); at != NULL; at = map_next(at)) {
        struct endpoint *endpoint = map_value(at);

        if (endpoint->partition == partition) {
            pump_one(endpoint);
        }
    }
}

void pump_stop(struct webhooks *webhooks, int partition)
{
    for (struct map_entry *at = map_first(&webhooks->endpoints); at != NULL; at = map_next(at)) {
        struct endpoint *endpoint = map_value(at);

        if (endpoint->partition == partition) {
            post_cancel(&endpoint->post);
            loop_timer_stop(&endpoint->timer);
        }
    }
}
