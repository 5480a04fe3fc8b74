/* A message of one device: checked, acked, and given to each device that it is for. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_message_internal.h"
#include "wa/wa_ack.h"

enum { KEY_MAX = 128, REFUSED = 400 };

static char asked_marker;

/* ---- known already? ---- */

static void hash_enc(struct buf *all, const struct wa_jid *device, const struct wa_enc *enc)
{
    char text[WA_JID_TEXT_MAX];

    buf_addf(all, "%s %d ", wa_jid_format(device, text), (int)enc->type);
    buf_add(all, enc->bytes.p, enc->bytes.n);
}

static void hash_letter(struct sandbox_letter *letter)
{
    struct buf all = {0};

    if (letter->sent.has_enc) {
        hash_enc(&all, &letter->sent.to, &letter->sent.enc);
    }
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        if (letter->sent.targets[i].has_enc) {
            hash_enc(&all, &letter->sent.targets[i].device, &letter->sent.targets[i].enc);
        }
    }
    crypto_sha256(buf_bytes(&all), letter->hash);
    buf_done(&all);
}

/* Each answer to a retry receipt is a message of its own under the id that it repeats. */
static void set_key(struct sandbox_letter *letter, bool is_retry)
{
    const uint8_t *h = letter->hash;

    if (is_retry) {
        (void)snprintf(letter->key, sizeof(letter->key), "%.46s#%02x%02x%02x%02x%02x%02x%02x%02x",
                       letter->sent.id, h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
    } else {
        (void)snprintf(letter->key, sizeof(letter->key), "%s", letter->sent.id);
    }
}

static void remember(const struct sandbox_letter *letter)
{
    struct sandbox_device *sender = letter->sender;
    struct sandbox_remembered_id *made = mem_new0(sizeof(*made));

    if (sender->sent.n == SANDBOX_SENT_MAX) {
        struct sandbox_remembered_id *oldest = sender->sent_first;

        sender->sent_first = oldest->next;
        (void)sandbox_map_take(&sender->sent, oldest->id);
        free(oldest);
    }
    memcpy(made->hash, letter->hash, SANDBOX_HASH);
    (void)snprintf(made->id, sizeof(made->id), "%s", letter->key);
    if (sender->sent_first == NULL) {
        sender->sent_last = &sender->sent_first;
    }
    *sender->sent_last = made;
    sender->sent_last = &made->next;
    sandbox_map_put(&sender->sent, made->id, made);
}

static void asked_key(const char *id, const struct sandbox_device *asker, char out[KEY_MAX])
{
    (void)snprintf(out, KEY_MAX, "%.64s/%s.%u", id, asker->account->number,
                   (unsigned)asker->number);
}

bool sandbox_message_has_asked(const struct sandbox_letter *letter,
                               const struct sandbox_device *target)
{
    char key[KEY_MAX];

    asked_key(letter->sent.id, target, key);
    return sandbox_map_find(&letter->sender->asked, key) != NULL;
}

static bool somebody_asked(const struct sandbox_letter *letter)
{
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        const struct sandbox_device *device =
            sandbox_device_of(letter->world, &letter->sent.targets[i].device);

        if (device != NULL && sandbox_message_has_asked(letter, device)) {
            return true;
        }
    }
    return false;
}

enum seen { SEEN_NEW, SEEN_REPEAT, SEEN_DIFFERS };

/* Is this a stanza that came before? */
static enum seen look_up(struct sandbox_letter *letter)
{
    const struct sandbox_remembered_id *known;

    hash_letter(letter);
    set_key(letter, letter->is_retry);
    known = sandbox_map_find(&letter->sender->sent, letter->key);
    if (known == NULL) {
        return SEEN_NEW;
    }
    if (memcmp(known->hash, letter->hash, SANDBOX_HASH) == 0) {
        return SEEN_REPEAT;
    }
    set_key(letter, true); /* Baileys answers a phone that asks with a message for all devices */
    if (sandbox_map_find(&letter->sender->sent, letter->key) != NULL) {
        return SEEN_REPEAT;
    }
    letter->is_retry = letter->only_asked = somebody_asked(letter);
    return letter->only_asked ? SEEN_NEW : SEEN_DIFFERS;
}

