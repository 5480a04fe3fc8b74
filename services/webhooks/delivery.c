#include "webhooks/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "webhooks/early.h"
#include "webhooks/endpoint.h"
#include "webhooks/payload.h"
#include "webhooks/poster.h"
#include "webhooks/store.h"
#include "webhooks/webhooks.h"

/* Decide, stage the event, fold it. */
static void decide(struct ledger_tx *tx, const struct endpoint *endpoint, struct entry *entry,
                   struct webhook_input *input)
{
    struct webhook_decision decision;
    struct webhook_event *event = &decision.event;
    struct err err;

    input->now_ms = clock_wall_ms();
    crypto_random(&input->random, sizeof(input->random));
    webhook_decide(&entry->state, input, &decision);
    if (!decision.has_event) {
        return;
    }
    event->aggregate_id = entry->id.text;
    event->causation_id = entry->source_event_id;
    event->actor_kind = "system";
    event->session_uuid = endpoint->uuid.text;
    event->session_key = endpoint->session_key;
    event->user_id = endpoint->user_id;
    event->source_event_id = entry->source_event_id;
    if (ledger_emit(tx, endpoint->partition, TOPIC_WEBHOOK_EVENTS, endpoint->uuid.text, event,
                    &err) < 0) { /* room was looked at before, and texts came through a codec */
        log_error("event cannot be written", LOG_STR("session", endpoint->uuid.text),
                  LOG_STR("why", err.text));
        abort();
    }
    webhook_evolve(&entry->state, event);
}

/* ---- getting in line ---- */

bool delivery_is_wanted(const struct endpoint *endpoint, enum event_name name)
{
    return endpoint->is_known && !endpoint->is_deleted && endpoint->url[0] != '\0' &&
           event_names_want(endpoint->subscribe, name);
}

struct uuid delivery_id_of(const char *event_id)
{
    return uuid_v5("webhook:%s", event_id);
}

static struct entry *entry_of(const struct delivery_source *source)
{
    struct entry *entry = mem_new0(sizeof(*entry));

    entry->id = delivery_id_of(source->event_id);
    entry->happened_us = source->happened_us;
    entry->source_event_id = mem_strdup(source->event_id);
    entry->event = mem_strdup(event_name_text(source->payload->name));
    entry->body = mem_strdup(source->payload->body);
    return entry;
}

static void match(struct ledger_tx *tx, const struct endpoint *endpoint, struct entry *entry)
{
    struct webhook_input input = {.kind = WEBHOOK_IN_MATCHED, .event = entry->event};

    decide(tx, endpoint, entry, &input);
}

/* More wait than may: the delivery's end is told at once, and its body kept nowhere. Of an EARLY
 * one too, though perhaps nobody wants it: later there will be nothing left to tell it by. Takes
 * @entry. */
static void drop(struct ledger_tx *tx, struct endpoint *endpoint, struct entry *entry)
{
    struct webhook_input input = {
        .kind = WEBHOOK_IN_DROPPED,
        .error = entry->is_early ? "too many wait; whether it is wanted was not known yet"
                                 : "too many wait",
    };

    match(tx, endpoint, entry);
    decide(tx, endpoint, entry, &input);
    metric_add(endpoint->webhooks->metrics.dropped, 1);
    if (!endpoint->is_dropping) { /* once, until the line is half empty */
        endpoint->is_dropping = true;
        log_warn("too many deliveries wait, more are dropped",
                 LOG_STR("session", endpoint->uuid.text),
                 LOG_INT("waiting", (int64_t)endpoint->waiting));
    }
    entry_free(entry);
}

/* Takes @entry. */
static void stand_in_line(struct ledger_tx *tx, struct endpoint *endpoint, struct entry *entry)
{
    bool is_in_memory = endpoint_has_whole_line(endpoint) && endpoint->n < WEBHOOKS_LINE_MAX;

    entry->number = endpoint->next_number++;
    endpoint_set_waiting(endpoint, endpoint->waiting + 1);
    store_entry(tx, endpoint, entry);
    endpoint_touch(endpoint);
    if (is_in_memory) {
        endpoint_append(endpoint, entry);
    } else {
        entry_free(entry);
    }
}

