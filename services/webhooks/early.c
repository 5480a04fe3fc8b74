#include "webhooks/early.h"

#include "webhooks/endpoint.h"
#include "webhooks/webhooks.h"

bool early_is_behind(struct webhooks *webhooks, int partition, int64_t happened_us)
{
    struct ledger_metrics metrics;

    if (webhooks->told_until_us[partition] >= happened_us) {
        return false;
    }
    if (!webhooks->is_lag_known) {
        ledger_metrics(webhooks->ledger, &metrics); /* its first input is the sessions' */
        webhooks->is_caught_up =
            metrics.inputs[0].lag == 0 && metrics.inputs[0].records_waiting == 0;
        webhooks->is_lag_known = true;
    }
    return !webhooks->is_caught_up;
}

void early_look_again(struct webhooks *webhooks)
{
    webhooks->is_lag_known = false;
}

static bool is_decidable(const struct endpoint *endpoint)
{
    return endpoint->first != NULL && endpoint->first->is_early && endpoint->is_known &&
           !early_is_behind(endpoint->webhooks, endpoint->partition, endpoint->first->happened_us);
}

static void on_time(struct loop_timer *timer, void *ctx)
{
    struct webhooks *webhooks = ctx;
    bool is_any = false;

    early_look_again(webhooks);
    for (struct map_entry *at = map_first(&webhooks->endpoints); at != NULL; at = map_next(at)) {
        struct endpoint *endpoint = map_value(at);

        if (is_decidable(endpoint)) {
            endpoint_ask(endpoint);
        } else if (endpoint->first != NULL && endpoint->first->is_early && endpoint->is_known) {
            is_any = true;
        }
    }
    if (is_any) {
        loop_timer_start(webhooks->loop, timer, WEBHOOKS_EARLY_MS, on_time, webhooks);
    }
}

void early_wait(struct endpoint *endpoint)
{
    struct webhooks *webhooks = endpoint->webhooks;

    early_look_again(webhooks);
    if (is_decidable(endpoint)) {
        endpoint_ask(endpoint);
    } else if (endpoint->is_known && !loop_timer_is_running(&webhooks->early)) {
        loop_timer_start(webhooks->loop, &webhooks->early, WEBHOOKS_EARLY_MS, on_time, webhooks);
    }
}
