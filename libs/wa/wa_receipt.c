#include "wa/wa_receipt.h"

#include <string.h>

#include "base/err.h"
#include "wa/wa_optional.h"

static const char *const type_names[] = {
#define RECEIPT_NAME(name, text) [WA_RECEIPT_##name] = (text),
    WA_RECEIPT_LIST(RECEIPT_NAME)
#undef RECEIPT_NAME
};

enum { TYPES = sizeof(type_names) / sizeof(type_names[0]) };

static enum wa_receipt_type find_type(const char *name)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(name == NULL ? "" : name, type_names[i]) == 0) {
            return (enum wa_receipt_type)i;
        }
    }
    return WA_RECEIPT_OTHER;
}

static void set_jid(struct wa_node *node, const char *key, const struct wa_jid *jid)
{
    if (!wa_jid_is_none(jid)) {
        wa_node_set_jid(node, key, jid);
    }
}

/* ---- build ---- */

static struct wa_node *build(struct arena *arena, const struct wa_receipt *receipt,
                             const char *peer_key)
{
    struct wa_node *node = wa_node_new(arena, "receipt");

    wa_node_set(node, "id", receipt->id);
    set_jid(node, peer_key, &receipt->peer);
    if (receipt->type != WA_RECEIPT_DELIVERED) {
        wa_node_set(node, "type", type_names[receipt->type]);
    }
    set_jid(node, "participant", &receipt->participant);
    set_jid(node, "recipient", &receipt->recipient);
    set_jid(node, "sender_lid", &receipt->sender_lid);
    wa_node_set(node, "category", receipt->category);
    if (receipt->time > 0) {
        wa_node_set_int(node, "t", receipt->time);
    }
    if (receipt->n_more > 0) {
        struct wa_node *list = wa_node_child(node, "list");

        for (size_t i = 0; i < receipt->n_more; i++) {
            wa_node_set(wa_node_child(list, "item"), "id", receipt->more[i]);
        }
    }
    if (receipt->n_users > 0) {
        struct wa_node *users = wa_node_child(node, "participants");

        wa_node_set(users, "key", receipt->id);
        for (size_t i = 0; i < receipt->n_users; i++) {
            struct wa_node *user = wa_node_child(users, "user");

            wa_node_set_jid(user, "jid", &receipt->users[i].user);
            wa_node_set_int(user, "t", receipt->users[i].time);
        }
    }
    return node;
}

struct wa_node *wa_receipt_to_server(struct arena *arena, const struct wa_receipt *receipt)
{
    return build(arena, receipt, "to");
}

struct wa_node *wa_receipt_to_client(struct arena *arena, const struct wa_receipt *receipt)
{
    struct wa_node *node = build(arena, receipt, "from");

    if (receipt->offline >= 0) {
        wa_node_set_int(node, "offline", receipt->offline);
    }
    return node;
}

/* ---- parse ---- */

static int take_ids(const struct wa_node *node, struct arena *arena, struct wa_receipt *out,
                    struct err *err)
{
    const struct wa_node *list = wa_node_find(node, "list");
    size_t n = wa_node_count(list, "item");
    const char **more;

    if (n > WA_RECEIPT_IDS_MAX) {
        return err_set(err, ERR_LIMIT, "a receipt of %zu messages, at most %d", n,
                       WA_RECEIPT_IDS_MAX);
    }
    more = arena_array0(arena, n, sizeof(*more));
    WA_NODE_EACH(item, list)
    {
        const char *id = wa_node_attr(item, "id");

        if (wa_node_is(item, "item") && id != NULL && strlen(id) <= WA_MESSAGE_ID_MAX) {
            more[out->n_more++] = id;
        }
    }
    out->more = more;
    return 0;
}

static int take_users(const struct wa_node *node, struct arena *arena, struct wa_receipt *out,
                      struct err *err)
{
    const struct wa_node *participants = wa_node_find(node, "participants");
    size_t n = wa_node_count(participants, "user");
    struct wa_receipt_user *users;

    if (n > WA_RECEIPT_USERS_MAX) {
        return err_set(err, ERR_LIMIT, "a receipt of %zu users, at most %d", n,
                       WA_RECEIPT_USERS_MAX);
    }
    users = arena_array0(arena, n, sizeof(*users));
    WA_NODE_EACH(user, participants)
    {
        struct wa_receipt_user *to = &users[out->n_users];

        if (wa_node_is(user, "user") && wa_node_attr_jid(user, "jid", &to->user)) {
            to->time = wa_node_attr_time(user, "t");
            out->n_users++;
        }
    }
    out->users = users;
    return 0;
}

static int parse(const struct wa_node *node, const char *peer_key, struct arena *arena,
                 struct wa_receipt *out, struct err *err)
{
    struct wa_receipt made = {.id = wa_node_attr(node, "id"),
                              .type = find_type(wa_node_attr(node, "type")),
                              .category = wa_node_attr(node, "category")};
    int64_t offline = -1;
    int rc;

    if (!wa_node_is(node, "receipt") || made.id == NULL || made.id[0] == '\0' ||
        strlen(made.id) > WA_MESSAGE_ID_MAX) {
        return err_set(err, ERR_INVALID, "a receipt without id");
    }
    wa_optional_jid(node, peer_key, &made.peer);
    wa_optional_jid(node, "participant", &made.participant);
    wa_optional_jid(node, "recipient", &made.recipient);
    wa_optional_jid(node, "sender_lid", &made.sender_lid);
    made.time = wa_node_attr_time(node, "t");
    wa_optional_int(node, "offline", INT32_MAX, &offline);
    made.offline = (int)offline;
    rc = take_ids(node, arena, &made, err);
    if (rc == 0) {
        rc = take_users(node, arena, &made, err);
    }
    if (rc == 0) {
        *out = made;
    }
    return rc;
}

