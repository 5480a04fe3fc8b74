/* A message of one device: checked, acked, and given to each device that it is for. */
#include <stdlib.h>
#include <string.h>

#include "adv.pb-c.h"
#include "sandbox/sandbox_internal.h"
#include "wa/wa_ack.h"
#include "wa/wa_message.h"
#include "wa/wa_proto.h"

enum { KEY_MAX = 128 };

/* What is known of a message while it is handled. */
struct letter {
    struct sandbox_world *world;
    struct sandbox_device *sender;
    const struct wa_node *node;
    struct wa_message_sent sent;
    struct sandbox_account *to; /* the other side of the chat */
    bool is_retry;
    bool only_asked; /* a retry for all devices: those that did not ask get nothing */
};

static char asked_marker;

/* ---- known already? ---- */

static void hash_enc(struct buf *all, const struct wa_jid *device, const struct wa_enc *enc)
{
    char text[WA_JID_TEXT_MAX];

    buf_addf(all, "%s %d ", wa_jid_format(device, text), (int)enc->type);
    buf_add(all, enc->bytes.p, enc->bytes.n);
}

static void hash_letter(const struct letter *letter, uint8_t out[SANDBOX_HASH])
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
    crypto_sha256(buf_bytes(&all), out);
    buf_done(&all);
}

static void remember(struct sandbox_device *sender, const char *key,
                     const uint8_t hash[SANDBOX_HASH])
{
    struct sandbox_remembered_id *made = mem_new0(sizeof(*made));

    if (sender->sent.n == SANDBOX_SENT_MAX) {
        struct sandbox_remembered_id *oldest = sender->sent_first;

        sender->sent_first = oldest->next;
        (void)sandbox_map_take(&sender->sent, oldest->id);
        free(oldest);
    }
    memcpy(made->hash, hash, SANDBOX_HASH);
    (void)snprintf(made->id, sizeof(made->id), "%s", key);
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

static bool has_asked(const struct letter *letter, const struct sandbox_device *target)
{
    char key[KEY_MAX];

    asked_key(letter->sent.id, target, key);
    return sandbox_map_find(&letter->sender->asked, key) != NULL;
}

static bool somebody_asked(const struct letter *letter)
{
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        const struct sandbox_device *device =
            sandbox_device_of(letter->world, &letter->sent.targets[i].device);

        if (device != NULL && has_asked(letter, device)) {
            return true;
        }
    }
    return false;
}

/* Is this a stanza that came before? Retries are told apart by whom they are for. */
static bool is_repeat(struct letter *letter)
{
    struct sandbox_remembered_id *known;
    uint8_t hash[SANDBOX_HASH];
    char key[SANDBOX_ID_MAX];

    (void)snprintf(key, sizeof(key), "%s", letter->sent.id);
    hash_letter(letter, hash);
    known = sandbox_map_find(&letter->sender->sent, key);
    if (letter->is_retry) {
        return false; /* checked by who asked for it */
    }
    if (known == NULL) {
        remember(letter->sender, key, hash);
        return false;
    }
    if (memcmp(known->hash, hash, SANDBOX_HASH) != 0 && somebody_asked(letter)) {
        letter->is_retry = letter->only_asked = true; /* Baileys, when a phone asks */
        return false;
    }
    letter->world->totals.repeats++;
    if (memcmp(known->hash, hash, SANDBOX_HASH) != 0) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_REPEAT_DIFFERS, "message %s", key);
    }
    return true;
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

static void check_asked(const struct letter *letter, const struct sandbox_device *target)
{
    char key[KEY_MAX];

    asked_key(letter->sent.id, target, key);
    if (sandbox_map_take(&letter->sender->asked, key) == NULL) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_RETRY_UNASKED,
                               "message %s for %s:%u", letter->sent.id, target->account->number,
                               (unsigned)target->number);
    }
}

/* ---- checks ---- */

/* A companion that begins a session shows that its phone vouches for it. */
static void check_identity(const struct letter *letter)
{
    struct ProtobufCMessage *raw = NULL;
    struct ProtobufCMessage *own = NULL;
    bool ok = false;

    if (letter->sender->number == 0 || !wa_message_sent_has_pkmsg(&letter->sent)) {
        return;
    }
    if (wa_proto_unpack(&wa__advsigned_device_identity__descriptor, letter->sent.device_identity,
                        &raw, NULL) == 0 &&
        wa_proto_unpack(&wa__advsigned_device_identity__descriptor,
                        buf_bytes(&letter->sender->identity), &own, NULL) == 0) {
        const Wa__ADVSignedDeviceIdentity *a = (const Wa__ADVSignedDeviceIdentity *)(void *)raw;
        const Wa__ADVSignedDeviceIdentity *b = (const Wa__ADVSignedDeviceIdentity *)(void *)own;

        ok = a->details.len == b->details.len &&
             a->device_signature.len == b->device_signature.len &&
             memcmp(a->details.data, b->details.data, a->details.len) == 0 &&
             memcmp(a->device_signature.data, b->device_signature.data, a->device_signature.len) ==
                 0;
    }
    wa_proto_free(&raw);
    wa_proto_free(&own);
    if (!ok) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_MISSING_DEVICE_IDENTITY,
                               "message %s", letter->sent.id);
    }
}

