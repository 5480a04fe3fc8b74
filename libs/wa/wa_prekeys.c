#include "wa/wa_prekeys.h"

#include <string.h>

#include "base/err.h"
#include "wa/wa_iq.h"

enum { KEY_TYPE = 5, ID_BYTES = 3, REGISTRATION_BYTES = 4 };

bool wa_bundle_holds(const struct wa_bundle *bundle)
{
    uint8_t message[1 + CRYPTO_KEY] = {KEY_TYPE};

    memcpy(message + 1, bundle->signed_public, CRYPTO_KEY);
    return crypto_xeddsa_verify(bundle->identity, (struct bytes){message, sizeof(message)},
                                bundle->signature);
}

/* ---- parts ---- */

static void add_bytes(struct wa_node *parent, const char *tag, const uint8_t *p, size_t n)
{
    wa_node_set_bytes(wa_node_child(parent, tag), (struct bytes){p, n});
}

static void add_be(struct wa_node *parent, const char *tag, uint32_t value, unsigned width)
{
    wa_node_set_be(wa_node_child(parent, tag), value, width);
}

void wa_prekeys_add_key(struct wa_node *parent, const struct wa_prekey *key)
{
    struct wa_node *node = wa_node_child(parent, "key");

    add_be(node, "id", key->id, ID_BYTES);
    add_bytes(node, "value", key->public_key, CRYPTO_KEY);
}

void wa_prekeys_add_skey(struct wa_node *parent, const struct wa_bundle *bundle)
{
    struct wa_node *node = wa_node_child(parent, "skey");

    add_be(node, "id", bundle->signed_id, ID_BYTES);
    add_bytes(node, "value", bundle->signed_public, CRYPTO_KEY);
    add_bytes(node, "signature", bundle->signature, CRYPTO_SIGNATURE);
}

static void add_head(struct wa_node *parent, const struct wa_bundle *bundle)
{
    add_be(parent, "registration", bundle->registration_id, REGISTRATION_BYTES);
    add_be(parent, "type", KEY_TYPE, 1);
    add_bytes(parent, "identity", bundle->identity, CRYPTO_KEY);
}

static bool take_id(const struct wa_node *node, uint32_t *out)
{
    uint32_t id;

    if (!wa_node_be(node, ID_BYTES, &id) || id == 0) {
        return false;
    }
    *out = id;
    return true;
}

static bool take_value(const struct wa_node *node, uint8_t out[CRYPTO_KEY])
{
    struct bytes bytes = wa_node_bytes(node);

    if (bytes.n == CRYPTO_KEY + 1 && bytes.p[0] == KEY_TYPE) {
        bytes = (struct bytes){bytes.p + 1, CRYPTO_KEY};
    }
    if (bytes.n != CRYPTO_KEY) {
        return false;
    }
    memcpy(out, bytes.p, CRYPTO_KEY);
    return true;
}

bool wa_prekeys_take_key(const struct wa_node *key, struct wa_prekey *out)
{
    struct wa_prekey made;

    if (!take_id(wa_node_find(key, "id"), &made.id) ||
        !take_value(wa_node_find(key, "value"), made.public_key)) {
        return false;
    }
    *out = made;
    return true;
}

bool wa_prekeys_take_skey(const struct wa_node *skey, struct wa_bundle *out)
{
    struct wa_bundle made = *out;

    if (!take_id(wa_node_find(skey, "id"), &made.signed_id) ||
        !take_value(wa_node_find(skey, "value"), made.signed_public) ||
        !wa_node_copy_bytes(wa_node_find(skey, "signature"), made.signature, CRYPTO_SIGNATURE)) {
        return false;
    }
    *out = made;
    return true;
}

/* registration, type, identity, skey of @node. */
static bool take_head(const struct wa_node *node, struct wa_bundle *out)
{
    uint32_t type = KEY_TYPE;
    const struct wa_node *type_node = wa_node_find(node, "type");

    return wa_node_be(wa_node_find(node, "registration"), REGISTRATION_BYTES,
                      &out->registration_id) &&
           (type_node == NULL || (wa_node_be(type_node, 1, &type) && type == KEY_TYPE)) &&
           take_value(wa_node_find(node, "identity"), out->identity) &&
           wa_prekeys_take_skey(wa_node_find(node, "skey"), out);
}

/* ---- upload ---- */

struct wa_node *wa_prekeys_upload(struct arena *arena, const char *id,
                                  const struct wa_prekeys_upload *upload)
{
    struct wa_node *iq = wa_node_iq(arena, "set", "encrypt", id);
    struct wa_node *list;

    add_head(iq, &upload->own);
    list = wa_node_child(iq, "list");
    for (size_t i = 0; i < upload->n; i++) {
        wa_prekeys_add_key(list, &upload->keys[i]);
    }
    wa_prekeys_add_skey(iq, &upload->own);
    return iq;
}

static const struct wa_prekey *find_key(const struct wa_prekeys_upload *upload, uint32_t id)
{
    for (size_t i = 0; i < upload->n; i++) {
        if (upload->keys[i].id == id) {
            return &upload->keys[i];
        }
    }
    return NULL;
}

