#include "scheduler/account.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "domain/session.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"

struct account *account_find(const struct scheduler *scheduler, const char *uuid)
{
    return map_get(&scheduler->accounts, uuid);
}

struct account *account_get(struct scheduler *scheduler, const char *uuid, int partition)
{
    struct account *account = account_find(scheduler, uuid);

    if (account == NULL) {
        account = mem_new0(sizeof(*account));
        account->scheduler = scheduler;
        (void)snprintf(account->uuid, sizeof(account->uuid), "%s", uuid);
        account->partition = partition;
        map_put(&scheduler->accounts, account->uuid, account);
    }
    return account;
}

static void unready(struct account *account)
{
    struct account_list *list = &account->scheduler->ready_accounts;

    if (!account->is_ready) {
        return;
    }
    account->is_ready = false;
    list->n--;
    DL_DELETE2(list->first, account, ready_prev, ready_next);
}

void account_free(struct account **account)
{
    struct account *gone = *account;

    if (gone == NULL) {
        return;
    }
    assert(gone->runs == NULL);
    unready(gone);
    loop_timer_stop(&gone->timer);
    map_drop(&gone->scheduler->accounts, gone->uuid);
    free(gone);
    *account = NULL;
}

enum blast_account account_standing(const struct account *account)
{
    return account == NULL || account->sequence == 0 ? BLAST_ACCOUNT_MISSING
                                                     : blast_account_of(account->phase);
}

void account_evolve(struct account *account, const struct session_event *event)
{
    struct session session = {
        .phase = account->phase, .linked = account->linked, .sequence = account->sequence};

    session_evolve(&session, event);
    account->phase = session.phase;
    account->linked = session.linked;
    account->sequence = session.sequence;
}

struct pacing_bucket *account_bucket(struct account *account, int64_t now_ms)
{
    const struct scheduler_config *config = account->scheduler->config;

    if (!account->has_bucket) {
        account->has_bucket = true;
        pacing_bucket_init(&account->bucket, (int32_t)config->rate_per_min,
                           (int32_t)config->rate_burst, now_ms);
        for (int64_t i = 1; account->n_open > 0 && i < config->rate_burst; i++) {
            pacing_bucket_take(&account->bucket, now_ms);
        }
    }
    return &account->bucket;
}

void account_ready(struct account *account)
{
    struct account_list *list = &account->scheduler->ready_accounts;

    if (!account->is_ready && account->runs != NULL) {
        account->is_ready = true;
        DL_APPEND2(list->first, account, ready_prev, ready_next);
        list->n++;
        ledger_want_turn(account->scheduler->ledger);
    }
}

struct account *account_ready_take(struct scheduler *scheduler)
{
    struct account *account = scheduler->ready_accounts.first;

    if (account != NULL) {
        unready(account);
    }
    return account;
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct account *account = ctx;

    (void)timer;
    account->wake_ms = 0;
    account_ready(account);
}

void account_wake(struct account *account, int64_t at_ms)
{
    int64_t delay_ms = at_ms - clock_wall_ms();

    if (account->wake_ms != 0 && account->wake_ms <= at_ms) {
        return;
    }
    delay_ms = delay_ms < 1 ? 1 : delay_ms;
    account->wake_ms = at_ms;
    loop_timer_start(account->scheduler->loop, &account->timer,
                     delay_ms < SCHEDULER_TIMER_MAX_MS ? delay_ms : SCHEDULER_TIMER_MAX_MS,
                     on_timer, account);
}