static bool is_target(const struct letter *letter, const struct sandbox_device *device)
{
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        if (letter->sent.targets[i].has_enc &&
            sandbox_device_of(letter->world, &letter->sent.targets[i].device) == device) {
            return true;
        }
    }
    return false;
}

/* Every device of @account that the sender was told of must be among the targets. */
static void check_left_out(const struct letter *letter, struct sandbox_account *account)
{
    const struct sandbox_listed *listed =
        sandbox_map_find(&letter->sender->listed, account->number);

    for (size_t i = 0; listed != NULL && i <= account->n_companions; i++) {
        const struct sandbox_device *device =
            i == 0 ? &account->phone_device : account->companions[i - 1];
        bool was_listed = (listed->devices[device->number / 8] & (1U << (device->number % 8))) != 0;

        if (was_listed && device != letter->sender && !is_target(letter, device)) {
            sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_DEVICE_LEFT_OUT,
                                   "message %s has nothing for %s:%u", letter->sent.id,
                                   account->number, (unsigned)device->number);
        }
    }
}

/* ---- delivery ---- */

static void set_addresses(const struct letter *letter, const struct sandbox_device *target,
                          struct wa_message_received *out)
{
    enum wa_server form = letter->sent.to.server;
    enum wa_server other = sandbox_other_server(form);
    bool is_own = target->account == letter->sender->account;
    struct wa_jid alt = sandbox_device_jid(letter->sender, other);
    struct wa_jid chat_alt = sandbox_account_jid(letter->to, other, 0);

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
                chat_alt = sandbox_account_jid(other_side, sandbox_other_server(chat.server), 0);
            }
        }
        out->recipient = chat;
        *(chat_alt.server == WA_SERVER_LID ? &out->peer_recipient_lid : &out->peer_recipient_pn) =
            chat_alt;
    }
}

static void deliver(const struct letter *letter, struct sandbox_device *target,
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

/* The device that a target names; NULL when there is none to give it to. */
static struct sandbox_device *target_device(const struct letter *letter, const struct wa_jid *jid)
{
    struct sandbox_account *account = sandbox_account_of(letter->world, jid);
    struct sandbox_device *device;
    char text[WA_JID_TEXT_MAX];

    if (account == NULL || (account != letter->to && account != letter->sender->account) ||
        jid->device > account->last_device) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_UNKNOWN_DEVICE,
                               "message %s for %s", letter->sent.id, wa_jid_format(jid, text));
        return NULL;
    }
    device = sandbox_account_find(account, jid->device); /* NULL: it was removed since */
    return device == letter->sender ? NULL : device;
}

static void deliver_all(const struct letter *letter)
{
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        const struct wa_message_target *target = &letter->sent.targets[i];
        struct sandbox_device *device = target_device(letter, &target->device);
        bool repeated = false;

        for (size_t j = 0; j < i && device != NULL; j++) {
            repeated = repeated ||
                       sandbox_device_of(letter->world, &letter->sent.targets[j].device) == device;
        }
        if (repeated) {
            sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_REPEATED_DEVICE, "message %s",
                                   letter->sent.id);
        } else if (device != NULL && target->has_enc &&
                   (!letter->only_asked || has_asked(letter, device))) {
            if (target->enc.count > 0 || letter->only_asked) {
                check_asked(letter, device);
            }
            deliver(letter, device, &target->enc);
        }
    }
}

/* One ciphertext for the device that `to` names: a retry, or data between a phone and its own. */
static int deliver_one(const struct letter *letter)
{
    struct sandbox_device *device = sandbox_device_of(letter->world, &letter->sent.to);

    if (device == NULL || device == letter->sender) {
        return 404;
    }
    if (letter->sent.category != NULL && device->account != letter->sender->account) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_BAD_STANZA,
                               "message %s: category %s for somebody else", letter->sent.id,
                               letter->sent.category);
        return 400;
    }
    if (letter->is_retry) {
        check_asked(letter, device);
    }
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

/* Returns the error for the ack, 0 for none. */
static int handle(struct letter *letter)
{
    struct err err = {0};

    if (wa_message_sent_parse(letter->node, &letter->world->arena, &letter->sent, &err) < 0) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_BAD_STANZA, "message: %s",
                               err.text);
        return 400;
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
        return 400;
    }
    letter->is_retry = has_count(&letter->sent);
    if (is_repeat(letter)) {
        return 0;
    }
    letter->world->totals.messages++;
    check_identity(letter);
    if (letter->sent.has_enc) {
        return deliver_one(letter);
    }
    if (!letter->is_retry) {
        check_left_out(letter, letter->to);
        if (letter->to != letter->sender->account) {
            check_left_out(letter, letter->sender->account);
        }
    }
    deliver_all(letter);
    return 0;
}

struct wa_node *sandbox_message_handle(struct sandbox_device *sender, const struct wa_node *node)
{
    struct sandbox_world *world = sender->account->world;
    struct letter letter = {.world = world, .sender = sender, .node = node};
    int error = handle(&letter);

    return wa_ack_sent(&world->arena, node, sandbox_now_s(world), error);
}
