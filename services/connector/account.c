#include "connector/account.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/idle.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/opening.h"

struct account *account_new(struct connector *connector, const char *uuid, int partition)
{
    struct account *account = mem_new0(sizeof(*account));

    assert(uuid_is_valid(uuid));
    account->connector = connector;
    account->partition = partition;
    memcpy(account->state.uuid, uuid, UUID_TEXT_MAX);
    map_put(&connector->accounts, account->state.uuid, account);
    return account;
}

struct account *account_find(const struct connector *connector, const char *uuid)
{
    return map_get(&connector->accounts, uuid);
}

static void unlink_ready(struct account *account)
{
    struct connector *connector = account->connector;

    if (!account->is_ready) {
        return;
    }
    *(account->ready_prev != NULL ? &account->ready_prev->ready_next : &connector->ready_first) =
        account->ready_next;
    *(account->ready_next != NULL ? &account->ready_next->ready_prev : &connector->ready_last) =
        account->ready_prev;
    account->ready_next = account->ready_prev = NULL;
    account->is_ready = false;
}

void account_free(struct account **account)
{
    struct account *gone = *account;
    struct seen *seen;

    if (gone == NULL) {
        return;
    }
    assert(!gone->in_turn);
    gone->wants_open = false;
    opening_drop(gone);
    link_close(gone);
    loop_timer_stop(&gone->retry);
    idle_stop(gone);
    mailbox_free(&gone->mailbox);
    credentials_drop(gone);
    free(gone->staged);
    buf_done(&gone->routing);
    while ((seen = account_seen_take(gone)) != NULL) {
        account_seen_free(&seen);
    }
    unlink_ready(gone);
    map_drop(&gone->connector->accounts, gone->state.uuid);
    free(gone);
    *account = NULL;
}

struct seen *account_seen_new(enum session_observation_kind kind)
{
    struct seen *seen = mem_new0(sizeof(*seen));

    seen->saw.kind = kind;
    return seen;
}

void account_see(struct account *account, struct seen *seen)
{
    if (account->seen_last != NULL) {
        account->seen_last->next = seen;
    } else {
        account->seen_first = seen;
    }
    account->seen_last = seen;
    account_ready(account);
}

struct seen *account_seen_take(struct account *account)
{
    struct seen *seen = account->seen_first;

    if (seen != NULL) {
        account->seen_first = seen->next;
        if (account->seen_first == NULL) {
            account->seen_last = NULL;
        }
        seen->next = NULL;
        seen->saw.epoch = account->epoch;
    }
    return seen;
}

void account_seen_free(struct seen **seen)
{
    if (*seen != NULL) {
        arena_done(&(*seen)->arena);
        free(*seen);
        *seen = NULL;
    }
}

void account_ready(struct account *account)
{
    struct connector *connector = account->connector;

    if (!account->is_ready) {
        account->is_ready = true;
        account->ready_prev = connector->ready_last;
        *(connector->ready_last != NULL ? &connector->ready_last->ready_next
                                        : &connector->ready_first) = account;
        connector->ready_last = account;
    }
    ledger_want_turn(connector->ledger);
}

struct account *account_ready_take(struct connector *connector)
{
    struct account *account = connector->ready_first;

    if (account != NULL) {
        unlink_ready(account);
    }
    return account;
}
