/* A message of one device: checked, acked, and given to each device that it is for. */
#include <stdlib.h>
#include <string.h>

#include "adv.pb-c.h"
#include "sandbox/sandbox_internal.h"
#include "wa/wa_ack.h"
#include "wa/wa_message.h"
#include "wa/wa_proto.h"

enum { KEY_MAX = 128, REFUSED = 400 };

/* What is known of a message while it is handled. */
struct letter {
    struct sandbox_world *world;
    struct sandbox_device *sender;
    const struct wa_node *node;
    struct wa_message_sent sent;
    struct sandbox_account *to; /* the other side of the chat */
    uint8_t hash[SANDBOX_HASH]; /* of its ciphertexts */
    char key[SANDBOX_ID_MAX];   /* by which it is remembered */
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

static void hash_letter(struct letter *letter)
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
static void set_key(struct letter *letter, bool is_retry)
{
    const uint8_t *h = letter->hash;

    if (is_retry) {
        (void)snprintf(letter->key, sizeof(letter->key), "%.46s#%02x%02x%02x%02x%02x%02x%02x%02x",
                       letter->sent.id, h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
    } else {
        (void)snprintf(letter->key, sizeof(letter->key), "%s", letter->sent.id);
    }
}

static void remember(const struct letter *letter)
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

enum seen { SEEN_NEW, SEEN_REPEAT, SEEN_DIFFERS };

/* Is this a stanza that came before? */
static enum seen look_up(struct letter *letter)
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
static void settle_asked(const struct letter *letter, const struct sandbox_device *target)
{
    char key[KEY_MAX];

    asked_key(letter->sent.id, target, key);
    (void)sandbox_map_take(&letter->sender->asked, key);
}

/* ---- checks: each counts what is wrong, and says whether nothing is ---- */

static bool check_asked(const struct letter *letter, const struct sandbox_device *target)
{
    if (has_asked(letter, target)) {
        return true;
    }
    sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_RETRY_UNASKED, "message %s for %s:%u",
                           letter->sent.id, target->account->number, (unsigned)target->number);
    return false;
}

/* A companion that begins a session shows that its phone vouches for it. */
static bool check_identity(const struct letter *letter)
{
    struct ProtobufCMessage *raw = NULL;
    struct ProtobufCMessage *own = NULL;
    bool ok = false;

    if (letter->sender->number == 0 || !wa_message_sent_has_pkmsg(&letter->sent)) {
        return true;
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
    return ok;
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
static bool check_left_out(const struct letter *letter, const struct sandbox_account *account)
{
    const struct sandbox_listed *listed =
        sandbox_map_find(&letter->sender->listed, account->number);
    bool ok = true;

    for (size_t i = 0; listed != NULL && i <= account->n_companions; i++) {
        const struct sandbox_device *device =
            i == 0 ? &account->phone_device : account->companions[i - 1];
        bool was_listed = (listed->devices[device->number / 8] & (1U << (device->number % 8))) != 0;

        if (was_listed && device != letter->sender && !is_target(letter, device)) {
            sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_DEVICE_LEFT_OUT,
                                   "message %s has nothing for %s:%u", letter->sent.id,
                                   account->number, (unsigned)device->number);
            ok = false;
        }
    }
    return ok;
}

/* The device that @jid names; NULL when it is gone, or the sender itself. */
static struct sandbox_device *target_device(const struct letter *letter, const struct wa_jid *jid)
{
    struct sandbox_device *device = sandbox_device_of(letter->world, jid);

    return device == letter->sender ? NULL : device;
}

static bool never_was(const struct letter *letter, const struct wa_jid *jid)
{
    const struct sandbox_account *account = sandbox_account_of(letter->world, jid);

    return account == NULL || (account != letter->to && account != letter->sender->account) ||
           jid->device > account->last_device;
}

static bool came_before(const struct letter *letter, size_t i, const struct sandbox_device *device)
{
    for (size_t j = 0; j < i; j++) {
        if (sandbox_device_of(letter->world, &letter->sent.targets[j].device) == device) {
            return true;
        }
    }
    return false;
}

static bool check_target(const struct letter *letter, size_t i)
{
    const struct wa_message_target *target = &letter->sent.targets[i];
    const struct sandbox_device *device = target_device(letter, &target->device);
    char text[WA_JID_TEXT_MAX];

    if (never_was(letter, &target->device)) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_UNKNOWN_DEVICE,
                               "message %s for %s", letter->sent.id,
                               wa_jid_format(&target->device, text));
        return false;
    }
    if (device == NULL) {
        return true;
    }
    if (came_before(letter, i, device)) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_REPEATED_DEVICE, "message %s",
                               letter->sent.id);
        return false;
    }
    return !target->has_enc || target->enc.count == 0 || check_asked(letter, device);
}

/* All of them, so that each thing that is wrong is counted. */
static bool check_targets(const struct letter *letter)
{
    bool ok = true;

    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        ok = check_target(letter, i) && ok;
    }
    if (!letter->is_retry) {
        ok = check_left_out(letter, letter->to) && ok;
        if (letter->to != letter->sender->account) {
            ok = check_left_out(letter, letter->sender->account) && ok;
        }
    }
    return ok;
}

/* ---- delivery ---- */

/* The other form of @account's address, where it is told. */
static struct wa_jid other_form(const struct sandbox_account *account, enum wa_server server,
                                uint16_t device)
{
    return account->behaviour.is_hidden ? (struct wa_jid){0}
                                        : sandbox_account_jid(account, server, device);
}

static void set_addresses(const struct letter *letter, const struct sandbox_device *target,
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

static void deliver_all(const struct letter *letter)
{
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        const struct wa_message_target *target = &letter->sent.targets[i];
        struct sandbox_device *device = target_device(letter, &target->device);

        if (device != NULL && target->has_enc &&
            (!letter->only_asked || has_asked(letter, device))) {
            settle_asked(letter, device);
            deliver(letter, device, &target->enc);
        }
    }
}

/* One ciphertext for the device that `to` names: a retry, or data between a phone and its own. */
static int deliver_one(const struct letter *letter)
{
    struct sandbox_device *device = target_device(letter, &letter->sent.to);

    if (device == NULL) {
        return 404;
    }
    if (letter->sent.category != NULL && device->account != letter->sender->account) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_BAD_STANZA,
                               "message %s: category %s for somebody else", letter->sent.id,
                               letter->sent.category);
        return REFUSED;
    }
    if (letter->is_retry && !check_asked(letter, device)) {
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
static int handle_new(const struct letter *letter)
{
    bool ok = check_identity(letter);
    int error = 0;

    if (letter->sent.has_enc) {
        error = ok ? deliver_one(letter) : REFUSED;
    } else if (check_targets(letter) && ok) {
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

static int handle(struct letter *letter)
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
    struct letter letter = {.world = world, .sender = sender, .node = node};
    int error = handle(&letter);

    return wa_ack_sent(&world->arena, node, sandbox_now_s(world), error);
}
