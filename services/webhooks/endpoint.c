#include "webhooks/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "domain/fixed.h"
#include "webhooks/poster.h"
#include "webhooks/webhooks.h"

struct endpoint *endpoint_find(const struct webhooks *webhooks, const char *uuid)
{
    return map_get(&webhooks->endpoints, uuid);
}

struct endpoint *endpoint_get(struct webhooks *webhooks, const char *uuid, int partition)
{
    struct endpoint *endpoint = endpoint_find(webhooks, uuid);

    if (endpoint == NULL) {
        endpoint = mem_new0(sizeof(*endpoint));
        endpoint->webhooks = webhooks;
        memcpy(endpoint->uuid.text, uuid, sizeof(endpoint->uuid.text));
        endpoint->partition = partition;
        endpoint->session_key = mem_strdup("");
        endpoint->url = mem_strdup("");
        endpoint->jid = mem_strdup("");
        endpoint->next_number = endpoint->cancel_below = 1;
        map_put(&webhooks->endpoints, endpoint->uuid.text, endpoint);
    }
    return endpoint;
}

void entry_free(struct entry *entry)
{
    free(entry->source_event_id);
    free(entry->event);
    free(entry->body);
    free(entry);
}

static void endpoint_free(struct endpoint *endpoint)
{
    post_cancel(&endpoint->post);
    loop_timer_stop(&endpoint->timer);
    endpoint_set_waiting(endpoint, 0);
    while (endpoint->first != NULL) {
        endpoint_shift(endpoint);
    }
    free(endpoint->session_key);
    free(endpoint->url);
    free(endpoint->jid);
    endpoint_set_secret(endpoint, (struct bytes){0});
    free(endpoint);
}

/* Takes those of @partition out of one of the two lists. */
static void forget(struct endpoint **list, int partition, size_t next_at)
{
    while (*list != NULL) {
        struct endpoint **next = (struct endpoint **)(void *)((char *)*list + next_at);

        if ((*list)->partition == partition) {
            *list = *next;
        } else {
            list = next;
        }
    }
}

void endpoint_drop(struct webhooks *webhooks, int partition)
{
    struct map_entry *next;

    forget(&webhooks->asking, partition, offsetof(struct endpoint, next_asking));
    forget(&webhooks->touched, partition, offsetof(struct endpoint, next_touched));
    for (struct map_entry *at = map_first(&webhooks->endpoints); at != NULL; at = next) {
        struct endpoint *endpoint = map_value(at);

        next = map_next(at);
        if (endpoint->partition == partition) {
            map_drop(&webhooks->endpoints, endpoint->uuid.text);
            endpoint_free(endpoint);
        }
    }
}

void endpoint_set_text(char **text, const char *value)
{
    char *copy = mem_strdup(value);

    free(*text);
    *text = copy;
}

void endpoint_set_secret(struct endpoint *endpoint, struct bytes sealed)
{
    uint8_t *old;

    memcpy(&old, (const void *)&endpoint->secret.p, sizeof(old));
    endpoint->secret = (struct bytes){mem_dup(sealed.p, sealed.n), sealed.n};
    free(old);
}

void endpoint_set_result(struct endpoint *endpoint, const struct post_result *result)
{
    endpoint->post = NULL;
    endpoint->has_result = true;
    endpoint->is_slow = result->was_slow;
    endpoint->status = result->status;
    endpoint->retry_after_s = result->retry_after_s;
    FIXED_COPY(endpoint->error, result->error); /* nobody says that libcurl's words are UTF-8 */
}

void endpoint_set_waiting(struct endpoint *endpoint, size_t waiting)
{
    size_t *sum = &endpoint->webhooks->waiting[endpoint->partition];

    *sum = *sum - endpoint->waiting + waiting;
    endpoint->waiting = waiting;
}

size_t endpoint_waiting(const struct webhooks *webhooks)
{
    size_t sum = 0;

    for (int partition = 0; partition < LEDGER_PARTITIONS; partition++) {
        sum += ledger_is_live(webhooks->ledger, partition) ? webhooks->waiting[partition] : 0;
    }
    return sum;
}

bool endpoint_has_whole_line(const struct endpoint *endpoint)
{
    return endpoint->n == endpoint->waiting && !endpoint->is_reading;
}

void endpoint_append(struct endpoint *endpoint, struct entry *entry)
{
    if (endpoint->last == NULL) {
        endpoint->first = entry;
    } else {
        endpoint->last->next = entry;
    }
    endpoint->last = entry;
    endpoint->n++;
}

void endpoint_shift(struct endpoint *endpoint)
{
    struct entry *first = endpoint->first;

    endpoint->first = first->next;
    if (endpoint->first == NULL) {
        endpoint->last = NULL;
    }
    endpoint->n--;
    entry_free(first);
}

void endpoint_keep_asking(struct endpoint *endpoint)
{
    if (!endpoint->is_asking) {
        endpoint->is_asking = true;
        endpoint->next_asking = endpoint->webhooks->asking;
        endpoint->webhooks->asking = endpoint;
    }
}

void endpoint_ask(struct endpoint *endpoint)
{
    endpoint_keep_asking(endpoint);
    ledger_want_turn(endpoint->webhooks->ledger);
}

void endpoint_touch(struct endpoint *endpoint)
{
    if (!endpoint->is_touched) {
        endpoint->is_touched = true;
        endpoint->next_touched = endpoint->webhooks->touched;
        endpoint->webhooks->touched = endpoint;
    }
}
