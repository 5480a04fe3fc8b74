#include "wa/wa_message.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "wa/wa_optional.h"

static void set_jid(struct wa_node *node, const char *key, const struct wa_jid *jid)
{
    if (!wa_jid_is_none(jid)) {
        wa_node_set_jid(node, key, jid);
    }
}

static bool id_is_fine(const char *id)
{
    return id != NULL && id[0] != '\0' && strlen(id) <= WA_MESSAGE_ID_MAX;
}

/* ---- client to server ---- */

bool wa_message_sent_has_pkmsg(const struct wa_message_sent *message)
{
    bool found = message->has_enc && message->enc.type == WA_ENC_PKMSG;

    for (size_t i = 0; i < message->n_targets && !found; i++) {
        found = message->targets[i].has_enc && message->targets[i].enc.type == WA_ENC_PKMSG;
    }
    return found;
}

static void add_targets(struct wa_node *node, const struct wa_message_sent *message)
{
    struct wa_node *participants;

    if (message->n_targets == 0) {
        return;
    }
    participants = wa_node_child(node, "participants");
    for (size_t i = 0; i < message->n_targets; i++) {
        struct wa_node *to = wa_node_child(participants, "to");

        wa_node_set_jid(to, "jid", &message->targets[i].device);
        if (message->targets[i].has_enc) {
            (void)wa_enc_add(to, &message->targets[i].enc);
        }
    }
}

struct wa_node *wa_message_sent_build(struct arena *arena, const struct wa_message_sent *message)
{
    struct wa_node *node = wa_node_new(arena, "message");

    assert(id_is_fine(message->id) && (message->n_targets > 0 || message->has_enc));
    wa_node_set(node, "id", message->id);
    wa_node_set_jid(node, "to", &message->to);
    wa_node_set(node, "type", message->type);
    wa_node_set(node, "edit", message->edit);
    wa_node_set(node, "category", message->category);
    wa_node_set(node, "phash", message->phash);
    wa_node_set(node, "addressing_mode", message->addressing_mode);
    set_jid(node, "participant", &message->participant);
    set_jid(node, "recipient", &message->recipient);
    set_jid(node, "peer_recipient_pn", &message->peer_recipient_pn);
    if (message->single_device) {
        wa_node_set(node, "device_fanout", "false");
    }
    if (message->time > 0) {
        wa_node_set_int(node, "t", message->time);
    }
    add_targets(node, message);
    if (message->has_enc) {
        (void)wa_enc_add(node, &message->enc);
    }
    if (message->device_identity.n > 0 && wa_message_sent_has_pkmsg(message)) {
        wa_node_set_bytes(wa_node_child(node, "device-identity"), message->device_identity);
    }
    return node;
}

static int take_targets(const struct wa_node *node, struct arena *arena,
                        struct wa_message_sent *out, struct err *err)
{
    const struct wa_node *participants = wa_node_find(node, "participants");
    size_t n = wa_node_count(participants, "to");
    struct wa_message_target *targets;

    if (n > WA_MESSAGE_TARGETS_MAX) {
        return err_set(err, ERR_LIMIT, "a message for %zu devices, at most %d", n,
                       WA_MESSAGE_TARGETS_MAX);
    }
    targets = arena_array0(arena, n, sizeof(*targets));
    WA_NODE_EACH(to, participants)
    {
        struct wa_message_target *target = &targets[out->n_targets];
        const struct wa_node *enc = wa_node_find(to, "enc");

        if (!wa_node_is(to, "to")) {
            continue;
        }
        if (!wa_node_attr_jid(to, "jid", &target->device) ||
            (enc != NULL && !wa_enc_parse(enc, &target->enc))) {
            return err_set(err, ERR_INVALID, "target %zu of message %s is malformed",
                           out->n_targets + 1, out->id);
        }
        target->has_enc = enc != NULL;
        out->n_targets++;
    }
    out->targets = targets;
    return 0;
}

int wa_message_sent_parse(const struct wa_node *node, struct arena *arena,
                          struct wa_message_sent *out, struct err *err)
{
    const struct wa_node *enc = wa_node_find(node, "enc");
    struct wa_message_sent made = {.id = wa_node_attr(node, "id"),
                                   .type = wa_node_attr(node, "type"),
                                   .edit = wa_node_attr(node, "edit"),
                                   .category = wa_node_attr(node, "category"),
                                   .phash = wa_node_attr(node, "phash"),
                                   .addressing_mode = wa_node_attr(node, "addressing_mode"),
                                   .single_device =
                                       wa_node_attr_is(node, "device_fanout", "false")};
    int rc;

