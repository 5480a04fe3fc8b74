#include "connector/turn.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/effects.h"
#include "connector/inbox.h"
#include "connector/intake.h"
#include "connector/link.h"
#include "connector/load.h"
#include "connector/mailbox.h"
#include "connector/pairing.h"
#include "connector/peers.h"
#include "connector/presence.h"
#include "connector/records.h"

const struct session *turn_state(const struct account *account)
{
    return account->staged != NULL ? account->staged : &account->state;
}

void turn_touch(struct turn *turn, struct account *account)
{
    if (!account->in_turn) {
        account->in_turn = true;
        account->turn_next = turn->touched;
        turn->touched = account;
    }
}

static struct session *stage(struct turn *turn, struct account *account)
{
    turn_touch(turn, account);
    if (account->staged == NULL) {
        account->staged = mem_new0(sizeof(*account->staged));
        *account->staged = account->state;
        account->staged_effects = 0;
    }
    return account->staged;
}

static void emit(struct turn *turn, struct account *account, struct session_event *event,
                 const struct turn_cause *cause)
{
    struct err err = {0};
    int rc;

    event->correlation_id = cause->correlation_id;
    event->causation_id = cause->causation_id;
    event->actor_kind = cause->actor_kind;
    event->actor_id = cause->actor_id;
    rc = ledger_emit(turn->tx, account->partition, TOPIC_SESSION_EVENTS, account->state.uuid, event,
                     &err);
    if (rc < 0) { /* room was looked at before, and texts came through a codec or our own hands */
        log_error("event cannot be written", LOG_STR("session", account->state.uuid),
                  LOG_STR("why", err.text));
        abort();
    }
}

/* What is kept of the device goes; of one that is to be unlinked what that takes stays
 * (farewell.h).
 */
static void erase(struct turn *turn, struct account *account, bool unlinks)
{
    struct ledger_rows *rows = turn_row(turn, TURN_ERASE, account->partition);
    char device[WA_JID_TEXT_MAX];

    pg_array_uuid(rows->column[0], account->state.uuid);
    pg_array_text(rows->column[1], unlinks && account->credentials != NULL
                                       ? wa_jid_format(&account->credentials->device.pn, device)
                                       : NULL);
}

void turn_decision(struct turn *turn, struct account *account, struct session_decision *decision,
                   const struct turn_cause *cause)
{
    struct session *staged;

    if (decision->n == 0 && decision->effects == 0) {
        return;
    }
    staged = stage(turn, account);
    for (unsigned i = 0; i < decision->n; i++) {
        emit(turn, account, &decision->at[i], cause);
        session_evolve(staged, &decision->at[i]);
    }
    account->staged_effects |= decision->effects;
    if (decision->effects & SESSION_OPEN_LATER) {
        account->staged_delay_ms = decision->delay_ms;
    }
    if (decision->effects & SESSION_FAIL_MESSAGES) {
        mailbox_fail(turn, account);
    }
    if (decision->effects & SESSION_ERASE) {
        erase(turn, account, (decision->effects & SESSION_UNLINK) != 0);
    }
}

struct session_context turn_context(const struct turn *turn, const struct account *account)
{
    return (struct session_context){.now_us = turn->now_us,
                                    .tries = account->tries > 0 ? account->tries - 1 : 0,
                                    .random = randombytes_random()};
}

void turn_observe(struct turn *turn, struct account *account, const struct session_observation *saw)
{
    struct session_context context = turn_context(turn, account);
    struct turn_cause cause = {.actor_kind = "connector",
                               .actor_id = turn->connector->config.common.instance_id};
    struct session_decision decision;

    session_observe(turn_state(account), saw, &context, &decision);
    turn_decision(turn, account, &decision, &cause);
}

void turn_ask(struct turn *turn, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx)
{
    turn_close_batches(turn);
    for (const struct account *a = turn->touched; a != NULL; a = a->turn_next) {
        ledger_touch(turn->tx, a->partition); /* what it has staged so far is in memory alone */
    }
    turn->asks++;
    ledger_ask(turn->tx, stmt, fn, ctx);
}

/* The snapshot of a session that changed. */
static void stage_session(struct turn *turn, struct account *account)
{
    struct ledger_rows *rows;
    struct buf json = {0};

    if (account->staged == NULL || account->staged->sequence == account->state.sequence) {
        return;
    }
    session_to_json(account->staged, &json);
    rows = turn_row(turn, TURN_SESSION, account->partition);
    pg_array_uuid(rows->column[0], account->state.uuid);
    pg_array_int(rows->column[1], account->partition);
    pg_array_text(rows->column[2], buf_text(&json));
    buf_done(&json);
}

