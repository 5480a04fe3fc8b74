/* A phone writes: texts, texts once more, and what it owes a new companion. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sandbox/sandbox_phone.h"
#include "sigstore/sigstore_wire.h"

enum {
    ID_BYTES = 16,
    GREETING_PROGRESS = 100,
    TARGETS_MAX = 2 * (SANDBOX_DEVICES_MAX + 1), /* of both sides of a chat */
    PKMSG_MESSAGE = 4 /* the field of a pkmsg that holds the message itself */
};

/* ---- encryption ---- */

static bool ensure_session(struct sandbox_phone *phone, struct sandbox_device *device,
                           const struct sigstore_addr *addr)
{
    struct sigstore_peer peer = {0};
    struct wa_bundle bundle = {0};

    if (sigstore_peer_get(phone->signal, addr, &peer) == SIGSTORE_OK && peer.has_session) {
        return true;
    }
    return sandbox_device_bundle(device, &bundle) &&
           sigstore_peer_start(phone->signal, addr, &bundle, NULL) == SIGSTORE_OK;
}

/* One bit of the MAC changes; that of a pkmsg is in the message inside. */
static void damage(enum wa_enc_type type, struct buf *cipher)
{
    struct bytes rest = {cipher->p + 1, cipher->n - 1}; /* behind the version */
    struct sigstore_field field = {0};
    size_t end = cipher->n;

    while (type == WA_ENC_PKMSG && field.number != PKMSG_MESSAGE &&
           sigstore_wire_next(&rest, &field) > 0) {
        end = (size_t)(field.bytes.p - cipher->p) + field.bytes.n;
    }
    cipher->p[end - 1] ^= 1;
}

/* Is this one of those that are to arrive damaged? */
static bool is_damaged(struct sandbox_phone *phone, const struct sandbox_device *device)
{
    struct sandbox_behaviour *behaviour = &phone->account->behaviour;

    if (behaviour->damage == 0 || device->number == 0 || device->account == phone->account) {
        return false;
    }
    behaviour->damage--;
    return true;
}

bool sandbox_phone_encrypt(struct sandbox_phone *phone, struct sandbox_device *device,
                           struct bytes body, struct wa_enc *out)
{
    struct arena *arena = &phone->account->world->arena;
    struct sigstore_addr addr = sandbox_signal_addr(device);
    enum wa_enc_type type = WA_ENC_MSG;
    struct buf plain = {0};
    struct buf cipher = {0};
    bool ok;

    buf_add(&plain, body.p, body.n);
    wa_body_pad(&plain);
    ok = ensure_session(phone, device, &addr) &&
         sigstore_encrypt(phone->signal, &addr, buf_bytes(&plain), &type, &cipher) == SIGSTORE_OK;
    if (ok && is_damaged(phone, device)) {
        damage(type, &cipher);
    }
    if (ok) {
        *out = (struct wa_enc){.type = type, .bytes = arena_bytes(arena, buf_bytes(&cipher))};
    }
    buf_wipe(&plain);
    buf_done(&cipher);
    return ok;
}

/* ---- what was written ---- */

void sandbox_phone_forget_written(struct sandbox_phone *phone)
{
    while (phone->written_first != NULL) {
        struct sandbox_written *gone = phone->written_first;

        phone->written_first = gone->next;
        buf_done(&gone->plain);
        free(gone);
    }
    phone->written_last = &phone->written_first;
    sandbox_map_done(&phone->written);
}

static struct sandbox_written *remember(struct sandbox_phone *phone, struct sandbox_account *to,
                                        const char *text)
{
    struct sandbox_written *written = mem_new0(sizeof(*written));
    struct buf id = {0};
    uint8_t random[ID_BYTES];

    if (phone->written.n == SANDBOX_REMEMBERED_MAX) {
        struct sandbox_written *oldest = phone->written_first;

        phone->written_first = oldest->next;
        (void)sandbox_map_take(&phone->written, oldest->id);
        buf_done(&oldest->plain);
        free(oldest);
    }
    crypto_random(random, sizeof(random));
    text_hex(&id, (struct bytes){random, sizeof(random)});
    for (size_t i = 0; i < id.n; i++) { /* phones write them in upper case */
        written->id[i] = (char)(id.p[i] >= 'a' ? id.p[i] - 'a' + 'A' : id.p[i]);
    }
    buf_done(&id);
    written->to = to;
    written->form = sandbox_phone_form(phone, to);
    wa_body_text(text, &written->plain);
    if (phone->written_first == NULL) {
        phone->written_last = &phone->written_first;
    }
    *phone->written_last = written;
    phone->written_last = &written->next;
    sandbox_map_put(&phone->written, written->id, written);
    return written;
}