    if (!wa_node_is(node, "message") || !id_is_fine(made.id) ||
        !wa_node_attr_jid(node, "to", &made.to)) {
        return err_set(err, ERR_INVALID, "a message without id or address");
    }
    if (made.type == NULL) {
        return err_set(err, ERR_INVALID, "message %s has no type", made.id);
    }
    wa_optional_jid(node, "participant", &made.participant);
    wa_optional_jid(node, "recipient", &made.recipient);
    wa_optional_jid(node, "peer_recipient_pn", &made.peer_recipient_pn);
    made.time = wa_node_attr_time(node, "t");
    made.device_identity = wa_node_bytes(wa_node_find(node, "device-identity"));
    if (enc != NULL && !wa_enc_parse(enc, &made.enc)) {
        return err_set(err, ERR_INVALID, "the enc of message %s is malformed", made.id);
    }
    made.has_enc = enc != NULL;
    rc = take_targets(node, arena, &made, err);
    if (rc < 0) {
        return rc;
    }
    if (!made.has_enc && made.n_targets == 0) {
        return err_set(err, ERR_INVALID, "message %s is for nobody", made.id);
    }
    *out = made;
    return 0;
}

/* ---- server to client ---- */

static const struct {
    const char *key;
    size_t at;
} other_forms[] = {
    {"sender_pn", offsetof(struct wa_message_received, sender_pn)},
    {"sender_lid", offsetof(struct wa_message_received, sender_lid)},
    {"participant_pn", offsetof(struct wa_message_received, participant_pn)},
    {"participant_lid", offsetof(struct wa_message_received, participant_lid)},
    {"peer_recipient_pn", offsetof(struct wa_message_received, peer_recipient_pn)},
    {"peer_recipient_lid", offsetof(struct wa_message_received, peer_recipient_lid)},
};

enum { OTHER_FORMS = sizeof(other_forms) / sizeof(other_forms[0]) };

struct wa_node *wa_message_received_build(struct arena *arena,
                                          const struct wa_message_received *message)
{
    struct wa_node *node = wa_node_new(arena, "message");

    wa_node_set_jid(node, "from", &message->from);
    wa_node_set(node, "id", message->id);
    wa_node_set_int(node, "t", message->time);
    wa_node_set(node, "type", message->type);
    wa_node_set(node, "notify", message->notify);
    wa_node_set(node, "addressing_mode", message->addressing_mode);
    wa_node_set(node, "category", message->category);
    wa_node_set(node, "edit", message->edit);
    set_jid(node, "participant", &message->participant);
    set_jid(node, "recipient", &message->recipient);
    for (size_t i = 0; i < OTHER_FORMS; i++) {
        set_jid(node, other_forms[i].key,
                (const struct wa_jid *)((const char *)message + other_forms[i].at));
    }
    if (message->offline >= 0) {
        wa_node_set_int(node, "offline", message->offline);
    }
    for (size_t i = 0; i < message->n_encs; i++) {
        (void)wa_enc_add(node, &message->encs[i]);
    }
    if (message->device_identity.n > 0) {
        wa_node_set_bytes(wa_node_child(node, "device-identity"), message->device_identity);
    }
    if (message->is_unavailable) {
        (void)wa_node_child(node, "unavailable");
    }
    return node;
}

static int take_encs(const struct wa_node *node, struct arena *arena,
                     struct wa_message_received *out, struct err *err)
{
    size_t n = wa_node_count(node, "enc");
    struct wa_enc *encs;

    if (n > WA_MESSAGE_ENCS_MAX) {
        return err_set(err, ERR_LIMIT, "message %s has %zu encs, at most %d", out->id, n,
                       WA_MESSAGE_ENCS_MAX);
    }
    encs = arena_array0(arena, n, sizeof(*encs));
    WA_NODE_EACH(child, node)
    {
        if (!wa_node_is(child, "enc")) {
            continue;
        }
        if (wa_enc_parse(child, &encs[out->n_encs])) {
            out->n_encs++;
        } else {
            out->n_unknown++;
        }
    }
    out->encs = encs;
    return 0;
}