void delivery_offer(struct ledger_tx *tx, struct endpoint *endpoint,
                    const struct delivery_source *source)
{
    struct webhooks *webhooks = endpoint->webhooks;
    bool is_early =
        !endpoint->is_known || early_is_behind(webhooks, endpoint->partition, source->happened_us);
    struct entry *entry;

    if (endpoint->is_deleted ||
        (!is_early && !delivery_is_wanted(endpoint, source->payload->name))) {
        return;
    }
    entry = entry_of(source);
    entry->is_early = is_early;
    if (endpoint->waiting >= (size_t)webhooks->config.queue_max) {
        drop(tx, endpoint, entry);
        return;
    }
    if (!is_early) {
        match(tx, endpoint, entry);
    }
    stand_in_line(tx, endpoint, entry);
}

/* ---- the head of the line ---- */

static void leave_line(struct endpoint *endpoint)
{
    size_t half = (size_t)endpoint->webhooks->config.queue_max / 2;

    endpoint_set_waiting(endpoint, endpoint->waiting - 1);
    endpoint->is_dropping = endpoint->is_dropping && endpoint->waiting > half;
    endpoint_shift(endpoint);
}

static enum event_name name_of(const struct entry *entry)
{
    for (unsigned name = 0; name < EVENT_NAME_COUNT; name++) {
        if (strcmp(event_name_text((enum event_name)name), entry->event) == 0) {
            return (enum event_name)name;
        }
    }
    return EVENT_NAME_ALL; /* of a newer build: nobody subscribes to it by that name */
}

static void cancel(struct ledger_tx *tx, struct endpoint *endpoint)
{
    struct webhook_input input = {.kind = WEBHOOK_IN_CANCELLED};

    post_cancel(&endpoint->post);
    loop_timer_stop(&endpoint->timer);
    endpoint->has_result = false;
    if (!endpoint->first->is_early) {
        decide(tx, endpoint, endpoint->first, &input);
        metric_add(endpoint->webhooks->metrics.cancelled, 1);
    }
    store_done(tx, endpoint, endpoint->first);
    leave_line(endpoint);
}

static void settle(struct ledger_tx *tx, struct endpoint *endpoint)
{
    struct entry *entry = endpoint->first;
    const char *error = endpoint->error[0] == '\0' ? NULL : endpoint->error;
    struct webhook_input input = {
        .kind = endpoint->status != 0 ? WEBHOOK_IN_ANSWERED : WEBHOOK_IN_NO_ANSWER,
        .http_status = endpoint->status,
        .error = error,
        .retry_after_s = endpoint->retry_after_s,
    };

    endpoint->has_result = false;
    decide(tx, endpoint, entry, &input);
    if (entry->state.state == WEBHOOK_DELIVERED) {
        store_done(tx, endpoint, entry);
        leave_line(endpoint);
        return;
    }
    store_state(tx, endpoint, entry, error);
    if (entry->state.state == WEBHOOK_DEAD) {
        metric_add(endpoint->webhooks->metrics.given_up, 1);
        leave_line(endpoint);
    }
}

static void find_out(struct ledger_tx *tx, struct endpoint *endpoint)
{
    struct entry *entry = endpoint->first;

    if (!delivery_is_wanted(endpoint, name_of(entry))) {
        store_done(tx, endpoint, entry);
        leave_line(endpoint);
        return;
    }
    entry->is_early = false;
    match(tx, endpoint, entry);
    store_state(tx, endpoint, entry, NULL);
}

/* One step for the first entry; false when there is none to make. */
static bool step(struct ledger_tx *tx, struct endpoint *endpoint)
{
    const struct entry *entry = endpoint->first;

    if (entry == NULL || !entry->is_committed) {
        return false;
    }
    if (entry->number < endpoint->cancel_below) {
        cancel(tx, endpoint);
    } else if (entry->is_early && endpoint->is_known &&
               !early_is_behind(endpoint->webhooks, endpoint->partition, entry->happened_us)) {
        find_out(tx, endpoint);
    } else if (endpoint->has_result) {
        settle(tx, endpoint);
    } else {
        return false;
    }
    endpoint_touch(endpoint);
    return true;
}

bool delivery_go_on(struct ledger_tx *tx, struct endpoint *endpoint)
{
    while (ledger_room(tx) >= DELIVERY_ROOM) {
        if (!step(tx, endpoint)) {
            return false;
        }
    }
    return true;
}
