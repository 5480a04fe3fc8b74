/* What a real server does to its clients now and then, done when a test asks for it. */
#include <stdlib.h>

#include "base/err.h"
#include "sandbox/sandbox_internal.h"

/* An ack that is kept back. */
struct sandbox_held {
    struct sandbox_held *next;
    uint64_t conn; /* serial of the connection that its message came on */
    struct buf packed;
};

bool sandbox_fault_holds(struct sandbox_conn *conn, const struct wa_node *node,
                         const struct wa_node *ack)
{
    struct sandbox_account *to = NULL;
    struct sandbox_held **end;
    struct wa_jid jid;

    if (wa_node_attr_jid(node, "to", &jid)) {
        to = sandbox_account_of(conn->world, &jid);
    }
    if (to == NULL || !to->holds_acks) {
        return false;
    }
    for (end = &to->held; *end != NULL; end = &(*end)->next) {
    }
    *end = mem_new0(sizeof(**end));
    (*end)->conn = conn->serial;
    if (wa_node_encode(ack, &(*end)->packed, NULL) < 0) {
        abort(); /* made here, of what was decoded here */
    }
    to->n_held++;
    return true;
}

static void held_free(struct sandbox_held *held)
{
    buf_done(&held->packed);
    free(held);
}

void sandbox_fault_free(struct sandbox_account *account)
{
    while (account->held != NULL) {
        struct sandbox_held *gone = account->held;

        account->held = gone->next;
        held_free(gone);
    }
    account->n_held = 0;
}

static void let_go(struct sandbox_world *world, const struct sandbox_held *held)
{
    struct sandbox_conn *conn = world->conns;
    struct wa_node *ack = NULL;

    while (conn != NULL && conn->serial != held->conn) {
        conn = conn->next;
    }
    if (conn != NULL && wa_node_decode(buf_bytes(&held->packed), &world->arena, &ack, NULL) == 0) {
        sandbox_conn_send(conn, ack);
    }
}

void sandbox_account_hold_acks(struct sandbox_account *account, bool hold)
{
    account->holds_acks = hold;
    if (hold) {
        return;
    }
    sandbox_enter(account->world);
    for (const struct sandbox_held *held = account->held; held != NULL; held = held->next) {
        let_go(account->world, held);
    }
    sandbox_fault_free(account);
    sandbox_leave(account->world);
}

size_t sandbox_account_held(const struct sandbox_account *account)
{
    return account->n_held;
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