/* ---- retries ---- */

void sandbox_message_asked(struct sandbox_device *sender, const char *id,
                           const struct sandbox_device *asker)
{
    char key[KEY_MAX];

    if (sender->asked.n < SANDBOX_SENT_MAX) {
        asked_key(id, asker, key);
        sandbox_map_put(&sender->asked, key, &asked_marker);
    }
}

/* The ask of @target is answered now. */
static void settle_asked(const struct sandbox_letter *letter, const struct sandbox_device *target)
{
    char key[KEY_MAX];

    asked_key(letter->sent.id, target, key);
    (void)sandbox_map_take(&letter->sender->asked, key);
}

/* ---- delivery ---- */

/* The other form of @account's address, where it is told. */
static struct wa_jid other_form(const struct sandbox_account *account, enum wa_server server,
                                uint16_t device)
{
    return account->behaviour.is_hidden ? (struct wa_jid){0}
                                        : sandbox_account_jid(account, server, device);
}

static void set_addresses(const struct sandbox_letter *letter, const struct sandbox_device *target,
                          struct wa_message_received *out)
{
    enum wa_server form = letter->sent.to.server;
    enum wa_server other = sandbox_other_server(form);
    bool is_own = target->account == letter->sender->account;
    struct wa_jid alt = other_form(letter->sender->account, other, letter->sender->number);
    struct wa_jid chat_alt = other_form(letter->to, other, 0);

    out->from = sandbox_device_jid(letter->sender, form);
    if (!is_own) {
        *(other == WA_SERVER_LID ? &out->sender_lid : &out->sender_pn) = alt;
    } else if (letter->sent.category == NULL) {
        struct wa_jid chat = letter->sent.has_enc && !wa_jid_is_none(&letter->sent.recipient)
                                 ? letter->sent.recipient /* a retry for an own device */
                                 : wa_jid_bare(&letter->sent.to);

        if (letter->sent.has_enc && !wa_jid_is_none(&letter->sent.recipient)) {
            const struct sandbox_account *other_side = sandbox_account_of(letter->world, &chat);

            out->from = sandbox_device_jid(letter->sender, chat.server);
            if (other_side != NULL) {
                chat_alt = other_form(other_side, sandbox_other_server(chat.server), 0);
            }
        }
        out->recipient = chat;
        *(chat_alt.server == WA_SERVER_LID ? &out->peer_recipient_lid : &out->peer_recipient_pn) =
            chat_alt;
    }
}

static void deliver(const struct sandbox_letter *letter, struct sandbox_device *target,
                    const struct wa_enc *enc)
{
    static const char *const relayed[] = {"meta", "bot", "biz"};
    struct wa_message_received out = {
        .id = letter->sent.id,
        .time = sandbox_now_s(letter->world),
        .type = letter->sent.type,
        .notify = letter->sender->account->name,
        .category = letter->sent.category,
        .edit = letter->sent.edit,
        .offline = -1,
        .encs = enc,
        .n_encs = 1,
    };
    struct wa_node *node;

    set_addresses(letter, target, &out);
    if (enc->type == WA_ENC_PKMSG) {
        out.device_identity = letter->sent.device_identity;
    }
    node = wa_message_received_build(&letter->world->arena, &out);
    for (size_t i = 0; i < sizeof(relayed) / sizeof(relayed[0]); i++) {
        const struct wa_node *child = wa_node_find(letter->node, relayed[i]);

        if (child != NULL) {
            wa_node_add(node, wa_node_copy(&letter->world->arena, child));
        }
    }
    sandbox_route(target, node);
}

