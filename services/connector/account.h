/* account: one session as this process holds it: its state, its credentials, its connection, and
 * what waits for a turn. */
#ifndef CONNECTOR_ACCOUNT_H
#define CONNECTOR_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "domain/session.h"
#include "loop/loop.h"

struct connector;
struct idle;
struct link;
struct mailbox;
struct sigstore_account;
struct credentials;

/* An observation that waits, with the memory of its texts. */
struct seen {
    struct seen *next;
    struct arena arena;
    struct session_observation saw;
    struct session_closed closed;
};

struct account {
    struct connector *connector;
    struct session state; /* as committed */
    int64_t epoch;        /* of the partition when this was loaded, made or given back */
    int partition;
    unsigned staged_effects; /* of enum session_effect; of the open turn, as the next two */
    int64_t staged_delay_ms;
    struct session *staged; /* the state after it; NULL when not touched */

    struct seen *seen_first; /* observations, oldest first */
    struct seen *seen_last;
    struct account *ready_next; /* in the connector's list of those that wait for a turn */
    struct account *ready_prev;
    struct account *turn_next; /* touched by the open turn */

    struct link *link;               /* NULL: no connection is wanted */
    struct mailbox *mailbox;         /* messages in and out; NULL while there is nothing */
    struct credentials *credentials; /* NULL: not linked */
    struct sigstore_account *signal; /* with credentials */
    struct buf routing;              /* what the server wants to see at the next connection */
    struct loop_timer retry;         /* the next connection */
    struct idle *idle;               /* while it waits to be linked */
    int64_t start_time_ms;
    int tries;   /* connections opened since the last login */
    char ws[12]; /* OPEN CONNECTING CLOSING CLOSED, or "" */
    bool is_ready;
    bool in_turn;
    bool is_opening; /* in the connector's list of connections that are due */
    bool wants_open; /* as soon as the partition is ours again, or the link gone */
};

/* An account in the table; its state is all zero but for @uuid. Owned by the table. */
struct account *account_new(struct connector *connector, const char *uuid, int partition);
struct account *account_find(const struct connector *connector, const char *uuid); /* or NULL */
/* Out of the table, with all that it holds; its connection is cut. Not while a turn is open that
 * has touched it. */
void account_free(struct account **account);

/* An observation to fill: texts from its arena. Then account_see takes it, and a turn follows. */
struct seen *account_seen_new(enum session_observation_kind kind);
void account_see(struct account *account, struct seen *seen);
/* The oldest, or NULL; the caller's. Its epoch is that of the account: what an earlier owner saw
 * went with what it held (S7). */
struct seen *account_seen_take(struct account *account);
void account_seen_free(struct seen **seen);

/* Ask for a turn for this account; any number of times. */
void account_ready(struct account *account);
struct account *account_ready_take(struct connector *connector); /* the one waiting longest */

#endif
