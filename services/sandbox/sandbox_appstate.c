/* App state: settings that an account's devices share as a log of encrypted patches. The server
 * keeps the patches and numbers them; the phone writes the first one, with its push name. */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_internal.h"
#include "sigstore/sigstore_wire.h"
#include "wa/wa_iq.h"

enum {
    PATCHES_MAX = 5000,  /* of one collection */
    PATCH_MAX = 1 << 20, /* bytes */
    MUTATION_KEYS = 160,
    MAC = 32,
    LTHASH = 128,
    AES_BLOCK = 16,
    OP_SET = 1, /* in the value's MAC */
    ACTION_VERSION = 1
};

static const char *const collection_names[SANDBOX_COLLECTIONS] = {
    "critical_block", "critical_unblock_low", "regular_high", "regular_low", "regular"};

static struct sandbox_collection *find_collection(struct sandbox_account *account, const char *name)
{
    for (size_t i = 0; name != NULL && i < SANDBOX_COLLECTIONS; i++) {
        if (strcmp(collection_names[i], name) == 0) {
            return &account->collections[i];
        }
    }
    return NULL;
}

void sandbox_appstate_done(struct sandbox_account *account)
{
    for (size_t i = 0; i < SANDBOX_COLLECTIONS; i++) {
        for (size_t j = 0; j < account->collections[i].n; j++) {
            buf_done(&account->collections[i].patches[j]);
        }
        free(account->collections[i].patches);
    }
}

/* Add a patch: the server appends the version that it gets. */
static void append(struct sandbox_collection *collection, struct bytes patch)
{
    struct buf version = {0};
    struct buf *stored;

    collection->patches =
        mem_grow(collection->patches, collection->n + 1, sizeof(*collection->patches));
    stored = &collection->patches[collection->n++];
    *stored = (struct buf){0};
    buf_add(stored, patch.p, patch.n);
    sigstore_wire_varint(&version, 1, collection->n);
    sigstore_wire_bytes(stored, 1, buf_bytes(&version));
    buf_done(&version);
}

/* ---- requests ---- */

static struct wa_node *add_collection(struct wa_node *sync, const char *name, size_t version)
{
    struct wa_node *node = wa_node_child(sync, "collection");

    wa_node_set(node, "name", name);
    wa_node_set_int(node, "version", (int64_t)version);
    return node;
}

static void add_error(struct wa_node *node, const char *code, const char *text)
{
    struct wa_node *error = wa_node_child(node, "error");

    wa_node_set(node, "type", "error");
    wa_node_set(error, "code", code);
    wa_node_set(error, "text", text);
}

static void add_patches(struct wa_node *node, const struct sandbox_collection *collection,
                        size_t from)
{
    struct wa_node *patches;

    wa_node_set(node, "has_more_patches", "false");
    if (from >= collection->n) {
        return;
    }
    patches = wa_node_child(node, "patches");
    for (size_t i = from; i < collection->n; i++) {
        wa_node_set_bytes(wa_node_child(patches, "patch"), buf_bytes(&collection->patches[i]));
    }
}

static void answer_collection(struct sandbox_conn *conn, const struct wa_node *asked,
                              struct wa_node *sync)
{
    struct sandbox_account *account = conn->device->account;
    const char *name = wa_node_attr(asked, "name");
    struct sandbox_collection *collection = find_collection(account, name);
    const struct wa_node *patch = wa_node_find(asked, "patch");
    int64_t version; /* left out together with a wish for a snapshot */

    if (collection == NULL) {
        add_error(add_collection(sync, name == NULL ? "" : name, 0), "404", "not-found");
        return;
    }
    if (!wa_node_attr_int(asked, "version", 0, INT32_MAX, &version)) {
        version = 0;
    }
    if (patch == NULL) {
        add_patches(add_collection(sync, name, collection->n), collection, (size_t)version);
    } else if ((size_t)version != collection->n) {
        struct wa_node *node = add_collection(sync, name, collection->n);

        add_error(node, "409", "conflict");
        add_patches(node, collection, (size_t)version);
    } else if (collection->n == PATCHES_MAX || wa_node_bytes(patch).n > PATCH_MAX) {
        add_error(add_collection(sync, name, collection->n), "400", "bad-request");
    } else {
        append(collection, wa_node_bytes(patch));
        wa_node_set(add_collection(sync, name, collection->n), "type", "result");
        sandbox_notify_appstate(account, name, collection->n, conn->device);
    }
}