/* ---- the end ---- */

/* Accounts one by one; each leaves the turn. */
static struct account *take_touched(struct turn *turn)
{
    struct account *account = turn->touched;

    if (account != NULL) {
        turn->touched = account->turn_next;
        account->turn_next = NULL;
        account->in_turn = false;
    }
    return account;
}

static void turn_free(struct turn *turn)
{
    while (turn->kept != NULL) {
        struct seen *seen = turn->kept;

        turn->kept = seen->next;
        account_seen_free(&seen);
    }
    free(turn);
}

static void run_effects(struct turn *turn)
{
    struct account *account;

    while ((account = take_touched(turn)) != NULL) {
        effects_run(account);
    }
    turn_free(turn);
}

/* Everything is decided: the rows of what changed go last. */
static void finish(struct turn *turn)
{
    for (struct account *a = turn->touched; a != NULL; a = a->turn_next) {
        stage_session(turn, a);
        mailbox_stage(turn, a);
        records_stage(turn, a);
    }
    turn_close_batches(turn);
    if (ledger_tx_is_empty(turn->tx)) { /* nothing to commit, and nobody will say so */
        run_effects(turn);
    }
}

void turn_answered(struct turn *turn)
{
    assert(turn->asks > 0);
    if (--turn->asks == 0) {
        finish(turn);
    }
}

/* ---- what waits ---- */

/* What an account has waiting, as far as the turn has room. */
static void run_account(struct turn *turn, struct account *account)
{
    struct seen *seen;

    while (ledger_room(turn->tx) >= TURN_ROOM_MIN && (seen = account_seen_take(account)) != NULL) {
        if (seen->saw.kind == SESSION_SAW_PAIRED) { /* asks first whose phone it is */
            pairing_observe(turn, account, seen);
            account_ready(account); /* for the rest */
            return;
        }
        turn_observe(turn, account, &seen->saw);
        account_seen_free(&seen);
    }
    if (account->seen_first != NULL) {
        account_ready(account);
        return;
    }
    link_run(turn, account);
    if (account->mailbox != NULL) {
        mailbox_run(turn, account);
    }
}

static void on_turn(struct ledger_tx *tx, void *ctx)
{
    struct connector *connector = ctx;
    struct turn *turn = mem_new0(sizeof(*turn));
    const struct ledger_record *record;
    struct account *last = connector->ready_last;
    struct account *account = NULL;

    *turn = (struct turn){.connector = connector, .tx = tx, .now_us = clock_wall_us()};
    ledger_tx_set(tx, turn);
    while (ledger_room(turn->tx) >= TURN_ROOM_MIN && (record = ledger_next(tx)) != NULL) {
        intake_record(turn, record);
    }
    /* those that become ready meanwhile have their turn next time */
    while (account != last && ledger_room(turn->tx) >= TURN_ROOM_MIN &&
           (account = account_ready_take(connector)) != NULL) {
        if (ledger_is_live(connector->ledger, account->partition)) {
            run_account(turn, account);
        }
    }
    if (connector->ready_first != NULL) {
        ledger_want_turn(connector->ledger);
    }
    intake_handed(turn);
    inbox_tell(turn);
    if (turn->asks == 0) {
        finish(turn);
    }
}

static void on_committed(struct ledger_tx *tx, void *ctx)
{
    (void)ctx;
    run_effects(ledger_tx_get(tx));
}

/* What was staged goes; on_reset takes the rest of what its partitions held in memory. */
static void on_failed(struct ledger_tx *tx, const struct err *err, void *ctx)
{
    struct turn *turn = ledger_tx_get(tx);
    struct account *account;

    (void)ctx;
    log_warn("turn failed", LOG_STR("why", err->text));
    while ((account = take_touched(turn)) != NULL) {
        effects_failed(account);
    }
    turn_free(turn);
}

static void on_reply(const char *reply_to, const char *command_id, const char *verdict, void *ctx)
{
    presence_reply(ctx, reply_to, command_id, verdict);
}

void turn_handlers(struct connector *connector, struct ledger_handlers *out)
{
    *out = (struct ledger_handlers){
        .on_turn = on_turn,
        .on_committed = on_committed,
        .on_failed = on_failed,
        .on_reply = on_reply,
        .ctx = connector,
    };
    load_handlers(out);
}
