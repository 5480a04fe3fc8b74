#include "connector/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/mailbox.h"
#include "connector/peers.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "wa/wa_ack.h"
#include "wa/wa_node.h"

int mailbox_take(struct account *account, const struct wa_node *stanza, struct err *err)
{
    struct mailbox *mailbox = mailbox_of(account);
    struct incoming *incoming;
    int rc;

    if (mailbox->n_inbox >= MAILBOX_INBOX_MAX) {
        return err_set(err, ERR_LIMIT, "%d stanzas wait", MAILBOX_INBOX_MAX);
    }
    incoming = mem_new0(sizeof(*incoming));
    rc = wa_node_encode(stanza, &incoming->packed, err);
    if (rc < 0) {
        buf_done(&incoming->packed);
        free(incoming);
        return rc;
    }
    *(mailbox->inbox_last != NULL ? &mailbox->inbox_last->next : &mailbox->inbox_first) = incoming;
    mailbox->inbox_last = incoming;
    mailbox->n_inbox++;
    account_ready(account);
    return 0;
}

static void drop_first(struct mailbox *mailbox)
{
    struct incoming *incoming = mailbox->inbox_first;

    mailbox->inbox_first = incoming->next;
    if (mailbox->inbox_first == NULL) {
        mailbox->inbox_last = NULL;
    }
    mailbox->n_inbox--;
    buf_done(&incoming->packed);
    free(incoming);
}

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

    if (wa_node_attr_jid(node, "from", &from) &&
        (wa_node_attr_is(node, "type", "devices") ||
         wa_node_attr_is(node, "type", "account_sync") || wa_node_find(node, "identity") != NULL)) {
        peers_forget(account->mailbox->peers, &from);
    }
    ack(account, node, 0);
}

/* False: it waits for something that is being loaded. */
static bool handle(struct turn *turn, struct account *account, const struct wa_node *node)
{
    if (wa_node_is(node, "ack")) {
        sender_ack(turn, account, node);
    } else if (wa_node_is(node, "message")) {
        return inbox_message(turn, account, node);
    } else if (wa_node_is(node, "receipt")) {
        return inbox_receipt(turn, account, node);
    } else if (wa_node_is(node, "notification")) {
        notification(account, node);
    } else {
        ack(account, node, 0);
    }
    return true;
}

void inbox_run(struct turn *turn, struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct arena arena = {0};

    while (mailbox->inbox_first != NULL && !mailbox->is_waiting &&
           ledger_room(turn->tx) >= TURN_ROOM_MIN + turn->n_told) {
        struct wa_node *node = NULL;

        turn_touch(turn, account);
        if (wa_node_decode(buf_bytes(&mailbox->inbox_first->packed), &arena, &node, NULL) == 0 &&
            !handle(turn, account, node)) {
            break;
        }
        drop_first(mailbox);
        arena_reset(&arena);
    }
    arena_done(&arena);
    if (mailbox->inbox_first != NULL && !mailbox->is_waiting) {
        account_ready(account);
    }
}