static void deliver_all(const struct sandbox_letter *letter)
{
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        const struct wa_message_target *target = &letter->sent.targets[i];
        struct sandbox_device *device = sandbox_message_target(letter, &target->device);

        if (device != NULL && target->has_enc &&
            (!letter->only_asked || sandbox_message_has_asked(letter, device))) {
            settle_asked(letter, device);
            deliver(letter, device, &target->enc);
        }
    }
}

/* One ciphertext for the device that `to` names: a retry, or data between a phone and its own. */
static int deliver_one(const struct sandbox_letter *letter)
{
    struct sandbox_device *device = sandbox_message_target(letter, &letter->sent.to);

    if (device == NULL) {
        return 404;
    }
    if (letter->sent.category != NULL && device->account != letter->sender->account) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_BAD_STANZA,
                               "message %s: category %s for somebody else", letter->sent.id,
                               letter->sent.category);
        return REFUSED;
    }
    if (letter->is_retry && !sandbox_message_check_asked(letter, device)) {
        return REFUSED;
    }
    settle_asked(letter, device);
    deliver(letter, device, &letter->sent.enc);
    return 0;
}

/* Only sender keys and bots use others. */
static bool is_pairwise(const struct wa_enc *enc)
{
    return enc->type == WA_ENC_MSG || enc->type == WA_ENC_PKMSG;
}

static bool all_pairwise(const struct wa_message_sent *sent)
{
    bool ok = !sent->has_enc || is_pairwise(&sent->enc);

    for (size_t i = 0; i < sent->n_targets && ok; i++) {
        ok = !sent->targets[i].has_enc || is_pairwise(&sent->targets[i].enc);
    }
    return ok;
}

static bool has_count(const struct wa_message_sent *sent)
{
    bool found = sent->has_enc && (sent->enc.count > 0 || sent->single_device);

    for (size_t i = 0; i < sent->n_targets && !found; i++) {
        found = sent->targets[i].has_enc && sent->targets[i].enc.count > 0;
    }
    return found;
}

/* 0, or the error for the ack: a refused message reaches nobody, and may be sent again corrected.
 */
static int handle_new(const struct sandbox_letter *letter)
{
    bool ok = sandbox_message_check_identity(letter);
    int error = 0;

    if (letter->sent.has_enc) {
        error = ok ? deliver_one(letter) : REFUSED;
    } else if (sandbox_message_check_targets(letter) && ok) {
        deliver_all(letter);
    } else {
        error = REFUSED;
    }
    if (error == 0) {
        letter->world->totals.messages++;
        remember(letter);
    }
    return error;
}

static int handle(struct sandbox_letter *letter)
{
    struct err err = {0};

    if (wa_message_sent_parse(letter->node, &letter->world->arena, &letter->sent, &err) < 0) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_BAD_STANZA, "message: %s",
                               err.text);
        return REFUSED;
    }
    if (letter->sent.to.server == WA_SERVER_BROADCAST) {
        return 0; /* a status: nobody follows here */
    }
    letter->to = sandbox_account_of(letter->world, &letter->sent.to);
    if (letter->to == NULL) {
        return 404;
    }
    if (!all_pairwise(&letter->sent)) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_BAD_STANZA,
                               "message %s: an enc that is neither msg nor pkmsg", letter->sent.id);
        return REFUSED;
    }
    letter->is_retry = has_count(&letter->sent);
    switch (look_up(letter)) {
    case SEEN_NEW:
        return handle_new(letter);
    case SEEN_REPEAT:
        letter->world->totals.repeats++;
        return 0;
    default:
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_REPEAT_DIFFERS, "message %s",
                               letter->sent.id);
        return REFUSED;
    }
}

struct wa_node *sandbox_message_handle(struct sandbox_device *sender, const struct wa_node *node)
{
    struct sandbox_world *world = sender->account->world;
    struct sandbox_letter letter = {.world = world, .sender = sender, .node = node};
    int error = handle(&letter);

    return wa_ack_sent(&world->arena, node, sandbox_now_s(world), error);
}
