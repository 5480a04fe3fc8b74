#include "webhooks/turn.h"

#include "base/err.h"
#include "base/log.h"
#include "webhooks/delivery.h"
#include "webhooks/early.h"
#include "webhooks/endpoint.h"
#include "webhooks/intake.h"
#include "webhooks/pump.h"
#include "webhooks/store.h"
#include "webhooks/webhooks.h"

static void on_taken(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger;
    log_info("partition taken", LOG_INT("partition", partition));
    pump_partition(ctx, partition);
}

static void on_return(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger;
    pump_partition(ctx, partition);
}

static void on_revoke(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger;
    pump_stop(ctx, partition);
}

static void on_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    struct webhooks *webhooks = ctx;

    (void)ledger;
    (void)why;
    webhooks->told_until_us[partition] = 0;
    endpoint_drop(webhooks, partition);
}

static void go_on(struct webhooks *webhooks, struct ledger_tx *tx)
{
    struct endpoint *endpoint = webhooks->asking;

    webhooks->asking = NULL; /* who has more to do asks again */
    while (endpoint != NULL) {
        struct endpoint *next = endpoint->next_asking;

        endpoint->is_asking = false;
        if (!ledger_is_live(webhooks->ledger, endpoint->partition)) {
            endpoint_keep_asking(endpoint);
        } else if (delivery_go_on(tx, endpoint)) {
            endpoint_ask(endpoint);
        }
        endpoint = next;
    }
}

static void on_turn(struct ledger_tx *tx, void *ctx)
{
    struct webhooks *webhooks = ctx;
    const struct ledger_record *record;

    early_look_again(webhooks);
    webhooks->asked = 0;
    go_on(webhooks, tx); /* first: what is done makes room in the lines */
    while (webhooks->asked < WEBHOOKS_ASKED_MAX && (record = ledger_next(tx)) != NULL) {
        intake_record(webhooks, tx, record);
    }
    if (webhooks->asked >= WEBHOOKS_ASKED_MAX) {
        ledger_want_turn(webhooks->ledger); /* for the records that are left */
    }
}

static struct endpoint *take_touched(struct webhooks *webhooks)
{
    struct endpoint *touched = webhooks->touched;

    webhooks->touched = NULL;
    return touched;
}

static void on_committed(struct ledger_tx *tx, void *ctx)
{
    struct endpoint *endpoint = take_touched(ctx);

    (void)tx;
    while (endpoint != NULL) {
        struct endpoint *next = endpoint->next_touched;

        endpoint->is_touched = false;
        endpoint->is_exhausted = false;
        for (struct entry *entry = endpoint->first; entry != NULL; entry = entry->next) {
            entry->is_committed = true;
        }
        pump_one(endpoint);
        endpoint = next;
    }
}

static void on_failed(struct ledger_tx *tx, const struct err *err, void *ctx)
{
    struct webhooks *webhooks = ctx;

    (void)tx;
    log_warn("turn failed", LOG_STR("why", err->text));
    intake_be_careful(webhooks);
    for (struct endpoint *e = take_touched(webhooks); e != NULL; e = e->next_touched) {
        e->is_touched = false; /* they are dropped next, with their partitions */
    }
}

void turn_handlers(struct webhooks *webhooks, struct ledger_handlers *out)
{
    *out = (struct ledger_handlers){
        .loads = store_loads,
        .n_loads = STORE_LOADS,
        .on_taken = on_taken,
        .on_return = on_return,
        .on_revoke = on_revoke,
        .on_reset = on_reset,
        .on_turn = on_turn,
        .on_committed = on_committed,
        .on_failed = on_failed,
        .ctx = webhooks,
    };
}