int wa_receipt_from_client(const struct wa_node *node, struct arena *arena, struct wa_receipt *out,
                           struct err *err)
{
    return parse(node, "to", arena, out, err);
}

int wa_receipt_from_server(const struct wa_node *node, struct arena *arena, struct wa_receipt *out,
                           struct err *err)
{
    struct wa_jid from;

    if (wa_node_is(node, "receipt") &&
        (!wa_node_attr_jid(node, "from", &from) || wa_node_attr(node, "t") == NULL)) {
        return err_set(err, ERR_INVALID, "a receipt without sender or time");
    }
    return parse(node, "from", arena, out, err);
}

void wa_receipt_for(const struct wa_message_received *message, const struct wa_message_view *view,
                    bool is_active, struct wa_receipt *out)
{
    *out = (struct wa_receipt){.id = message->id,
                               .peer = message->from,
                               .participant = message->participant,
                               .type = is_active ? WA_RECEIPT_DELIVERED : WA_RECEIPT_INACTIVE,
                               .offline = -1};
    if (view->is_peer) {
        out->type = WA_RECEIPT_PEER;
        out->peer = view->chat;
    } else if (view->from_me) {
        out->type = WA_RECEIPT_SENDER;
        out->recipient = message->recipient;
    }
}

/* ---- retry ---- */

static void add_keys(struct wa_node *node, const struct wa_retry *retry)
{
    struct wa_node *keys = wa_node_child(node, "keys");
    const struct wa_bundle *bundle = &retry->keys;

    wa_node_set_be(wa_node_child(keys, "type"), 5, 1);
    wa_node_set_bytes(wa_node_child(keys, "identity"),
                      (struct bytes){bundle->identity, CRYPTO_KEY});
    if (bundle->has_prekey) {
        struct wa_prekey key = {.id = bundle->prekey_id};

        memcpy(key.public_key, bundle->prekey_public, CRYPTO_KEY);
        wa_prekeys_add_key(keys, &key);
    }
    wa_prekeys_add_skey(keys, bundle);
    if (retry->device_identity.n > 0) {
        wa_node_set_bytes(wa_node_child(keys, "device-identity"), retry->device_identity);
    }
}

struct wa_node *wa_retry_to_server(struct arena *arena, const struct wa_message_received *message,
                                   const struct wa_retry *retry)
{
    const struct wa_receipt receipt = {.id = message->id,
                                       .type = WA_RECEIPT_RETRY,
                                       .peer = message->from,
                                       .participant = message->participant,
                                       .recipient = message->recipient,
                                       .category = message->category};
    struct wa_node *node = wa_receipt_to_server(arena, &receipt);
    struct wa_node *inner = wa_node_child(node, "retry");

    wa_node_set(inner, "v", "1");
    wa_node_set_int(inner, "count", retry->count);
    wa_node_set(inner, "id", message->id);
    wa_node_set_int(inner, "t", message->time);
    if (retry->reason > 0) {
        wa_node_set_int(inner, "error", retry->reason);
    }
    wa_node_set_be(wa_node_child(node, "registration"), retry->registration_id, 4);
    if (retry->has_keys) {
        add_keys(node, retry);
    }
    return node;
}

static bool take_keys(const struct wa_node *keys, struct wa_bundle *out)
{
    const struct wa_node *key = wa_node_find(keys, "key");
    struct wa_prekey once;

    if (!wa_node_copy_bytes(wa_node_find(keys, "identity"), out->identity, CRYPTO_KEY) ||
        !wa_prekeys_take_skey(wa_node_find(keys, "skey"), out)) {
        return false;
    }
    if (key != NULL) {
        if (!wa_prekeys_take_key(key, &once)) {
            return false;
        }
        out->has_prekey = true;
        out->prekey_id = once.id;
        memcpy(out->prekey_public, once.public_key, CRYPTO_KEY);
    }
    return wa_bundle_holds(out);
}

int wa_retry_parse(const struct wa_node *receipt, struct wa_retry *out, struct err *err)
{
    const struct wa_node *inner = wa_node_find(receipt, "retry");
    const struct wa_node *keys = wa_node_find(receipt, "keys");
    struct wa_retry made = {.id = wa_node_attr(inner, "id")};
    int64_t count;
    int64_t reason = 0;

    if (!wa_node_attr_int(inner, "count", 1, WA_RETRY_COUNT_MAX, &count) ||
        !wa_node_be(wa_node_find(receipt, "registration"), 4, &made.registration_id)) {
        return err_set(err, ERR_INVALID, "a retry receipt without count or registration");
    }
    if (made.id == NULL) {
        made.id = wa_node_attr(receipt, "id");
    }
    made.time = wa_node_attr_time(inner, "t");
    wa_optional_int(inner, "error", 1000, &reason);
    made.count = (int)count;
    made.reason = (unsigned)reason;
    if (keys != NULL) {
        made.keys.registration_id = made.registration_id;
        made.has_keys = take_keys(keys, &made.keys);
        made.device_identity = wa_node_bytes(wa_node_find(keys, "device-identity"));
    }
    *out = made;
    return 0;
}
