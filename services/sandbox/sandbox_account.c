/* Accounts: a phone each, companions, keys, addresses. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sandbox/sandbox_internal.h"
#include "wa/wa_adv.h"

enum { NUMBER_DIGITS_MIN = 7, NUMBER_DIGITS_MAX = 15 };

/* 32 bytes for ever the same for this world, @kind and @name. */
static void derive(const struct sandbox_world *world, const char *kind, const char *name,
                   uint8_t out[CRYPTO_KEY])
{
    struct buf info = {0};

    buf_addf(&info, "%s:%s", kind, name);
    crypto_hkdf((struct bytes){world->options.seed, CRYPTO_KEY}, (struct bytes){0},
                buf_bytes(&info), out, CRYPTO_KEY);
    buf_done(&info);
}

/* 15 digits that nobody has yet and that tell nothing of the number. */
static void choose_lid(struct sandbox_world *world, struct sandbox_account *account)
{
    uint8_t hash[CRYPTO_KEY];
    uint64_t value = 0;

    derive(world, "lid", account->number, hash);
    memcpy(&value, hash, sizeof(value));
    do {
        value = 100000000000000ULL + value % 900000000000000ULL;
        (void)snprintf(account->lid, sizeof(account->lid), "%llu", (unsigned long long)value);
        value++;
    } while (sandbox_map_find(&world->by_lid, account->lid) != NULL);
}

static void device_init(struct sandbox_device *device, struct sandbox_account *account)
{
    device->account = account;
    device->queue.last = &device->queue.first;
    device->sent_last = &device->sent_first;
}

static bool is_number(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return text[n] == '\0' && n >= NUMBER_DIGITS_MIN && n <= NUMBER_DIGITS_MAX && text[0] != '0';
}

struct sandbox_account *sandbox_account_make(struct sandbox_world *world, const char *number)
{
    struct sandbox_account *account = mem_new0(sizeof(*account));
    uint8_t hash[CRYPTO_KEY];

    account->world = world;
    (void)snprintf(account->number, sizeof(account->number), "%s", number);
    (void)snprintf(account->name, sizeof(account->name), "Phone %s",
                   number + strlen(number) - 4); /* numbers have 7 digits at least */
    choose_lid(world, account);
    derive(world, "raw id", number, hash);
    memcpy(&account->raw_id, hash, sizeof(account->raw_id));
    account->raw_id &= 0x7fffffff;
    account->behaviour.read_delay_ms = -1;
    account->list_changed_s = sandbox_now_s(world);
    device_init(&account->phone_device, account);
    world->accounts = mem_room(world->accounts, world->n_accounts, &world->cap_accounts,
                               sizeof(struct sandbox_account *));
    world->accounts[world->n_accounts++] = account;
    sandbox_map_put(&world->by_number, account->number, account);
    sandbox_map_put(&world->by_lid, account->lid, account);
    return account;
}

static void device_done(struct sandbox_device *device)
{
    struct sandbox_listed *listed;
    size_t at = 0;

    sandbox_agenda_drop(&device->account->world->agenda, &device->queue.overdue);
    sandbox_queue_drop(device);
    while ((listed = sandbox_map_next(&device->listed, &at)) != NULL) {
        free(listed);
    }
    sandbox_map_done(&device->listed);
    sandbox_map_done(&device->sent);
    sandbox_map_done(&device->asked);
    while (device->sent_first != NULL) {
        struct sandbox_remembered_id *gone = device->sent_first;

        device->sent_first = gone->next;
        free(gone);
    }
    free(device->prekeys);
    free(device->offered);
    buf_done(&device->identity);
}

void sandbox_account_free(struct sandbox_account *account)
{
    sandbox_phone_free(account);
    sandbox_appstate_done(account);
    sandbox_held_drop(account->world, account);
    for (size_t i = 0; i < account->n_companions; i++) {
        device_done(account->companions[i]);
        free(account->companions[i]);
    }
    device_done(&account->phone_device);
    free(account);
}

/* ---- find ---- */

struct sandbox_account *sandbox_world_account(const struct sandbox_world *world, const char *number)
{
    return sandbox_map_find(&world->by_number, number);
}

struct sandbox_account *sandbox_world_next(const struct sandbox_world *world, size_t *at)
{
    return *at < world->n_accounts ? world->accounts[(*at)++] : NULL;
}