/* The body for one device: own companions get it wrapped. In @out. */
static void body_for(const struct sandbox_phone *phone, const struct sandbox_written *written,
                     const struct sandbox_device *device, struct buf *out)
{
    char chat[WA_JID_TEXT_MAX];
    struct wa_jid jid = sandbox_account_jid(written->to, written->form, 0);

    if (device->account == phone->account) {
        wa_body_device_sent(wa_jid_format(&jid, chat), buf_bytes(&written->plain), out);
    } else {
        buf_add(out, written->plain.p, written->plain.n);
    }
}

/* The targets of one message while they are gathered. */
struct targets {
    struct wa_message_target *list;
    size_t n;
};

static void add_target(struct sandbox_phone *phone, const struct sandbox_written *written,
                       struct sandbox_device *device, struct targets *targets)
{
    struct wa_message_target *target = &targets->list[targets->n];
    struct buf body = {0};

    if (device == &phone->account->phone_device) {
        return;
    }
    body_for(phone, written, device, &body);
    if (sandbox_phone_encrypt(phone, device, buf_bytes(&body), &target->enc)) {
        target->device = sandbox_device_jid(device, written->form);
        target->has_enc = true;
        targets->n++;
    }
    buf_done(&body);
}

static void add_targets(struct sandbox_phone *phone, const struct sandbox_written *written,
                        struct sandbox_account *account, struct targets *targets)
{
    add_target(phone, written, &account->phone_device, targets);
    for (size_t i = 0; i < account->n_companions; i++) {
        add_target(phone, written, account->companions[i], targets);
    }
}

static void send_text(struct sandbox_phone *phone, const struct sandbox_written *written)
{
    struct sandbox_world *world = phone->account->world;
    struct wa_message_sent message = {
        .id = written->id,
        .to = sandbox_account_jid(written->to, written->form, 0),
        .type = "text",
    };
    struct targets targets = {0};

    targets.list = arena_array0(&world->arena, TARGETS_MAX, sizeof(*targets.list));
    add_targets(phone, written, written->to, &targets);
    if (written->to != phone->account) {
        add_targets(phone, written, phone->account, &targets);
    }
    message.targets = targets.list;
    message.n_targets = targets.n;
    if (message.n_targets > 0) {
        (void)sandbox_message_handle(&phone->account->phone_device,
                                     wa_message_sent_build(&world->arena, &message));
    }
}

int sandbox_account_send(struct sandbox_account *account, const char *to, const char *text,
                         char id[SANDBOX_ID_MAX], struct err *err)
{
    struct sandbox_account *other = sandbox_world_account(account->world, to);
    struct sandbox_written *written;
    size_t n = strlen(text);

    if (other == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no phone %s", to);
    }
    if (n == 0 || n > SANDBOX_LEDGER_TEXT_MAX ||
        !text_is_utf8((struct bytes){(const uint8_t *)text, n})) {
        return err_set(err, ERR_INVALID, "a text is 1 to %d bytes of UTF-8",
                       SANDBOX_LEDGER_TEXT_MAX);
    }
    sandbox_enter(account->world);
    written = remember(sandbox_phone_of(account), other, text);
    memcpy(id, written->id, SANDBOX_ID_MAX);
    send_text(account->phone, written);
    sandbox_leave(account->world);
    return 0;
}

bool sandbox_account_written(const struct sandbox_account *account, const char *id,
                             struct sandbox_written_view *out)
{
    const struct sandbox_written *written =
        account->phone == NULL ? NULL : sandbox_map_find(&account->phone->written, id);

    if (written == NULL) {
        return false;
    }
    *out = (struct sandbox_written_view){written->to->number, written->delivered, written->read};
    return true;
}