static bool speaks_for_others(const struct wa_jid *jid)
{
    return wa_jid_is_group(jid) || jid->server == WA_SERVER_BROADCAST;
}

int wa_message_received_parse(const struct wa_node *node, struct arena *arena,
                              struct wa_message_received *out, struct err *err)
{
    struct wa_message_received made = {.id = wa_node_attr(node, "id"),
                                       .type = wa_node_attr(node, "type"),
                                       .notify = wa_node_attr(node, "notify"),
                                       .addressing_mode = wa_node_attr(node, "addressing_mode"),
                                       .category = wa_node_attr(node, "category"),
                                       .edit = wa_node_attr(node, "edit")};
    int64_t offline = -1;
    int rc;

    if (!wa_node_is(node, "message") || !id_is_fine(made.id) ||
        !wa_node_attr_jid(node, "from", &made.from) || wa_node_attr(node, "t") == NULL) {
        return err_set(err, ERR_INVALID, "a message without id, sender or time");
    }
    made.time = wa_node_attr_time(node, "t");
    wa_optional_jid(node, "participant", &made.participant);
    if (speaks_for_others(&made.from) && wa_jid_is_none(&made.participant)) {
        return err_set(err, ERR_INVALID, "group message %s does not say who wrote it", made.id);
    }
    wa_optional_jid(node, "recipient", &made.recipient);
    for (size_t i = 0; i < OTHER_FORMS; i++) {
        wa_optional_jid(node, other_forms[i].key,
                        (struct wa_jid *)((char *)&made + other_forms[i].at));
    }
    wa_optional_int(node, "offline", INT32_MAX, &offline);
    made.offline = (int)offline;
    made.device_identity = wa_node_bytes(wa_node_find(node, "device-identity"));
    made.is_unavailable = wa_node_find(node, "unavailable") != NULL;
    rc = take_encs(node, arena, &made, err);
    if (rc == 0) {
        *out = made;
    }
    return rc;
}

/* ---- who and where ---- */

static bool is_own(const struct wa_jid *jid, const struct wa_jid *own_pn,
                   const struct wa_jid *own_lid)
{
    return wa_jid_same_user(jid, own_pn) ||
           (!wa_jid_is_none(own_lid) && wa_jid_same_user(jid, own_lid));
}

/* The form of a person that @jid is not: @lid for a number, @pn for a LID. */
static struct wa_jid other_form(const struct wa_jid *jid, const struct wa_jid *pn,
                                const struct wa_jid *lid)
{
    return wa_jid_is_lid(jid) ? *pn : *lid;
}

static struct wa_jid same_device(const struct wa_jid *user, uint16_t device)
{
    return wa_jid_is_none(user) ? *user : wa_jid_with_device(user, device);
}

bool wa_message_view(const struct wa_message_received *message, const struct wa_jid *own_pn,
                     const struct wa_jid *own_lid, struct wa_message_view *out)
{
    struct wa_message_view view = {0};

    view.is_group = speaks_for_others(&message->from);
    view.sender = view.is_group ? message->participant : message->from;
    if (!wa_jid_is_user(&view.sender)) {
        return false;
    }
    view.from_me = is_own(&view.sender, own_pn, own_lid);
    if (view.is_group) {
        view.chat = message->from;
        view.sender_alt =
            other_form(&view.sender, &message->participant_pn, &message->participant_lid);
    } else if (!wa_jid_is_none(&message->recipient) && !view.from_me) {
        return false;
    } else if (view.from_me) {
        view.chat =
            wa_jid_bare(wa_jid_is_none(&message->recipient) ? &message->from : &message->recipient);
        view.chat_alt =
            other_form(&view.chat, &message->peer_recipient_pn, &message->peer_recipient_lid);
        view.sender_alt = other_form(&view.sender, own_pn, own_lid);
    } else {
        view.chat = wa_jid_bare(&message->from);
        view.sender_alt = other_form(&view.sender, &message->sender_pn, &message->sender_lid);
        view.chat_alt = view.sender_alt;
    }
    view.chat_alt = wa_jid_bare(&view.chat_alt);
    view.sender_alt = same_device(&view.sender_alt, view.sender.device);
    view.is_peer =
        view.from_me && message->category != NULL && strcmp(message->category, "peer") == 0;
    *out = view;
    return true;
}