struct sandbox_account *sandbox_account_of(const struct sandbox_world *world,
                                           const struct wa_jid *jid)
{
    if (jid->server == WA_SERVER_PN) {
        return sandbox_map_find(&world->by_number, jid->user);
    }
    return jid->server == WA_SERVER_LID ? sandbox_map_find(&world->by_lid, jid->user) : NULL;
}

struct sandbox_device *sandbox_account_find(struct sandbox_account *account, uint16_t device)
{
    if (device == 0) {
        return &account->phone_device;
    }
    for (size_t i = 0; i < account->n_companions; i++) {
        if (account->companions[i]->number == device) {
            return account->companions[i];
        }
    }
    return NULL;
}

struct sandbox_device *sandbox_device_of(const struct sandbox_world *world,
                                         const struct wa_jid *jid)
{
    struct sandbox_account *account = sandbox_account_of(world, jid);

    return account == NULL ? NULL : sandbox_account_find(account, jid->device);
}

struct wa_jid sandbox_account_jid(const struct sandbox_account *account, enum wa_server server,
                                  uint16_t device)
{
    return wa_jid_make(server, server == WA_SERVER_LID ? account->lid : account->number, device);
}

struct wa_jid sandbox_device_jid(const struct sandbox_device *device, enum wa_server server)
{
    return sandbox_account_jid(device->account, server, device->number);
}

enum wa_server sandbox_other_server(enum wa_server server)
{
    return server == WA_SERVER_LID ? WA_SERVER_PN : WA_SERVER_LID;
}

/* ---- phones ---- */

static int make_phone(struct sandbox_world *world, const char *number, struct sandbox_account **out,
                      struct err *err)
{
    struct sandbox_account *account = sandbox_world_account(world, number);

    if (account == NULL) {
        if (!is_number(number)) {
            return err_set(err, ERR_INVALID, "a number has %d to %d digits, the first not 0",
                           NUMBER_DIGITS_MIN, NUMBER_DIGITS_MAX);
        }
        if (world->n_accounts == SANDBOX_PHONES_MAX) {
            return err_set(err, ERR_LIMIT, "there are %d phones already", SANDBOX_PHONES_MAX);
        }
        account = sandbox_account_make(world, number);
    }
    *out = account;
    return 0;
}

static void free_number(struct sandbox_world *world, char out[SANDBOX_NUMBER_MAX])
{
    do {
        (void)snprintf(out, SANDBOX_NUMBER_MAX, "62811%08llu",
                       (unsigned long long)(++world->next_number % 100000000));
    } while (sandbox_world_account(world, out) != NULL);
}

int sandbox_world_phones(struct sandbox_world *world, size_t n, const char *const *numbers,
                         const struct sandbox_behaviour *behaviour, struct sandbox_account **out,
                         struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct sandbox_account *account = NULL;
        char number[SANDBOX_NUMBER_MAX];
        int rc;

        if (numbers == NULL) {
            free_number(world, number);
        }
        rc = make_phone(world, numbers == NULL ? number : numbers[i], &account, err);
        if (rc < 0 || account == NULL) {
            return rc;
        }
        if (behaviour != NULL) {
            sandbox_account_behave(account, behaviour);
        }
        if (out != NULL) {
            out[i] = account;
        }
    }
    return 0;
}

const char *sandbox_account_number(const struct sandbox_account *account)
{
    return account->number;
}

const char *sandbox_account_lid(const struct sandbox_account *account)
{
    return account->lid;
}

const char *sandbox_account_name(const struct sandbox_account *account)
{
    return account->name;
}

void sandbox_account_rename(struct sandbox_account *account, const char *name)
{
    (void)snprintf(account->name, sizeof(account->name), "%s", name);
}

struct sandbox_behaviour *sandbox_account_behaviour(struct sandbox_account *account)
{
    return &account->behaviour;
}

const struct sandbox_behaviour *sandbox_account_behaviour_of(const struct sandbox_account *account)
{
    return &account->behaviour;
}

void sandbox_account_behave(struct sandbox_account *account,
                            const struct sandbox_behaviour *behaviour)
{
    account->behaviour = *behaviour;
    if (!behaviour->holds_bundles) {
        sandbox_enter(account->world);
        sandbox_held_release(account->world, account, SANDBOX_HELD_BUNDLES);
        sandbox_leave(account->world);
    }
}

size_t sandbox_account_bundles(const struct sandbox_account *account)
{
    return account->one_time;
}