int wa_prekeys_upload_parse(const struct wa_node *iq, struct arena *arena,
                            struct wa_prekeys_upload *out, struct err *err)
{
    const struct wa_node *list = wa_node_find(iq, "list");
    size_t n = wa_node_count(list, "key");
    struct wa_prekeys_upload made = {0};
    struct wa_prekey *keys;

    if (n > WA_PREKEYS_UPLOAD_MAX) {
        return err_set(err, ERR_LIMIT, "%zu prekeys in one upload, at most %d", n,
                       WA_PREKEYS_UPLOAD_MAX);
    }
    if (list == NULL || !take_head(iq, &made.own)) {
        return err_set(err, ERR_INVALID, "a prekey upload lacks a part or has one of wrong size");
    }
    keys = arena_array0(arena, n, sizeof(*keys));
    made.keys = keys;
    WA_NODE_EACH(child, list)
    {
        if (!wa_node_is(child, "key") || !wa_prekeys_take_key(child, &keys[made.n])) {
            return err_set(err, ERR_INVALID, "prekey %zu of an upload is malformed", made.n + 1);
        }
        if (find_key(&made, keys[made.n].id) != NULL) {
            return err_set(err, ERR_INVALID, "prekey %u is in an upload twice", keys[made.n].id);
        }
        made.n++;
    }
    if (!wa_bundle_holds(&made.own)) {
        return err_set(err, ERR_CRYPTO, "the signature of signed prekey %u does not hold",
                       made.own.signed_id);
    }
    *out = made;
    return 0;
}

/* ---- count ---- */

struct wa_node *wa_prekeys_count(struct arena *arena, const char *id)
{
    struct wa_node *iq = wa_node_iq(arena, "get", "encrypt", id);

    (void)wa_node_child(iq, "count");
    return iq;
}

struct wa_node *wa_prekeys_count_answer(struct arena *arena, const struct wa_node *request,
                                        uint32_t count)
{
    struct wa_node *iq = wa_iq_result(arena, request);

    wa_node_set_int(wa_node_child(iq, "count"), "value", count);
    return iq;
}

bool wa_prekeys_count_parse(const struct wa_node *answer, uint32_t *out)
{
    int64_t count;

    if (!wa_node_attr_int(wa_node_find(answer, "count"), "value", 0, WA_PREKEYS_COUNT_MAX,
                          &count)) {
        return false;
    }
    *out = (uint32_t)count;
    return true;
}

/* ---- digest ---- */

struct wa_node *wa_prekeys_digest(struct arena *arena, const char *id)
{
    struct wa_node *iq = wa_node_iq(arena, "get", "encrypt", id);

    (void)wa_node_child(iq, "digest");
    return iq;
}

static void digest_begin(struct buf *data, const struct wa_bundle *own)
{
    buf_add(data, own->identity, CRYPTO_KEY);
    buf_add(data, own->signed_public, CRYPTO_KEY);
    buf_add(data, own->signature, CRYPTO_SIGNATURE);
}

struct wa_node *wa_prekeys_digest_answer(struct arena *arena, const struct wa_node *request,
                                         const struct wa_prekeys_upload *upload)
{
    struct wa_node *iq = wa_iq_result(arena, request);
    struct wa_node *digest = wa_node_child(iq, "digest");
    struct wa_node *list;
    struct buf data = {0};
    uint8_t hash[CRYPTO_SHA1];

    add_head(digest, &upload->own);
    wa_prekeys_add_skey(digest, &upload->own);
    list = wa_node_child(digest, "list");
    digest_begin(&data, &upload->own);
    for (size_t i = 0; i < upload->n; i++) {
        add_be(list, "id", upload->keys[i].id, ID_BYTES);
        buf_add(&data, upload->keys[i].public_key, CRYPTO_KEY);
    }
    crypto_sha1(buf_bytes(&data), hash);
    add_bytes(digest, "hash", hash, sizeof(hash));
    buf_done(&data);
    return iq;
}

bool wa_prekeys_digest_holds(const struct wa_node *answer, const struct wa_prekeys_upload *upload)
{
    const struct wa_node *digest = wa_node_find(answer, "digest");
    struct buf data = {0};
    uint8_t said[CRYPTO_SHA1];
    uint8_t hash[CRYPTO_SHA1];
    bool ok = wa_node_copy_bytes(wa_node_find(digest, "hash"), said, sizeof(said)) &&
              wa_node_count(wa_node_find(digest, "list"), NULL) <= WA_PREKEYS_UPLOAD_MAX;

    digest_begin(&data, &upload->own);
    WA_NODE_EACH(child, wa_node_find(digest, "list"))
    {
        const struct wa_prekey *key = NULL;
        uint32_t id;

        if (ok && take_id(child, &id)) {
            key = find_key(upload, id);
        }
        ok = key != NULL;
        if (!ok) {
            break;
        }
        buf_add(&data, key->public_key, CRYPTO_KEY);
    }
    crypto_sha1(buf_bytes(&data), hash);
    buf_done(&data);
    return ok && crypto_equal(said, hash, sizeof(hash));
}

