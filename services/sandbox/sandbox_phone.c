/* A phone reads: decrypts with real Signal sessions, checks what it finds, and answers as it was
 * told to. Everything it sends goes out later, from the agenda. */
#include "sandbox/sandbox_phone.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_KEYS_FROM = 2, TEXT_MAX = SANDBOX_LEDGER_TEXT_MAX };

enum task_kind { TASK_DELIVERED, TASK_READ, TASK_REPLY };

struct sandbox_task {
    struct sandbox_task *next;
    struct sandbox_task **at; /* what points here */
    struct sandbox_due due;
    struct sandbox_phone *phone;
    enum task_kind kind;
    char id[SANDBOX_ID_MAX];
    struct wa_jid to; /* the device that wrote */
    char *text;       /* of a reply */
};

static char pn_form;
static char lid_form;

/* ---- life ---- */

static void task_free(struct sandbox_task *task)
{
    sandbox_agenda_drop(&task->phone->account->world->agenda, &task->due);
    *task->at = task->next;
    if (task->next != NULL) {
        task->next->at = task->at;
    }
    task->phone->n_tasks--;
    free(task->text);
    free(task);
}

struct sandbox_phone *sandbox_phone_of(struct sandbox_account *account)
{
    struct sandbox_phone *phone = account->phone;

    if (phone == NULL) {
        struct sigstore_self self;
        uint8_t seed[CRYPTO_KEY];

        phone = mem_new0(sizeof(*phone));
        sandbox_account_seed(account, seed);
        sigstore_self_derive(seed, &self);
        phone->account = account;
        phone->signal = sigstore_account_new(account->world->sigstore, &self, NULL);
        phone->written_last = &phone->written_first;
        account->phone = phone;
        sigstore_self_wipe(&self);
        mem_wipe(seed, sizeof(seed));
    }
    return phone;
}

struct sigstore_account *sandbox_account_signal(struct sandbox_account *account)
{
    return sandbox_phone_of(account)->signal;
}

const struct sigstore_self *sandbox_account_self(struct sandbox_account *account)
{
    return sigstore_account_self(sandbox_account_signal(account));
}

void sandbox_phone_free(struct sandbox_account *account)
{
    struct sandbox_phone *phone = account->phone;

    if (phone == NULL) {
        return;
    }
    for (struct sandbox_task *task = phone->tasks, *next = NULL; task != NULL; task = next) {
        next = task->next;
        task_free(task);
    }
    sandbox_phone_forget_written(phone);
    sandbox_map_done(&phone->forms);
    sigstore_account_free(&phone->signal);
    free(phone);
    account->phone = NULL;
}

struct sigstore_addr sandbox_signal_addr(const struct sandbox_device *device)
{
    struct sigstore_addr addr = {.device = device->number};

    (void)snprintf(addr.name, sizeof(addr.name), "%s_1", device->account->lid);
    return addr;
}

enum wa_server sandbox_phone_form(const struct sandbox_phone *phone,
                                  const struct sandbox_account *other)
{
    enum sandbox_form form = phone->account->behaviour.form;

    if (form == SANDBOX_FORM_AUTO) {
        form = sandbox_map_find(&phone->forms, other->number) == &pn_form ? SANDBOX_FORM_PN
                                                                          : SANDBOX_FORM_LID;
    }
    return form == SANDBOX_FORM_PN ? WA_SERVER_PN : WA_SERVER_LID;
}

/* ---- what goes out later ---- */

static void send_receipt(struct sandbox_task *task)
{
    struct sandbox_world *world = task->phone->account->world;
    struct wa_receipt receipt = {.id = task->id, .type = WA_RECEIPT_DELIVERED, .peer = task->to};

    if (task->kind == TASK_READ) {
        receipt.type = WA_RECEIPT_READ;
        receipt.peer.device = 0;
        receipt.time = sandbox_now_s(world);
    }
    (void)sandbox_receipt_handle(&task->phone->account->phone_device,
                                 wa_receipt_to_server(&world->arena, &receipt));
}

static void send_reply(struct sandbox_task *task)
{
    const struct sandbox_account *to = sandbox_account_of(task->phone->account->world, &task->to);
    char id[SANDBOX_ID_MAX];

    if (to != NULL) {
        (void)(sandbox_account_send(task->phone->account, to->number, task->text, id, NULL) == 0);
    }
}

