/* What the server tells by itself: changed devices, prekeys that run out, who is about. */
#include <string.h>

#include "sandbox/sandbox_internal.h"

/* `<notification type= from= id= t=>` */
static struct wa_node *notification(struct sandbox_world *world, const char *type,
                                    const struct wa_jid *from)
{
    struct wa_node *node = wa_node_new(&world->arena, "notification");

    wa_node_set(node, "type", type);
    wa_node_set_jid(node, "from", from);
    wa_node_set(node, "id", sandbox_stanza_id(world));
    wa_node_set_int(node, "t", sandbox_now_s(world));
    return node;
}

static void add_index_list(struct sandbox_account *account, struct wa_node *parent, bool with_bytes)
{
    struct wa_node *list = wa_node_child(parent, "key-index-list");
    struct buf bytes = {0};

    wa_node_set_int(list, "ts", account->list_changed_s);
    if (with_bytes) {
        sandbox_account_index_list(account, &bytes);
        wa_node_set_bytes(list, buf_bytes(&bytes));
        buf_done(&bytes);
    }
}

static void add_device(struct sandbox_account *account, struct wa_node *parent, uint16_t number,
                       uint32_t key_index)
{
    struct wa_jid pn = sandbox_account_jid(account, WA_SERVER_PN, number);
    struct wa_jid lid = sandbox_account_jid(account, WA_SERVER_LID, number);
    struct wa_node *node = wa_node_child(parent, "device");

    wa_node_set_jid(node, "jid", &pn);
    wa_node_set_jid(node, "lid", &lid);
    if (number != 0) {
        wa_node_set_int(node, "key-index", key_index);
    }
}

/* The whole list, as own companions get it. */
static struct wa_node *account_sync(struct sandbox_account *account)
{
    struct wa_jid own = sandbox_account_jid(account, WA_SERVER_PN, 0);
    struct wa_node *node = notification(account->world, "account_sync", &own);
    struct wa_node *devices = wa_node_child(node, "devices");
    char hash[16];

    sandbox_account_device_hash(account, WA_SERVER_PN, hash);
    wa_node_set(devices, "dhash", hash);
    add_device(account, devices, 0, 0);
    for (size_t i = 0; i < account->n_companions; i++) {
        add_device(account, devices, account->companions[i]->number,
                   account->companions[i]->key_index);
    }
    add_index_list(account, devices, true);
    return node;
}

/* The change alone, as everybody gets it. */
static struct wa_node *devices_changed(struct sandbox_account *account,
                                       const struct sandbox_change *change)
{
    struct wa_jid pn = sandbox_account_jid(account, WA_SERVER_PN, 0);
    struct wa_jid lid = sandbox_account_jid(account, WA_SERVER_LID, 0);
    struct wa_node *node = notification(account->world, "devices", &pn);
    struct wa_node *child = wa_node_child(node, change->is_added ? "add" : "remove");
    char hash[16];

    if (!account->behaviour.is_hidden) {
        wa_node_set_jid(node, "lid", &lid);
    }
    sandbox_account_device_hash(account, WA_SERVER_PN, hash);
    wa_node_set(child, "device_hash", hash);
    sandbox_account_device_hash(account, WA_SERVER_LID, hash);
    wa_node_set(child, "device_lid_hash", hash);
    add_device(account, child, change->device, change->key_index);
    add_index_list(account, child, change->is_added);
    return node;
}

static void tell(struct sandbox_account *account, const struct sandbox_change *change,
                 struct sandbox_device *to)
{
    bool is_own = to->account == account;

    if (is_own && to->number == change->device) {
        return;
    }
    if (is_own) {
        sandbox_route(to, account_sync(account));
    }
    if (is_own || sandbox_map_find(&to->listed, account->number) != NULL) {
        sandbox_route(to, devices_changed(account, change));
    }
}

void sandbox_notify_devices(struct sandbox_account *account, const struct sandbox_change *change)
{
    const struct sandbox_world *world = account->world;

    for (size_t i = 0; i < world->n_accounts; i++) {
        for (size_t j = 0; j < world->accounts[i]->n_companions; j++) {
            tell(account, change, world->accounts[i]->companions[j]);
        }
    }
}

void sandbox_notify_prekeys(struct sandbox_device *device)
{
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);
    struct wa_node *node;

    if (device->n_prekeys >= SANDBOX_PREKEYS_LOW) {
        device->was_told_low = false;
        return;
    }
    if (!device->has_uploaded || device->was_told_low || !device->is_active) {
        return;
    }
    device->was_told_low = true;
    node = notification(device->account->world, "encrypt", &server);
    wa_node_set_int(wa_node_child(node, "count"), "value", (int64_t)device->n_prekeys);
    sandbox_route(device, node);
}

void sandbox_notify_appstate(struct sandbox_account *account, const char *collection,
                             uint64_t version, const struct sandbox_device *except)
{
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);
    struct wa_node *node = notification(account->world, "server_sync", &server);
    struct wa_node *child = wa_node_child(node, "collection");

    wa_node_set(child, "name", collection);
    wa_node_set_int(child, "version", (int64_t)version);
    for (size_t i = 0; i < account->n_companions; i++) {
        if (account->companions[i] != except) {
            sandbox_route(account->companions[i], node);
        }
    }
}

void sandbox_notify_token(struct sandbox_account *from, struct sandbox_account *to,
                          struct bytes token)
{
    struct wa_jid pn = sandbox_account_jid(from, WA_SERVER_PN, 0);
    struct wa_jid lid = sandbox_account_jid(from, WA_SERVER_LID, 0);
    struct wa_jid holder = sandbox_account_jid(to, WA_SERVER_PN, 0);
    struct wa_node *node = notification(from->world, "privacy_token", &pn);
    struct wa_node *child = wa_node_child(wa_node_child(node, "tokens"), "token");

    wa_node_set_jid(node, "sender_lid", &lid);
    wa_node_set_jid(child, "jid", &holder);
    wa_node_set(child, "type", "trusted_contact");
    wa_node_set_int(child, "t", sandbox_now_s(from->world));
    wa_node_set_bytes(child, token);
    for (size_t i = 0; i < to->n_companions; i++) {
        sandbox_route(to->companions[i], node);
    }
}

/* ---- presence, chat states ---- */

static void chatstate(struct sandbox_device *device, const struct wa_node *node)
{
    struct sandbox_world *world = device->account->world;
    struct sandbox_account *to;
    struct wa_node *out;
    struct wa_jid jid;

    if (!wa_node_attr_jid(node, "to", &jid)) {
        return;
    }
    to = sandbox_account_of(world, &jid);
    if (to == NULL || to == device->account) {
        return;
    }
    out = wa_node_copy(&world->arena, node);
    (void)wa_node_unset(out, "to");
    jid = sandbox_account_jid(device->account, jid.server, 0);
    wa_node_set_jid(out, "from", &jid);
    for (size_t i = 0; i < to->n_companions; i++) {
        if (to->companions[i]->is_available) {
            sandbox_route(to->companions[i], out);
        }
    }
}

void sandbox_presence_handle(struct sandbox_device *device, const struct wa_node *node)
{
    const char *name = wa_node_attr(node, "name");

    if (wa_node_is(node, "chatstate")) {
        chatstate(device, node);
        return;
    }
    if (name != NULL && name[0] != '\0') {
        sandbox_account_rename(device->account, name);
    }
    if (wa_node_attr_is(node, "type", "available")) {
        device->is_available = true;
    } else if (wa_node_attr_is(node, "type", "unavailable")) {
        device->is_available = false;
    }
}
