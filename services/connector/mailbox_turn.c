/* What a mailbox does in a turn and after it, and when the connection comes and goes. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "wa/wa_node.h"

void mailbox_run(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;

    if (account->signal != NULL) {
        inbox_run(turn, account);
    }
    if (mailbox->failing) {
        mailbox_fail(turn, account);
    }
    sender_run(turn, account);
}

/* ---- after the commit ---- */

void mailbox_send_after(struct account *account, const struct wa_node *node)
{
    struct mailbox *mailbox = account->mailbox;
    struct outgoing *outgoing = mem_new0(sizeof(*outgoing));

    if (wa_node_encode(node, &outgoing->node, NULL) < 0) {
        abort(); /* made of parts that a decoder let through */
    }
    *(mailbox->out_last != NULL ? &mailbox->out_last->next : &mailbox->out_first) = outgoing;
    mailbox->out_last = outgoing;
}

static void send_outgoing(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;

    while (mailbox->out_first != NULL) {
        struct outgoing *outgoing = mailbox->out_first;

        mailbox->out_first = outgoing->next;
        link_send_packed(account, buf_bytes(&outgoing->node));
        buf_done(&outgoing->node);
        free(outgoing);
    }
    mailbox->out_last = NULL;
}

void mailbox_committed(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct resend *resend;

    mailbox_settle(account);
    LL_FOREACH(mailbox->resends, resend)
    {
        resend->is_new = false;
    }
    send_outgoing(account);
    sender_write(account);
    if (mailbox->n_open > 0) {
        peers_work(mailbox->peers);
        sender_wake(account);
        mailbox_watch(account);
    }
    if (mailbox->is_unheard) { /* a connection on which nothing is acked is of no use */
        mailbox->is_unheard = false;
        link_lose(account, "messages are not acked");
    }
}

void mailbox_resend_acked(struct turn *turn, struct account *account, const struct row *row)
{
    struct resend **at = &account->mailbox->resends;

    while (*at != NULL) {
        struct resend *resend = *at;
        struct turn_rows *rows;

        if (!resend->is_written || strcmp(resend->message_id, row->message_id) != 0) {
            at = &resend->next;
            continue;
        }
        rows = turn_row(turn, TURN_RETRY_DONE, account->partition);
        pg_array_uuid(rows->column[0], resend->message_id);
        pg_array_text(rows->column[1], resend->device);
        pg_array_int(rows->column[2], resend->count);
        *at = resend->next;
        buf_done(&resend->stanza);
        free(resend);
    }
}

/* ---- connection ---- */

void mailbox_online(struct account *account)
{
    (void)mailbox_of(account);
    account_ready(account);
}

void mailbox_offline(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct row *row;
    struct resend *resend;

    DL_FOREACH(mailbox->rows, row)
    {
        if (row->phase == ROW_WRITTEN) {
            mailbox_set_phase(mailbox, row, ROW_PREPARED);
        }
    }
    LL_FOREACH(mailbox->resends, resend)
    {
        resend->is_written = false;
    }
    loop_timer_stop(&mailbox->watch);
    peers_offline(mailbox->peers);
    mailbox_drop_inbox(mailbox); /* not acked: they come again */
}

/* ---- time ---- */

static void on_watch(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    account_ready(ctx);
}

/* When the next row has something to wait for: an ack that does not come, another try, its end. */
static int64_t next_due_ms(const struct account *account, int64_t now_ms, int64_t wall_ms)
{
    int64_t due = INT64_MAX;
    const struct row *row;

    DL_FOREACH(account->mailbox->rows, row)
    {
        int64_t at = INT64_MAX;

        if (row->phase == ROW_WRITTEN) {
            at = row->written_ms + account->connector->config.ack_timeout_ms;
        } else if (row->phase == ROW_PREPARED && row->state.state == MESSAGE_FAILED_RETRY) {
            at = now_ms + row->state.next_attempt_ms - wall_ms;
        } else if (row->phase == ROW_QUEUED && row->send.has_not_after) {
            at = now_ms + row->send.not_after - wall_ms + 1;
        }
        due = at < due ? at : due;
    }
    return due;
}

void mailbox_watch(struct account *account)
{
    struct loop *loop = account->connector->loop;
    int64_t now_ms = loop_now_ms(loop);
    int64_t due_ms = next_due_ms(account, now_ms, clock_wall_ms());

    if (due_ms == INT64_MAX) {
        loop_timer_stop(&account->mailbox->watch);
    } else {
        loop_timer_start(loop, &account->mailbox->watch, due_ms > now_ms ? due_ms - now_ms : 0,
                         on_watch, account);
    }
}