void sandbox_appstate_handle(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_node *out = wa_iq_result(&conn->world->arena, iq);
    struct wa_node *sync = wa_node_child(out, "sync");

    WA_NODE_EACH(asked, wa_node_find(iq, "sync"))
    {
        answer_collection(conn, asked, sync);
    }
    sandbox_conn_send(conn, out);
}

/* ---- the phone's own patch ---- */

/* Sub-keys of the key that the phone shares. */
struct mutation_keys {
    uint8_t index[MAC];
    uint8_t value_enc[MAC];
    uint8_t value_mac[MAC];
    uint8_t snapshot_mac[MAC];
    uint8_t patch_mac[MAC];
};

void sandbox_appstate_key(const struct sandbox_account *account,
                          uint8_t id[SANDBOX_APPSTATE_KEY_ID], uint8_t key[CRYPTO_KEY])
{
    static const char info[] = "app state";
    uint8_t seed[CRYPTO_KEY];

    sandbox_account_seed(account, seed);
    crypto_hkdf((struct bytes){seed, sizeof(seed)}, (struct bytes){0},
                (struct bytes){(const uint8_t *)info, sizeof(info) - 1}, key, CRYPTO_KEY);
    memset(id, 0, SANDBOX_APPSTATE_KEY_ID);
    id[SANDBOX_APPSTATE_KEY_ID - 1] = 1;
    mem_wipe(seed, sizeof(seed));
}

static void hmac_sha512(const uint8_t key[MAC], struct bytes data, uint8_t out[MAC])
{
    uint8_t full[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (HMAC(EVP_sha512(), key, MAC, data.p, data.n, full, &n) == NULL || n < MAC) {
        abort();
    }
    memcpy(out, full, MAC);
}

/* Append iv and ciphertext of @plain. */
static void encrypt_cbc(const uint8_t key[CRYPTO_KEY], struct bytes plain, struct buf *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t iv[AES_BLOCK];
    uint8_t *to;
    int n = 0;
    int last = 0;

    crypto_random(iv, sizeof(iv));
    buf_add(out, iv, sizeof(iv));
    to = buf_room(out, plain.n + AES_BLOCK);
    if (ctx == NULL || EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv) != 1 ||
        EVP_EncryptUpdate(ctx, to, &n, plain.p, (int)plain.n) != 1 ||
        EVP_EncryptFinal_ex(ctx, to + n, &last) != 1) {
        abort();
    }
    buf_used(out, (size_t)n + (size_t)last);
    EVP_CIPHER_CTX_free(ctx);
}

/* Append the encrypted value with its MAC, which also goes to @mac. */
static void seal_value(const struct mutation_keys *keys, struct bytes key_id, struct bytes plain,
                       uint8_t mac[MAC], struct buf *out)
{
    struct buf cipher = {0};
    struct buf signed_part = {0};

    encrypt_cbc(keys->value_enc, plain, &cipher);
    buf_add_u8(&signed_part, OP_SET);
    buf_add(&signed_part, key_id.p, key_id.n);
    buf_add(&signed_part, cipher.p, cipher.n);
    buf_add_be(&signed_part, key_id.n + 1, 8);
    hmac_sha512(keys->value_mac, buf_bytes(&signed_part), mac);
    buf_add(out, cipher.p, cipher.n);
    buf_add(out, mac, MAC);
    buf_done(&cipher);
    buf_done(&signed_part);
}

/* SyncActionData: index, value {timestamp, pushNameSetting {name}}, padding, version. */
static void format_action(const struct sandbox_account *account, const char *index, struct buf *out)
{
    struct buf setting = {0};
    struct buf value = {0};

    sigstore_wire_bytes(&setting, 1,
                        (struct bytes){(const uint8_t *)account->name, strlen(account->name)});
    sigstore_wire_varint(&value, 1, (uint64_t)account->world->now_ms);
    sigstore_wire_bytes(&value, 7, buf_bytes(&setting));
    sigstore_wire_bytes(out, 1, (struct bytes){(const uint8_t *)index, strlen(index)});
    sigstore_wire_bytes(out, 2, buf_bytes(&value));
    sigstore_wire_bytes(out, 3, (struct bytes){0});
    sigstore_wire_varint(out, 4, ACTION_VERSION);
    buf_done(&setting);
    buf_done(&value);
}

static void add_sub(struct buf *out, uint32_t field, uint32_t inner, struct bytes bytes)
{
    struct buf message = {0};

    sigstore_wire_bytes(&message, inner, bytes);
    sigstore_wire_bytes(out, field, buf_bytes(&message));
    buf_done(&message);
}