static void on_task(void *ctx)
{
    struct sandbox_task *task = ctx;

    if (task->phone->account->is_offline) {
        return; /* stays on the list; going online puts it on the agenda again */
    }
    if (task->kind == TASK_REPLY) {
        send_reply(task);
    } else {
        send_receipt(task);
    }
    task_free(task);
}

static struct sandbox_task *plan(struct sandbox_phone *phone, enum task_kind kind, const char *id,
                                 const struct wa_jid *to, int64_t delay_ms)
{
    struct sandbox_world *world = phone->account->world;
    struct sandbox_task *task;

    if (phone->n_tasks == SANDBOX_PENDING_MAX) {
        world->totals.dropped++;
        return NULL;
    }
    task = mem_new0(sizeof(*task));
    task->phone = phone;
    task->kind = kind;
    task->to = *to;
    (void)snprintf(task->id, sizeof(task->id), "%s", id);
    task->next = phone->tasks;
    task->at = &phone->tasks;
    if (task->next != NULL) {
        task->next->at = &task->next;
    }
    phone->tasks = task;
    phone->n_tasks++;
    sandbox_agenda_put(&world->agenda, &task->due, world->now_ms + delay_ms, on_task, task);
    return task;
}

/* ---- a message that cannot be read ---- */

static void ask_for(struct sandbox_phone *phone, const struct wa_message_received *message,
                    int count)
{
    struct sandbox_world *world = phone->account->world;
    struct wa_retry retry = {.count = count,
                             .id = message->id,
                             .time = message->time,
                             .registration_id =
                                 sandbox_account_self(phone->account)->registration_id};

    if (count >= RETRY_KEYS_FROM && !phone->account->behaviour.keyless) {
        retry.has_keys = sigstore_bundle(phone->signal, true, &retry.keys) == SIGSTORE_OK;
    }
    (void)sandbox_receipt_handle(&phone->account->phone_device,
                                 wa_retry_to_server(&world->arena, message, &retry));
}

static void ask_again(struct sandbox_phone *phone, const struct wa_message_received *message,
                      const struct wa_enc *enc)
{
    if (enc->count < WA_RETRY_LIMIT) {
        ask_for(phone, message, enc->count + 1);
    }
}

/* Who wrote @id, as somebody's device has seen it. */
static struct sandbox_device *author_of(struct sandbox_world *world, const char *id)
{
    for (size_t i = 0; i < world->ledger.n; i++) {
        const struct sandbox_entry *entry = world->ledger.entries[i];
        struct sandbox_account *from = sandbox_world_account(world, entry->from);

        if (entry->from_device != 0 && strcmp(entry->id, id) == 0 && from != NULL) {
            return sandbox_account_find(from, entry->from_device);
        }
    }
    return NULL;
}

int sandbox_account_ask(struct sandbox_account *account, const char *id, int count, struct err *err)
{
    struct sandbox_world *world = account->world;
    struct sandbox_phone *phone = sandbox_phone_of(account);
    const struct sandbox_device *author = author_of(world, id);
    struct wa_message_received message = {.id = id, .time = sandbox_now_s(world)};

    if (author == NULL) {
        return err_set(err, ERR_NOT_FOUND, "no companion wrote a message %.64s", id);
    }
    sandbox_enter(world);
    message.from = sandbox_device_jid(author, sandbox_phone_form(phone, author->account));
    ask_for(phone, &message, count);
    sandbox_leave(world);
    return 0;
}

/* A verdict of the Signal session that no honest sender causes. */
static void blame(struct sandbox_device *sender, const char *id, enum sigstore_verdict verdict)
{
    enum sandbox_violation what = SANDBOX_VIOLATION_NOT_AUTHENTIC;

    if (verdict == SIGSTORE_DUPLICATE) {
        what = SANDBOX_VIOLATION_COUNTER_REUSED;
    } else if (verdict == SIGSTORE_BAD_PREKEY_ID) {
        what = SANDBOX_VIOLATION_UNKNOWN_PREKEY;
    } else if (verdict == SIGSTORE_NO_SESSION) {
        what = SANDBOX_VIOLATION_NO_SESSION;
    }
    sandbox_violate_device(sender, what, "message %s: %s", id, sigstore_verdict_text(verdict));
}

/* ---- a message that can ---- */

/* What is known of a message while it is read. */
struct reading {
    struct sandbox_phone *phone;
    struct wa_message_received message;
    struct wa_message_view view;
    struct sandbox_device *sender;
    struct sandbox_entry *entry; /* NULL: the ledger is full, or it is data between own devices */
    uint32_t failed;
};

