/* Receipts of messages that we sent: delivered, read, or please encrypt it again. */
#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/mailbox.h"
#include "connector/turn.h"
#include "wa/wa_ack.h"
#include "wa/wa_receipt.h"

_Static_assert(WA_NODE_TIME_MAX * 1000 <= RECORD_TIME_MS_MAX, "a stanza's time is one of an event");

static void raise_one(struct turn *turn, struct account *account, const char *id,
                      enum message_input_kind kind, int64_t at_ms)
{
    struct row *row = mailbox_find(account->mailbox, id);
    struct message_input input = {.kind = kind, .at_ms = at_ms};

    if (row != NULL) {
        mailbox_decide(turn, account, row, &input);
    }
}

/* False: rows have left memory since they were looked at, or the turn has no room for all of it. */
static bool raise_all(struct turn *turn, struct account *account, const struct incoming *incoming,
                      const struct wa_receipt *receipt, enum message_input_kind kind)
{
    size_t n = receipt->n_more < LEDGER_EVENTS_MAX / 2 ? receipt->n_more : LEDGER_EVENTS_MAX / 2;

    if (ledger_room(turn->tx) <= n ||
        (!incoming->rows_asked && !inbox_has_rows(account->mailbox, receipt))) {
        return false;
    }
    raise_one(turn, account, receipt->id, kind, receipt->time * 1000);
    for (size_t i = 0; i < receipt->n_more; i++) {
        if (ledger_room(turn->tx) <= 1) {
            return false; /* those raised already change nothing the next time */
        }
        raise_one(turn, account, receipt->more[i], kind, receipt->time * 1000);
    }
    return true;
}

bool inbox_receipt(struct turn *turn, struct account *account, struct incoming *incoming,
                   const struct wa_node *node)
{
    struct arena arena = {0};
    struct wa_receipt receipt;
    bool done = true;

    if (wa_receipt_from_server(node, &arena, &receipt, NULL) == 0) {
        /* with a recipient it is an own device that speaks of somebody else's message */
        bool is_ours = wa_jid_is_none(&receipt.recipient);

        if (receipt.type == WA_RECEIPT_RETRY) {
            done = inbox_retry(turn, account, incoming, node, &receipt);
        } else if (is_ours &&
                   (receipt.type == WA_RECEIPT_DELIVERED || receipt.type == WA_RECEIPT_INACTIVE)) {
            done = raise_all(turn, account, incoming, &receipt, MESSAGE_IN_DELIVERED);
        } else if (is_ours &&
                   (receipt.type == WA_RECEIPT_READ || receipt.type == WA_RECEIPT_PLAYED)) {
            done = raise_all(turn, account, incoming, &receipt, MESSAGE_IN_READ);
        }
    }
    if (done) {
        mailbox_send_after(account, wa_ack_for(&arena, node, 0));
    }
    arena_done(&arena);
    return done;
}
