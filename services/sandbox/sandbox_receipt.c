/* Receipts on their way from one device to those who want to know. */
#include "sandbox/sandbox_internal.h"
#include "wa/wa_ack.h"
#include "wa/wa_receipt.h"

static void route_to_account(struct sandbox_account *account, const struct sandbox_device *except,
                             const struct wa_node *node)
{
    if (&account->phone_device != except) {
        sandbox_route(&account->phone_device, node);
    }
    for (size_t i = 0; i < account->n_companions; i++) {
        if (account->companions[i] != except) {
            sandbox_route(account->companions[i], node);
        }
    }
}

/* To all devices of the author: delivered, read or played by @from. */
static void tell_author(struct sandbox_device *from, const struct wa_receipt *receipt)
{
    struct sandbox_world *world = from->account->world;
    struct sandbox_account *author = sandbox_account_of(world, &receipt->peer);
    struct wa_receipt out = *receipt;

    if (author == NULL || author == from->account) {
        return;
    }
    out.peer = sandbox_device_jid(from, receipt->peer.server);
    if (receipt->type == WA_RECEIPT_READ || receipt->type == WA_RECEIPT_PLAYED) {
        out.peer.device = 0;
    }
    if (receipt->type == WA_RECEIPT_INACTIVE) {
        out.type = WA_RECEIPT_DELIVERED;
    }
    out.recipient = (struct wa_jid){0};
    out.time = sandbox_now_s(world);
    out.offline = -1;
    route_to_account(author, NULL, wa_receipt_to_client(&world->arena, &out));
}

/* To the reader's other devices: this chat was read. */
static void tell_own(struct sandbox_device *from, const struct wa_receipt *receipt)
{
    struct sandbox_world *world = from->account->world;
    struct wa_receipt out = *receipt;

    out.peer = sandbox_device_jid(from, receipt->peer.server);
    out.recipient = wa_jid_bare(&receipt->peer);
    out.time = sandbox_now_s(world);
    out.offline = -1;
    route_to_account(from->account, from, wa_receipt_to_client(&world->arena, &out));
}

/* To the one device that sent the message; what is inside goes on as it came. */
static void ask_again(struct sandbox_device *from, const struct wa_receipt *receipt,
                      const struct wa_node *node)
{
    struct sandbox_world *world = from->account->world;
    struct sandbox_device *author = sandbox_device_of(world, &receipt->peer);
    struct wa_jid jid = sandbox_device_jid(from, receipt->peer.server);
    struct wa_node *out;

    world->totals.retries++;
    if (author == NULL || author == from) {
        return;
    }
    sandbox_message_asked(author, receipt->id, from);
    out = wa_node_copy(&world->arena, node);
    (void)wa_node_unset(out, "to");
    wa_node_set_jid(out, "from", &jid);
    wa_node_set_int(out, "t", sandbox_now_s(world));
    sandbox_route(author, out);
}

static void pass_on(struct sandbox_device *from, const struct wa_receipt *receipt,
                    const struct wa_node *node)
{
    if (!wa_jid_is_user(&receipt->peer)) {
        return; /* some clients write to nobody, or to a status */
    }
    switch (receipt->type) {
    case WA_RECEIPT_DELIVERED:
    case WA_RECEIPT_INACTIVE:
        tell_author(from, receipt);
        break;
    case WA_RECEIPT_READ:
    case WA_RECEIPT_PLAYED:
        tell_author(from, receipt);
        tell_own(from, receipt);
        break;
    case WA_RECEIPT_READ_SELF:
    case WA_RECEIPT_PLAYED_SELF:
        tell_own(from, receipt);
        break;
    case WA_RECEIPT_RETRY:
        ask_again(from, receipt, node);
        break;
    default: /* for the server alone */
        break;
    }
}

struct wa_node *sandbox_receipt_handle(struct sandbox_device *sender, const struct wa_node *node)
{
    struct sandbox_world *world = sender->account->world;
    struct wa_receipt receipt = {0};
    struct err err = {0};

    if (wa_receipt_from_client(node, &world->arena, &receipt, &err) < 0) {
        sandbox_violate_device(sender, SANDBOX_VIOLATION_BAD_STANZA, "receipt: %s", err.text);
    } else {
        world->totals.receipts++;
        pass_on(sender, &receipt, node);
    }
    return wa_ack_sent(&world->arena, node, sandbox_now_s(world), 0);
}