bool sandbox_account_is_online(const struct sandbox_account *account)
{
    return !account->is_offline;
}

/* ---- keys ---- */

void sandbox_account_seed(const struct sandbox_account *account, uint8_t out[CRYPTO_KEY])
{
    derive(account->world, "phone", account->number, out);
}

void sandbox_account_index_list(struct sandbox_account *account, struct buf *out)
{
    struct wa_adv_index_list list = {.raw_id = account->raw_id,
                                     .timestamp_s = account->list_changed_s,
                                     .current = account->last_key_index};

    for (size_t i = 0; i < account->n_companions; i++) {
        list.valid[list.n++] = account->companions[i]->key_index;
    }
    wa_adv_index_list_make(&list, &sandbox_account_self(account)->identity, out);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

void sandbox_account_device_hash(struct sandbox_account *account, enum wa_server server,
                                 char out[16])
{
    char names[SANDBOX_DEVICES_MAX + 1][WA_JID_TEXT_MAX];
    struct buf text = {0};
    struct buf base64 = {0};
    uint8_t hash[CRYPTO_SHA256];
    size_t n = 0;
    struct wa_jid jid = sandbox_account_jid(account, server, 0);

    (void)wa_jid_format_ad(&jid, names[n++]);
    for (size_t i = 0; i < account->n_companions; i++) {
        jid.device = account->companions[i]->number;
        (void)wa_jid_format_ad(&jid, names[n++]);
    }
    qsort(names, n, sizeof(names[0]), compare_texts);
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&text, names[i]);
    }
    crypto_sha256(buf_bytes(&text), hash);
    text_base64(&base64, (struct bytes){hash, 6}, TEXT_BASE64); /* 8 characters, no padding */
    (void)snprintf(out, 16, "2:%s", buf_text(&base64));
    buf_done(&text);
    buf_done(&base64);
}

static bool companion_bundle(struct sandbox_device *device, struct wa_bundle *out)
{
    *out = device->own;
    out->has_prekey = device->n_prekeys > 0;
    if (out->has_prekey) {
        out->prekey_id = device->prekeys[0].id;
        memcpy(out->prekey_public, device->prekeys[0].public_key, CRYPTO_KEY);
        device->n_prekeys--;
        memmove(device->prekeys, device->prekeys + 1, device->n_prekeys * sizeof(*device->prekeys));
    }
    sandbox_notify_prekeys(device);
    return true;
}

bool sandbox_device_bundle(struct sandbox_device *device, struct wa_bundle *out)
{
    struct sandbox_account *account = device->account;

    if (device->number != 0) {
        return companion_bundle(device, out);
    }
    return sigstore_bundle(sandbox_account_signal(account),
                           account->one_time++ < SANDBOX_PREKEYS_MAX, out) == SIGSTORE_OK;
}

void sandbox_device_drop(struct sandbox_device *device)
{
    struct sandbox_account *account = device->account;

    assert(device->number != 0);
    for (size_t i = 0; i < account->n_companions; i++) {
        if (account->companions[i] == device) {
            account->n_companions--;
            memmove(&account->companions[i], &account->companions[i + 1],
                    (account->n_companions - i) * sizeof(struct sandbox_device *));
            break;
        }
    }
    account->list_changed_s = sandbox_now_s(account->world);
    if (device->conn != NULL) {
        device->conn->device = NULL;
    }
    device_done(device);
    free(device);
}

struct sandbox_device *sandbox_device_add(struct sandbox_account *account, uint16_t number)
{
    struct sandbox_device *device = mem_new0(sizeof(*device));

    assert(account->n_companions < SANDBOX_DEVICES_MAX);
    device_init(device, account);
    device->number = number;
    account->companions[account->n_companions++] = device;
    account->list_changed_s = sandbox_now_s(account->world);
    return device;
}

bool sandbox_account_device(const struct sandbox_account *account, size_t *at,
                            struct sandbox_device_view *out)
{
    const struct sandbox_device *device;

    if (*at >= account->n_companions) {
        return false;
    }
    device = account->companions[(*at)++];
    *out = (struct sandbox_device_view){
        .number = account->number,
        .device = device->number,
        .is_connected = device->conn != NULL,
        .is_active = device->is_active,
        .conn = device->conn == NULL ? 0 : device->conn->serial,
        .queued = device->queue.n,
        .prekeys = device->n_prekeys,
        .violations = device->violations,
    };
    return true;
}
