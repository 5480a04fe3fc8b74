/* turn: one transaction of the connector: what it touched, and what follows its commit.
 *
 * Within a turn a decision sees the staged state, so that several may follow each other. */
#ifndef CONNECTOR_TURN_H
#define CONNECTOR_TURN_H

#include <stdint.h>

#include "domain/session.h"
#include "ledger/ledger.h"
#include "ledger/ledger_rows.h"

struct account;
struct connector;
struct seen;

/* Statements that grow by one row of arrays at a time over the whole turn. */
enum turn_batch {
    TURN_SESSION,
    TURN_ERASE,
    TURN_CREDENTIALS,
    TURN_RECORD,
    TURN_RECORD_GONE,
    TURN_LID,
    TURN_MESSAGE_NEW,
    TURN_MESSAGE,
    TURN_RETRY,
    TURN_RETRY_DONE,
    TURN_PREKEYS_GONE,
    TURN_PHONE_FREE,
    TURN_BATCH_COUNT
};

enum {
    TURN_ROOM_MIN = 16 /* ledger_room before one more thing is taken up */
};

/* A message that came in, and that nobody has been told of unless the table of inbound ones says
 * so. */
struct turn_told {
    struct turn_told *next;
    struct account *account;
    struct uuid id;
    struct inbound_message_received received;
    bool is_new;
};

/* A message that is handed over, to be decided when the table has said whether it is known. */
struct turn_handed {
    struct turn_handed *next;
    struct account *account;
    const struct ledger_record *record;
    const char *nonsense; /* why it makes no sense; NULL: it does */
    struct uuid blasts;   /* the id that its blast gives to its recipient; "": it names none */
    bool is_told;         /* that id has a row: what becomes of it is told, or was */
    bool is_foreign;      /* its id is that of another session's message */
    bool is_unreadable;   /* the row of that id is; its end was told when it settled */
};

struct turn {
    struct connector *connector;
    struct ledger_tx *tx;
    struct turn_handed *handed; /* in the turn's arena, in order */
    struct turn_handed *handed_last;
    struct seen *kept; /* observations that wait for an answer of the table */
    struct account *touched;
    unsigned asks; /* open ledger_ask */
    int64_t now_us;
    struct turn_told *told; /* in the turn's arena, in order */
    struct turn_told *told_last;
    struct ledger_rows batch[LEDGER_PARTITIONS][TURN_BATCH_COUNT];
};

/* Why an event happened: goes into its envelope. */
struct turn_cause {
    const char *correlation_id;
    const char *causation_id;
    const char *actor_kind;
    const char *actor_id;
};

/* What a ledger calls; their ctx is @connector. */
void turn_handlers(struct connector *connector, struct ledger_handlers *out);

/* The state to decide on: staged in this turn, else the committed one. */
const struct session *turn_state(const struct account *account);

struct session_context turn_context(const struct turn *turn, const struct account *account);

/* Stage @decision: its events, the state after them, what erasing takes. Effects follow the commit.
 */
void turn_decision(struct turn *turn, struct account *account, struct session_decision *decision,
                   const struct turn_cause *cause);

/* Decide an observation on the staged state and stage it; @tries as in session_context. */
void turn_observe(struct turn *turn, struct account *account,
                  const struct session_observation *saw);

/* The account has effects to come after the commit, or nothing but memory to give back. */
void turn_touch(struct turn *turn, struct account *account);

/* One more row for @batch: add a value to each of its columns, in order. */
struct ledger_rows *turn_row(struct turn *turn, enum turn_batch batch, int partition);
void turn_close_batches(struct turn *turn); /* before an ask, and at the end */

/* Read within the turn; @fn may stage and ask more. */
void turn_ask(struct turn *turn, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx);
void turn_answered(struct turn *turn); /* what @fn says last */

#endif