/* The hash over a collection that holds one value only: its MAC, expanded and added to zero. */
static void first_lthash(const uint8_t value_mac[MAC], uint8_t out[LTHASH])
{
    static const char info[] = "WhatsApp Patch Integrity";

    crypto_hkdf((struct bytes){value_mac, MAC}, (struct bytes){0},
                (struct bytes){(const uint8_t *)info, sizeof(info) - 1}, out, LTHASH);
}

static void add_macs(const struct mutation_keys *keys, const uint8_t value_mac[MAC],
                     const char *collection, struct buf *patch)
{
    struct buf data = {0};
    uint8_t lthash[LTHASH];
    uint8_t mac[MAC];

    first_lthash(value_mac, lthash);
    buf_add(&data, lthash, sizeof(lthash));
    buf_add_be(&data, 1, 8);
    buf_add_str(&data, collection);
    crypto_hmac((struct bytes){keys->snapshot_mac, MAC}, buf_bytes(&data), mac);
    sigstore_wire_bytes(patch, 4, (struct bytes){mac, MAC});
    buf_clear(&data);
    buf_add(&data, mac, MAC);
    buf_add(&data, value_mac, MAC);
    buf_add_be(&data, 1, 8);
    buf_add_str(&data, collection);
    crypto_hmac((struct bytes){keys->patch_mac, MAC}, buf_bytes(&data), mac);
    sigstore_wire_bytes(patch, 5, (struct bytes){mac, MAC});
    buf_done(&data);
}

static void derive_keys(const uint8_t key[CRYPTO_KEY], struct mutation_keys *out)
{
    static const char info[] = "WhatsApp Mutation Keys";
    uint8_t all[MUTATION_KEYS];

    static_assert(sizeof(*out) == MUTATION_KEYS, "five keys in a row");
    crypto_hkdf((struct bytes){key, CRYPTO_KEY}, (struct bytes){0},
                (struct bytes){(const uint8_t *)info, sizeof(info) - 1}, all, sizeof(all));
    memcpy(out, all, sizeof(*out));
}

/* One mutation: SET of the push name. Its value's MAC goes to @value_mac. */
static void format_mutation(const struct sandbox_account *account, const struct mutation_keys *keys,
                            struct bytes key_id, uint8_t value_mac[MAC], struct buf *out)
{
    static const char index[] = "[\"setting_pushName\"]";
    struct buf action = {0};
    struct buf value = {0};
    struct buf record = {0};
    uint8_t index_mac[MAC];

    format_action(account, index, &action);
    seal_value(keys, key_id, buf_bytes(&action), value_mac, &value);
    crypto_hmac((struct bytes){keys->index, MAC},
                (struct bytes){(const uint8_t *)index, sizeof(index) - 1}, index_mac);
    add_sub(&record, 1, 1, (struct bytes){index_mac, MAC});
    add_sub(&record, 2, 1, buf_bytes(&value));
    add_sub(&record, 3, 1, key_id);
    sigstore_wire_varint(out, 1, 0); /* SET */
    sigstore_wire_bytes(out, 2, buf_bytes(&record));
    buf_done(&action);
    buf_done(&value);
    buf_done(&record);
}

void sandbox_appstate_push_name(struct sandbox_account *account)
{
    struct sandbox_collection *collection = &account->collections[0];
    struct mutation_keys keys;
    struct buf mutation = {0};
    struct buf patch = {0};
    uint8_t id[SANDBOX_APPSTATE_KEY_ID];
    uint8_t key[CRYPTO_KEY];
    uint8_t value_mac[MAC];

    if (collection->n > 0) {
        return; /* it stands there, or a companion wrote another one */
    }
    sandbox_appstate_key(account, id, key);
    derive_keys(key, &keys);
    format_mutation(account, &keys, (struct bytes){id, sizeof(id)}, value_mac, &mutation);
    sigstore_wire_bytes(&patch, 2, buf_bytes(&mutation));
    add_macs(&keys, value_mac, collection_names[0], &patch);
    add_sub(&patch, 6, 1, (struct bytes){id, sizeof(id)});
    append(collection, buf_bytes(&patch));
    sandbox_notify_appstate(account, collection_names[0], collection->n, NULL);
    mem_wipe(&keys, sizeof(keys));
    mem_wipe(key, sizeof(key));
    buf_done(&mutation);
    buf_done(&patch);
}