/* ---- once more ---- */

void sandbox_phone_rewrite(struct sandbox_phone *phone, const struct wa_receipt *receipt,
                           const struct wa_node *node)
{
    struct sandbox_world *world = phone->account->world;
    struct sandbox_written *written = sandbox_map_find(&phone->written, receipt->id);
    struct sandbox_device *device = sandbox_device_of(world, &receipt->peer);
    struct wa_message_sent message = {.type = "text", .has_enc = true, .single_device = true};
    struct wa_retry retry = {0};
    struct sigstore_addr addr;
    struct buf body = {0};

    if (written == NULL || device == NULL || wa_retry_parse(node, &retry, NULL) < 0 ||
        retry.count > WA_RETRY_LIMIT) {
        return;
    }
    addr = sandbox_signal_addr(device);
    if (retry.has_keys) {
        (void)(sigstore_peer_start(phone->signal, &addr, &retry.keys, NULL) == SIGSTORE_OK);
    } else {
        (void)(sigstore_peer_archive(phone->signal, &addr) == SIGSTORE_OK); /* a new bundle */
    }
    body_for(phone, written, device, &body);
    if (sandbox_phone_encrypt(phone, device, buf_bytes(&body), &message.enc)) {
        message.enc.count = retry.count;
        message.id = written->id;
        message.to = sandbox_device_jid(device, receipt->peer.server);
        if (device->account == phone->account) {
            message.recipient = sandbox_account_jid(written->to, written->form, 0);
        }
        (void)sandbox_message_handle(&phone->account->phone_device,
                                     wa_message_sent_build(&world->arena, &message));
    }
    buf_done(&body);
}

/* ---- a new companion ---- */

static void send_peer(struct sandbox_device *companion, const struct buf *body)
{
    struct sandbox_account *account = companion->account;
    struct sandbox_world *world = account->world;
    struct wa_message_sent message = {
        .id = sandbox_stanza_id(world),
        .to = sandbox_device_jid(companion, WA_SERVER_PN),
        .type = "text",
        .category = "peer",
        .has_enc = true,
    };

    if (sandbox_phone_encrypt(sandbox_phone_of(account), companion, buf_bytes(body),
                              &message.enc)) {
        (void)sandbox_message_handle(&account->phone_device,
                                     wa_message_sent_build(&world->arena, &message));
    }
}

static void share_key(struct sandbox_device *companion)
{
    uint8_t id[SANDBOX_APPSTATE_KEY_ID];
    uint8_t key[CRYPTO_KEY];
    struct wa_body_key shared = {.id = {id, sizeof(id)},
                                 .data = {key, sizeof(key)},
                                 .time_ms = companion->account->world->now_ms};
    struct buf body = {0};

    sandbox_appstate_key(companion->account, id, key);
    wa_body_key_share(&shared, 1, &body);
    send_peer(companion, &body);
    buf_wipe(&body);
    mem_wipe(key, sizeof(key));
}

/* There is no history, but a client may wait for the end of it. */
static void share_history(struct sandbox_device *companion)
{
    const struct sandbox_account *account = companion->account;
    struct wa_jid pn = sandbox_account_jid(account, WA_SERVER_PN, 0);
    struct wa_jid lid = sandbox_account_jid(account, WA_SERVER_LID, 0);
    char pn_text[WA_JID_TEXT_MAX];
    char lid_text[WA_JID_TEXT_MAX];
    struct wa_body_name name = {wa_jid_format(&pn, pn_text), account->name};
    struct wa_body_name mapping = {pn_text, wa_jid_format(&lid, lid_text)};
    struct wa_body_sync sync = {.chunk_order = 1,
                                .progress = GREETING_PROGRESS,
                                .names = &name,
                                .n_names = 1,
                                .lids = &mapping,
                                .n_lids = 1};
    struct buf body = {0};

    wa_body_history_inline(&sync, &body);
    send_peer(companion, &body);
    buf_done(&body);
}

void sandbox_phone_greet(struct sandbox_device *companion)
{
    share_key(companion);
    share_history(companion);
    sandbox_appstate_push_name(companion->account);
}