/* ---- which request ---- */

enum wa_prekeys_request wa_prekeys_request(const struct wa_node *iq)
{
    static const struct {
        const char *type, *child;
        enum wa_prekeys_request request;
    } table[] = {
        {"set", "list", WA_PREKEYS_UPLOAD},   {"set", "rotate", WA_PREKEYS_ROTATE},
        {"get", "count", WA_PREKEYS_COUNT},   {"get", "key", WA_PREKEYS_FETCH},
        {"get", "digest", WA_PREKEYS_DIGEST},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (wa_node_attr_is(iq, "type", table[i].type) &&
            wa_node_find(iq, table[i].child) != NULL) {
            return table[i].request;
        }
    }
    return WA_PREKEYS_NONE;
}

int wa_prekeys_rotate_parse(const struct wa_node *iq, struct wa_bundle *out, struct err *err)
{
    if (!wa_prekeys_take_skey(wa_node_path(iq, "rotate/skey"), out)) {
        return err_set(err, ERR_INVALID, "a rotation has no well-formed signed prekey");
    }
    return 0;
}

/* ---- bundles of others ---- */

struct wa_node *wa_prekeys_fetch(struct arena *arena, const char *id, const struct wa_jid *devices,
                                 size_t n)
{
    struct wa_node *iq = wa_node_iq(arena, "get", "encrypt", id);
    struct wa_node *key = wa_node_child(iq, "key");

    for (size_t i = 0; i < n; i++) {
        struct wa_node *user = wa_node_child(key, "user");

        wa_node_set_jid(user, "jid", &devices[i]);
        wa_node_set(user, "reason", "identity");
    }
    return iq;
}

int wa_prekeys_fetch_parse(const struct wa_node *iq, struct arena *arena,
                           struct wa_prekeys_wanted *out, struct err *err)
{
    const struct wa_node *key = wa_node_find(iq, "key");
    size_t n = wa_node_count(key, "user");
    struct wa_jid *devices;
    size_t at = 0;

    if (n > WA_PREKEYS_FETCH_MAX) {
        return err_set(err, ERR_LIMIT, "bundles of %zu devices asked for, at most %d", n,
                       WA_PREKEYS_FETCH_MAX);
    }
    devices = arena_array0(arena, n, sizeof(*devices));
    WA_NODE_EACH(user, key)
    {
        if (wa_node_is(user, "user") && !wa_node_attr_jid(user, "jid", &devices[at++])) {
            return err_set(err, ERR_INVALID, "user %zu of a bundle request has no address", at);
        }
    }
    *out = (struct wa_prekeys_wanted){devices, n};
    return 0;
}

void wa_prekeys_list_add(struct wa_node *list, const struct wa_jid *device,
                         const struct wa_bundle *bundle, struct bytes device_identity)
{
    struct wa_node *user = wa_node_child(list, "user");

    wa_node_set_jid(user, "jid", device);
    add_head(user, bundle);
    wa_prekeys_add_skey(user, bundle);
    if (bundle->has_prekey) {
        struct wa_prekey key = {.id = bundle->prekey_id};

        memcpy(key.public_key, bundle->prekey_public, CRYPTO_KEY);
        wa_prekeys_add_key(user, &key);
    }
    if (device_identity.n > 0) {
        wa_node_set_bytes(wa_node_child(user, "device-identity"), device_identity);
    }
}

static bool take_found(const struct wa_node *user, struct wa_prekeys_found *out)
{
    const struct wa_node *key = wa_node_find(user, "key");
    struct wa_prekey once;

    if (wa_node_find(user, "error") != NULL || !take_head(user, &out->bundle)) {
        return false;
    }
    if (key != NULL) {
        if (!wa_prekeys_take_key(key, &once)) {
            return false;
        }
        out->bundle.has_prekey = true;
        out->bundle.prekey_id = once.id;
        memcpy(out->bundle.prekey_public, once.public_key, CRYPTO_KEY);
    }
    out->device_identity = wa_node_bytes(wa_node_find(user, "device-identity"));
    return true;
}

int wa_prekeys_answer_parse(const struct wa_node *answer, struct arena *arena,
                            struct wa_prekeys_found **out, size_t *n, struct err *err)
{
    const struct wa_node *list = wa_node_find(answer, "list");
    size_t count = wa_node_count(list, "user");
    struct wa_prekeys_found *found;
    size_t at = 0;

    if (list == NULL) {
        return err_set(err, ERR_INVALID, "a bundle answer has no list");
    }
    if (count > WA_PREKEYS_FETCH_MAX) {
        return err_set(err, ERR_LIMIT, "bundles of %zu devices came, at most %d", count,
                       WA_PREKEYS_FETCH_MAX);
    }
    found = arena_array0(arena, count, sizeof(*found));
    WA_NODE_EACH(user, list)
    {
        if (wa_node_is(user, "user") && wa_node_attr_jid(user, "jid", &found[at].device)) {
            found[at].ok = take_found(user, &found[at]);
            at++;
        }
    }
    *out = found;
    *n = at;
    return 0;
}