/* Own copies are wrapped, and name the chat they were sent to; others' are not. */
static bool check_wrapping(const struct reading *reading, const struct wa_body *body)
{
    bool is_own = reading->view.from_me;
    struct wa_jid chat;

    if (is_own != body->is_device_sent) {
        sandbox_violate_device(reading->sender, SANDBOX_VIOLATION_BAD_DEVICE_SENT,
                               "message %s is %s", reading->message.id,
                               is_own ? "an own copy and not wrapped" : "wrapped as an own copy");
        return false;
    }
    if (is_own && (body->destination == NULL || !wa_jid_parse(body->destination, &chat) ||
                   sandbox_account_of(reading->phone->account->world, &chat) !=
                       sandbox_account_of(reading->phone->account->world, &reading->view.chat))) {
        sandbox_violate_device(reading->sender, SANDBOX_VIOLATION_BAD_DEVICE_SENT,
                               "message %s names another chat", reading->message.id);
        return false;
    }
    return true;
}

static void answer(const struct reading *reading, const struct wa_body *body)
{
    struct sandbox_phone *phone = reading->phone;
    const struct sandbox_behaviour *behaviour = &phone->account->behaviour;
    const char *id = reading->message.id;
    const char *text = behaviour->reply == SANDBOX_REPLY_ECHO ? body->text : behaviour->reply_text;
    struct sandbox_task *task;

    (void)plan(phone, TASK_DELIVERED, id, &reading->message.from, behaviour->delay_ms);
    if (!wa_body_is_for_people(body->kind)) {
        return;
    }
    if (behaviour->read_delay_ms >= 0) {
        (void)plan(phone, TASK_READ, id, &reading->message.from,
                   behaviour->delay_ms + behaviour->read_delay_ms);
    }
    /* Phones do not answer phones: two of them would never stop. */
    if (behaviour->reply != SANDBOX_REPLY_NONE && reading->sender->number != 0 && text[0] != '\0') {
        task = plan(phone, TASK_REPLY, id, &reading->message.from,
                    behaviour->delay_ms + behaviour->reply_delay_ms);
        if (task != NULL) {
            task->text = mem_strndup(text, strnlen(text, TEXT_MAX));
        }
    }
}

static void read_plain(struct reading *reading, struct bytes plain)
{
    struct sandbox_world *world = reading->phone->account->world;
    struct wa_body body = {0};
    struct err err = {0};
    bool is_first = true;

    if (!wa_body_unpad(&plain)) {
        sandbox_violate_device(reading->sender, SANDBOX_VIOLATION_BAD_PADDING, "message %s",
                               reading->message.id);
        return;
    }
    if (wa_body_parse(plain, &world->arena, &body, &err) < 0) {
        sandbox_violate_device(reading->sender, SANDBOX_VIOLATION_BAD_MESSAGE, "message %s: %s",
                               reading->message.id, err.text);
        return;
    }
    if (reading->message.category != NULL) {
        return; /* a companion asks its phone for keys or history: it has given all it has */
    }
    if (!check_wrapping(reading, &body)) {
        return;
    }
    if (reading->entry != NULL) {
        is_first =
            sandbox_ledger_decrypted(&world->ledger, reading->entry, body.text, world->now_ms);
    }
    if (is_first && !reading->view.from_me) {
        answer(reading, &body);
    }
}

static void decrypt(struct reading *reading, const struct wa_enc *enc)
{
    struct sigstore_addr addr = sandbox_signal_addr(reading->sender);
    struct sigstore_plain plain = {0};
    enum sigstore_verdict verdict =
        sigstore_decrypt(reading->phone->signal, &addr, enc->type, enc->bytes, &plain);

    if (verdict == SIGSTORE_OK) {
        read_plain(reading, buf_bytes(&plain.bytes));
    } else {
        blame(reading->sender, reading->message.id, verdict);
        if (reading->entry != NULL) {
            reading->entry->failed++;
        }
        if (verdict != SIGSTORE_DUPLICATE) {
            ask_again(reading->phone, &reading->message, enc);
        }
    }
    buf_wipe(&plain.bytes);
}

static struct sandbox_entry *note(const struct reading *reading)
{
    const struct sandbox_account *own = reading->phone->account;
    const struct sandbox_account *chat = sandbox_account_of(own->world, &reading->view.chat);
    struct sandbox_entry like = {.from_device = reading->sender->number,
                                 .is_own_copy = reading->view.from_me};

