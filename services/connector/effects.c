#include "connector/effects.h"

#include <stdlib.h>

#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/presence.h"
#include "connector/records.h"

static void on_retry(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    link_open(ctx);
}

static void connection_effects(struct account *account, unsigned effects, int64_t delay_ms)
{
    struct connector *connector = account->connector;

    if (effects & SESSION_DROP_QR) {
        presence_drop_qr(account);
    }
    if (effects & (SESSION_CLOSE | SESSION_OPEN | SESSION_OPEN_LATER)) {
        loop_timer_stop(&account->retry);
    }
    if (effects & SESSION_UNLINK) {
        link_unlink(account);
    } else if (effects & SESSION_CLOSE) {
        link_close(account);
    }
    if (effects & SESSION_OPEN) {
        link_open(account);
    } else if (effects & SESSION_OPEN_LATER) {
        loop_timer_start(connector->loop, &account->retry, delay_ms, on_retry, account);
    }
}

void effects_run(struct account *account)
{
    unsigned effects = account->staged_effects;
    int64_t delay_ms = account->staged_delay_ms;
    bool changed = account->staged != NULL;

    if (changed) {
        account->state = *account->staged;
        free(account->staged);
        account->staged = NULL;
        account->staged_effects = 0;
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
        if (account->link != NULL) {
            account->link->drops_credentials = true; /* its client still borrows them */
        } else {
            credentials_drop(account);
        }
    }
    if (changed) {
        presence_state(account);
    }
}
