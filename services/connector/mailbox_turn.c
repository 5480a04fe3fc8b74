/* What a mailbox does in a turn and after it, and when the connection comes and goes. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "wa/wa_ack.h"
#include "wa/wa_node.h"

void mailbox_run(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;

    if (mailbox->inbox_first != NULL || mailbox_n_open(mailbox) > 0) {
        mailbox->used_ms = loop_now_ms(account->connector->loop);
    }
    if (account->signal != NULL && !(account->staged_effects & SESSION_ERASE)) {
        lids_run(turn, account);
        inbox_run(turn, account);
    }
    if (mailbox->failing) {
        mailbox_fail(turn, account);
    }
    sender_run(turn, account);
    mailbox_watch(account);
}

/* ---- after the commit ---- */

void mailbox_send_after(struct account *account, const struct wa_node *node)
{
    struct mailbox *mailbox = account->mailbox;
    struct outgoing *outgoing = mem_new0(sizeof(*outgoing));
    struct err err = {0};

    if (wa_node_encode(node, &outgoing->node, &err) < 0) { /* of what a peer said, too much */
        log_warn("stanza cannot be answered", LOG_STR("session", account->state.uuid),
                 LOG_STR("why", err.text));
        buf_done(&outgoing->node);
        free(outgoing);
        return;
    }
    *(mailbox->out_last != NULL ? &mailbox->out_last->next : &mailbox->out_first) = outgoing;
    mailbox->out_last = outgoing;
}

static void on_acked(void *ctx)
{
    (void)ctx;
    crash_point("connector", "after.ack"); /* the sockets were flushed before this */
}

/* Acks and receipts of stanzas that were handled. Muted they wait: the server waits for them. */
static void send_outgoing(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;

    if (mailbox->out_first == NULL || (account->link != NULL && account->link->is_muted)) {
        return;
    }
    crash_point("connector", "before.ack");
    while (mailbox->out_first != NULL) {
        struct outgoing *outgoing = mailbox->out_first;

        mailbox->out_first = outgoing->next;
        link_send_packed(account, buf_bytes(&outgoing->node));
        buf_done(&outgoing->node);
        free(outgoing);
    }
    mailbox->out_last = NULL;
    loop_defer(account->connector->loop, on_acked, NULL);
}

static void go_on(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;

    send_outgoing(account);
    (void)sender_write(account);
    if (mailbox_n_open(mailbox) > 0) {
        peers_work(mailbox->peers);
        sender_wake(account);
    }
    mailbox_watch(account);
}

static void drop_settled_resends(struct mailbox *mailbox)
{
    struct resend **at = &mailbox->resends;

    while (*at != NULL) {
        struct resend *resend = *at;

        if (resend->is_settled) {
            *at = resend->next;
            free(resend);
        } else {
            at = &resend->next;
        }
    }
}

void mailbox_committed(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct resend *resend;

    mailbox_settle(account);
    lids_committed(mailbox->lids);
    LL_FOREACH (mailbox->resends, resend) {
        resend->is_new = false;
    }
    if (mailbox->n_inbox == 0) {
        drop_settled_resends(mailbox);
    }
    go_on(account);
    if (mailbox->is_unheard) { /* a connection on which nothing is acked is of no use */
        mailbox->is_unheard = false;
        link_lose(account, "messages are not acked");
    }
}

/* The oldest one written that @ack can be for; where it says for which device, of that one. */
static struct resend *acked_resend(const struct mailbox *mailbox, const struct wa_ack *ack)
{
    struct resend *resend;
    char device[WA_JID_TEXT_MAX];

    (void)wa_jid_format(&ack->from, device);
    LL_FOREACH (mailbox->resends, resend) {
        if (resend->is_written && !resend->is_settled &&
            strcmp(resend->wa_message_id, ack->id) == 0 &&
            (wa_jid_is_none(&ack->from) || strcmp(resend->device, device) == 0)) {
            return resend;
        }
    }
    return NULL;
}