    if (reading->message.category != NULL) {
        return NULL;
    }
    (void)snprintf(like.id, sizeof(like.id), "%s", reading->message.id);
    (void)snprintf(like.from, sizeof(like.from), "%s", reading->sender->account->number);
    (void)snprintf(like.by, sizeof(like.by), "%s", own->number);
    (void)snprintf(like.chat, sizeof(like.chat), "%s", chat == NULL ? "" : chat->number);
    return sandbox_ledger_entry(&own->world->ledger, &like);
}

/* Told to fail? Then the session is not touched, as if the ciphertext had been lost on the way. */
static bool fails_on_purpose(struct reading *reading, const struct wa_enc *enc)
{
    struct sandbox_behaviour *behaviour = &reading->phone->account->behaviour;

    if (behaviour->fail == 0 || reading->view.from_me || reading->message.category != NULL) {
        return false;
    }
    behaviour->fail--;
    if (reading->entry != NULL) {
        reading->entry->failed++;
    }
    ask_again(reading->phone, &reading->message, enc);
    return true;
}

static void take_message(struct sandbox_phone *phone, const struct wa_node *node)
{
    struct sandbox_account *account = phone->account;
    struct wa_jid own_pn = sandbox_account_jid(account, WA_SERVER_PN, 0);
    struct wa_jid own_lid = sandbox_account_jid(account, WA_SERVER_LID, 0);
    struct reading reading = {.phone = phone};

    if (wa_message_received_parse(node, &account->world->arena, &reading.message, NULL) < 0 ||
        !wa_message_view(&reading.message, &own_pn, &own_lid, &reading.view)) {
        return; /* made by this server */
    }
    reading.sender = sandbox_device_of(account->world, &reading.view.sender);
    if (reading.sender == NULL) {
        return; /* removed while the message waited */
    }
    if (!reading.view.from_me) {
        sandbox_map_put(&phone->forms, reading.sender->account->number,
                        reading.message.from.server == WA_SERVER_PN ? &pn_form : &lid_form);
    }
    reading.entry = note(&reading);
    for (size_t i = 0; i < reading.message.n_encs; i++) {
        const struct wa_enc *enc = &reading.message.encs[i];

        if (!fails_on_purpose(&reading, enc)) {
            decrypt(&reading, enc);
        }
    }
}

/* ---- receipts for what the phone wrote ---- */

static void count_receipt(struct sandbox_phone *phone, const char *id, enum wa_receipt_type type)
{
    struct sandbox_written *written = sandbox_map_find(&phone->written, id);

    if (written != NULL && type == WA_RECEIPT_DELIVERED) {
        written->delivered++;
    } else if (written != NULL && type == WA_RECEIPT_READ) {
        written->read++;
    }
}

static void take_receipt(struct sandbox_phone *phone, const struct wa_node *node)
{
    struct wa_receipt receipt = {0};

    if (wa_receipt_from_server(node, &phone->account->world->arena, &receipt, NULL) < 0) {
        return;
    }
    if (receipt.type == WA_RECEIPT_RETRY) {
        sandbox_phone_rewrite(phone, &receipt, node);
        return;
    }
    count_receipt(phone, receipt.id, receipt.type);
    for (size_t i = 0; i < receipt.n_more; i++) {
        count_receipt(phone, receipt.more[i], receipt.type);
    }
}

void sandbox_phone_take(struct sandbox_account *account, const struct wa_node *stanza)
{
    if (wa_node_is(stanza, "message")) {
        take_message(sandbox_phone_of(account), stanza);
    } else if (wa_node_is(stanza, "receipt")) {
        take_receipt(sandbox_phone_of(account), stanza);
    }
}

void sandbox_account_set_online(struct sandbox_account *account, bool online)
{
    struct sandbox_world *world = account->world;

    if (account->is_offline != online) {
        return;
    }
    account->is_offline = !online;
    if (!online) {
        return;
    }
    sandbox_enter(world);
    for (struct sandbox_task *task = account->phone == NULL ? NULL : account->phone->tasks;
         task != NULL; task = task->next) {
        if (task->due.place == 0) { /* it came due while the phone was away */
            sandbox_agenda_put(&world->agenda, &task->due, world->now_ms, on_task, task);
        }
    }
    sandbox_queue_drain(&account->phone_device);
    sandbox_leave(world);
}
