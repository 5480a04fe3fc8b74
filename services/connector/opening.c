#include "connector/opening.h"

#include <sodium.h>

#include "connector/account.h"
#include "connector/connector.h"
#include "connector/link.h"

static void on_turn_of(struct loop_timer *timer, void *ctx);

/* Time to the next one: even on average, at random else. */
static int64_t pause_ms(const struct connector *connector)
{
    int64_t even = 1000 / connector->config.connects_per_s;

    return even / 2 + (int64_t)randombytes_uniform((uint32_t)even + 1);
}

static void schedule(struct connector *connector)
{
    if (map_first(&connector->openings) != NULL &&
        !loop_timer_is_running(&connector->opening_timer)) {
        loop_timer_start(connector->loop, &connector->opening_timer, pause_ms(connector),
                         on_turn_of, connector);
    }
}

static void on_turn_of(struct loop_timer *timer, void *ctx)
{
    struct connector *connector = ctx;
    struct map_entry *first = map_first(&connector->openings);

    (void)timer;
    if (first != NULL) {
        struct account *account = map_value(first);

        opening_drop(account);
        link_open(account);
    }
    schedule(connector);
}

void opening_add(struct account *account)
{
    if (!account->is_opening) {
        account->is_opening = true;
        map_put(&account->connector->openings, account->state.uuid, account);
        schedule(account->connector);
    }
}

void opening_drop(struct account *account)
{
    if (account->is_opening) {
        account->is_opening = false;
        map_drop(&account->connector->openings, account->state.uuid);
    }
}