bool mailbox_resend_acked(struct turn *turn, struct account *account, const struct wa_ack *ack)
{
    struct mailbox *mailbox = account->mailbox;
    const struct row *row = mailbox_find(mailbox, ack->id);
    struct resend *resend;
    struct ledger_rows *rows;

    if (row != NULL && row->ack_due &&
        (wa_jid_is_none(&ack->from) || wa_jid_equal(&ack->from, &row->to))) {
        return false; /* of the message itself: any of them says that the server has it */
    }
    resend = acked_resend(mailbox, ack);
    if (resend == NULL || sender_may_repeat(ack->error)) {
        return resend != NULL; /* refused for now: on the next connection */
    }
    rows = turn_row(turn, TURN_RETRY_DONE, account->partition);
    pg_array_uuid(rows->column[0], resend->message_id);
    pg_array_text(rows->column[1], resend->device);
    pg_array_int(rows->column[2], resend->count);
    resend->is_settled = true;
    buf_done(&resend->stanza);
    return true;
}

/* ---- connection ---- */

void mailbox_online(struct account *account)
{
    (void)mailbox_of(account);
    account_ready(account);
}

/* Acks of what was written are not to come any more. */
static void unwrite_rows(struct mailbox *mailbox)
{
    struct row *row;

    DL_FOREACH (mailbox->rows[ROWS_WINDOW], row) {
        if (row->phase == ROW_WRITTEN) {
            mailbox_set_phase(mailbox, row, ROW_PREPARED);
        }
        row->ack_due = false;
    }
    DL_FOREACH (mailbox->rows[ROWS_DONE], row) {
        row->ack_due = false;
    }
}

void mailbox_offline(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct resend *resend;

    unwrite_rows(mailbox);
    LL_FOREACH (mailbox->resends, resend) {
        resend->is_written = false;
    }
    peers_offline(mailbox->peers);
    mailbox_drop_inbox(mailbox); /* not acked: they come again */
    mailbox_drop_out(mailbox);   /* so do those of which the server hears no ack */
    mailbox->is_unheard = false;
    mailbox_watch(account);
}

void mailbox_returned(struct account *account)
{
    struct row *row;

    DL_FOREACH (account->mailbox->rows[ROWS_WINDOW], row) {
        row->written_ms = loop_now_ms(account->connector->loop); /* nothing was read meanwhile */
    }
    go_on(account);
    account_ready(account);
}

/* ---- time ---- */

static void on_watch(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    account_ready(ctx);
}

/* When a row in the window has something to wait for, in wall clock: an ack that does not come,
 * another try, its end. */
static int64_t row_due_ms(const struct account *account, const struct row *row, int64_t ahead_ms,
                          bool online)
{
    int64_t due = INT64_MAX;

    if (row->phase == ROW_WRITTEN) {
        return row->written_ms + account->connector->config.ack_timeout_ms + ahead_ms;
    }
    if (row->state.state == MESSAGE_FAILED_RETRY && online) {
        due = row->state.next_attempt_ms;
    }
    if (row->send.has_not_after && row->send.not_after < due) {
        due = row->send.not_after + 1;
    }
    return due;
}

void mailbox_watch(struct account *account)
{
    struct loop *loop = account->connector->loop;
    struct mailbox *mailbox = account->mailbox;
    int64_t wall_ms = clock_wall_ms();
    int64_t ahead_ms = wall_ms - loop_now_ms(loop);
    bool online = account->state.phase == SESSION_CONNECTED && link_is_ready(account);
    int64_t due_ms = INT64_MAX;
    const struct row *row;

    if (mailbox->rows[ROWS_QUEUED] != NULL && mailbox->expiry_ms != INT64_MAX) {
        due_ms = mailbox->expiry_ms + 1;
    }
    DL_FOREACH (mailbox->rows[ROWS_WINDOW], row) {
        int64_t at = row_due_ms(account, row, ahead_ms, online);

        due_ms = at < due_ms ? at : due_ms;
    }
    if (due_ms == INT64_MAX) {
        loop_timer_stop(&mailbox->watch);
    } else {
        loop_timer_start(loop, &mailbox->watch,
                         due_ms > wall_ms ? due_ms - wall_ms : MAILBOX_AGAIN_MS, on_watch, account);
    }
}
