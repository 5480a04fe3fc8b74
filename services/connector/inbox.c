#include "connector/inbox.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "wa/wa_ack.h"
#include "wa/wa_node.h"

/* ---- the queue ---- */

int mailbox_take(struct account *account, const struct wa_node *stanza, struct err *err)
{
    struct mailbox *mailbox = mailbox_of(account);
    struct incoming *incoming;

    if (mailbox->n_inbox >= MAILBOX_INBOX_MAX || mailbox->inbox_bytes >= MAILBOX_INBOX_MAX_BYTES) {
        return err_set(err, ERR_LIMIT, "%zu stanzas of %zu bytes wait", mailbox->n_inbox,
                       mailbox->inbox_bytes);
    }
    incoming = mem_new0(sizeof(*incoming));
    if (wa_node_encode(stanza, &incoming->packed, err) < 0) { /* texts grow when they are cleaned */
        buf_done(&incoming->packed);
        free(incoming);
        return -ERR_INVALID;
    }
    incoming->tag = ++account->connector->tags;
    *(mailbox->inbox_last != NULL ? &mailbox->inbox_last->next : &mailbox->inbox_first) = incoming;
    mailbox->inbox_last = incoming;
    mailbox->n_inbox++;
    mailbox->inbox_bytes += incoming->packed.n;
    inbox_level(account);
    account_ready(account);
    return 0;
}

void inbox_level(struct account *account)
{
    const struct mailbox *mailbox = account->mailbox;
    bool is_low =
        mailbox->n_inbox <= MAILBOX_INBOX_LOW && mailbox->inbox_bytes <= MAILBOX_INBOX_LOW_BYTES;
    bool is_full =
        mailbox->n_inbox >= MAILBOX_INBOX_FULL || mailbox->inbox_bytes >= MAILBOX_INBOX_FULL_BYTES;

    if (is_low || mailbox->fetching_for != 0 ||
        account->signal == NULL) { /* nothing is handled before there are credentials */
        link_listen(account, true);
    } else if (is_full) {
        link_listen(account, false);
    }
}

static void drop_first(struct mailbox *mailbox)
{
    struct incoming *incoming = mailbox->inbox_first;

    mailbox->inbox_first = incoming->next;
    if (mailbox->inbox_first == NULL) {
        mailbox->inbox_last = NULL;
    }
    mailbox->n_inbox--;
    mailbox->inbox_bytes -= incoming->packed.n;
    mailbox->n_rows_asked -= incoming->rows_asked ? 1 : 0;
    buf_done(&incoming->packed);
    free(incoming);
}

void mailbox_drop_inbox(struct mailbox *mailbox)
{
    while (mailbox->inbox_first != NULL) {
        drop_first(mailbox);
    }
    loop_timer_stop(&mailbox->again);
    mailbox->loading = mailbox->fetching_for = 0;
    mailbox->n_loading = 0;
}

/* ---- stanzas that need nothing ---- */

static void ack(struct account *account, const struct wa_node *node, int error)
{
    struct arena arena = {0};

    mailbox_send_after(account, wa_ack_for(&arena, node, error));
    arena_done(&arena);
}

/* Somebody's devices or identity changed: look again before the next message to them. */
static void notification(struct account *account, const struct wa_node *node)
{
    struct wa_jid from;
    struct wa_jid lid;
    bool identity = wa_node_find(node, "identity") != NULL;

    if (wa_node_attr_jid(node, "from", &from)) {
        if (wa_node_attr_is(node, "type", "devices") ||
            wa_node_attr_is(node, "type", "account_sync") || identity) {
            peers_forget(account->mailbox->peers, &from, identity);
        }
        if (wa_node_attr_is(node, "type", "devices") && wa_node_attr_jid(node, "lid", &lid)) {
            lids_tell(account->mailbox->lids, &from, &lid);
        }
    }
    ack(account, node, 0);
}

/* False: it waits for something that is being read. */
static bool handle(struct turn *turn, struct account *account, struct incoming *incoming,
                   const struct wa_node *node)
{
    if (wa_node_is(node, "ack")) {
        sender_ack(turn, account, node);
    } else if (wa_node_is(node, "message")) {
        return inbox_message(turn, account, incoming, node);
    } else if (wa_node_is(node, "receipt")) {
        return inbox_receipt(turn, account, incoming, node);
    } else if (wa_node_is(node, "notification")) {
        notification(account, node);
    } else {
        ack(account, node, 0);
    }
    return true;
}

/* ---- the turn ---- */

void inbox_run(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct arena arena = {0};
    bool waits = false;

    while (mailbox->inbox_first != NULL && ledger_room(turn->tx) >= TURN_ROOM_MIN) {
        struct incoming *incoming = mailbox->inbox_first;
        struct wa_node *node = NULL;
        bool is_done = true;

        if (!incoming->is_ready) {
            waits = !inbox_is_ready(account);
            if (waits) {
                break;
            }
        }
        lids_run(turn, account);
        turn_touch(turn, account);
        if (wa_node_decode(buf_bytes(&incoming->packed), &arena, &node, NULL) == 0) {
            is_done = handle(turn, account, incoming, node);
        }
        arena_reset(&arena);
        if (is_done) {
            drop_first(mailbox);
        } else {
            incoming->is_ready = false; /* in another turn: what is staged now may be in the way */
            break;
        }
    }
    arena_done(&arena);
    inbox_level(account);
    if (mailbox->inbox_first != NULL && !waits) {
        account_ready(account);
    }
}
