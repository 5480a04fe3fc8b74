/* What a real server does to its clients now and then, done when a test asks for it. */
#include "base/err.h"
#include "sandbox/sandbox_internal.h"

bool sandbox_fault_holds(struct sandbox_conn *conn, const struct wa_node *node,
                         const struct wa_node *ack)
{
    struct sandbox_account *to = NULL;
    struct wa_jid jid;

    if (wa_node_attr_jid(node, "to", &jid)) {
        to = sandbox_account_of(conn->world, &jid);
    }
    if (to == NULL || !to->holds_acks) {
        return false;
    }
    sandbox_held_put(conn, to, SANDBOX_HELD_ACK, ack);
    return true;
}

bool sandbox_fault_refuses_keys(struct sandbox_account *account)
{
    bool refuses = account->behaviour.refuse_keys > 0;

    account->behaviour.refuse_keys -= refuses ? 1 : 0;
    return refuses;
}

void sandbox_account_hold_acks(struct sandbox_account *account, bool hold)
{
    account->holds_acks = hold;
    if (!hold) {
        sandbox_enter(account->world);
        sandbox_held_release(account->world, account, SANDBOX_HELD_ACK);
        sandbox_leave(account->world);
    }
}

int sandbox_account_replace(struct sandbox_account *account, unsigned device, struct err *err)
{
    struct sandbox_device *found =
        device == 0 || device > 255 ? NULL : sandbox_account_find(account, (uint16_t)device);

    if (found == NULL || found->conn == NULL) {
        return err_set(err, ERR_NOT_FOUND, "companion %u of %s is not connected", device,
                       account->number);
    }
    sandbox_enter(account->world);
    sandbox_login_end(found->conn, 0, "replaced");
    sandbox_leave(account->world);
    return 0;
}
