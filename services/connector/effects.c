#include "connector/effects.h"

#include <stdlib.h>

#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/farewell.h"
#include "connector/idle.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/opening.h"
#include "connector/presence.h"
#include "connector/records.h"

static void on_retry(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    opening_add(ctx);
}

/* Is it there for nothing but to remove the device at WhatsApp? It ends by itself. */
static bool is_leaving(const struct account *account)
{
    return account->link != NULL && account->link->is_only_unlinking;
}

static void open_now_or_soon(struct account *account)
{
    if (account->state.phase == SESSION_RECONNECTING) {
        opening_add(account); /* with many others perhaps */
    } else {
        link_open(account); /* somebody waits for it */
    }
}

static void connection_effects(struct account *account, unsigned effects, int64_t delay_ms)
{
    if (effects & SESSION_DROP_QR) {
        presence_drop_qr(account);
    }
    if (effects & (SESSION_CLOSE | SESSION_OPEN | SESSION_OPEN_LATER)) {
        loop_timer_stop(&account->retry);
        opening_drop(account);
        account->wants_open = false;
    }
    if ((effects & SESSION_UNLINK) && !(effects & SESSION_ERASE)) {
        link_unlink(account);
    } else if ((effects & SESSION_CLOSE) && !is_leaving(account)) {
        link_close(account);
    }
    if (effects & SESSION_OPEN) {
        open_now_or_soon(account);
    } else if (effects & SESSION_OPEN_LATER) {
        loop_timer_start(account->connector->loop, &account->retry, delay_ms, on_retry, account);
    }
}

/* Nothing of the device is left in the tables; nor in memory, but for unlinking it. */
static void erase(struct account *account, bool unlinks)
{
    link_close(account); /* its client borrows the credentials */
    if (account->mailbox != NULL) {
        mailbox_forget(account);
    }
    buf_done(&account->routing);
    if (unlinks) {
        farewell_add(account);
    }
    credentials_drop(account);
}

void effects_run(struct account *account)
{
    unsigned effects = account->staged_effects;
    int64_t delay_ms = account->staged_delay_ms;
    bool changed = account->staged != NULL;

    account->staged_effects = 0;
    if (changed) {
        account->state = *account->staged;
        free(account->staged);
        account->staged = NULL;
    }
    if (account->state.phase == SESSION_NONE) { /* made for a command that was refused */
        account_free(&account);
        return;
    }
    records_committed(account);
    link_committed(account);
    if (account->mailbox != NULL) {
        mailbox_committed(account);
    }
    connection_effects(account, effects, delay_ms);
    if (effects & SESSION_ERASE) {
        erase(account, (effects & SESSION_UNLINK) != 0);
    }
    if (changed && account->state.closing && account->link == NULL) { /* nothing to wait for */
        account_see(account, account_seen_new(SESSION_SAW_DISCONNECT_CONFIRMED));
    }
    if (changed) {
        idle_follow(account);
        presence_state(account);
    }
}

void effects_failed(struct account *account)
{
    unsigned effects = account->staged_effects;
    bool had_events =
        account->staged != NULL && account->staged->sequence != account->state.sequence;

    records_failed(account);
    free(account->staged);
    account->staged = NULL;
    account->staged_effects = 0;
    if (!had_events) {
        connection_effects(account, effects & ~(unsigned)SESSION_UNLINK, account->staged_delay_ms);
    }
}
