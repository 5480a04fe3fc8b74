/* An account's own keys: the record that counts them, one-time and signed prekeys. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sigstore/sigstore_account.h"
#include "wa/wa_prekeys.h"

enum { FORMAT = 1, META_BYTES = 1 + 4 + 4, KEY_TEXT_MAX = 12 };
enum { SIGNATURE_AT = 1 + 2 * CRYPTO_KEY };

struct meta {
    uint32_t next_prekey;
    uint32_t signed_id; /* in use; 0: none yet */
};

static void id_key(uint32_t id, char out[KEY_TEXT_MAX])
{
    (void)snprintf(out, KEY_TEXT_MAX, "%" PRIu32, id);
}

static uint32_t take_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool meta_load(struct sigstore_account *account, struct meta *out)
{
    struct bytes stored;
    int rc = sigstore_operation_get(account, SIGSTORE_META, "", &stored);

    *out = (struct meta){.next_prekey = 1};
    if (rc == 1) {
        if (stored.n != META_BYTES || stored.p[0] != FORMAT) {
            account->store->broken = true;
            return false;
        }
        out->next_prekey = take_be32(stored.p + 1);
        out->signed_id = take_be32(stored.p + 5);
    }
    return rc >= 0;
}

static void meta_save(struct sigstore_account *account, const struct meta *meta)
{
    struct buf out = {0};

    buf_add_u8(&out, FORMAT);
    buf_add_be(&out, meta->next_prekey, 4);
    buf_add_be(&out, meta->signed_id, 4);
    sigstore_records_put(&account->records, SIGSTORE_META, "", buf_bytes(&out));
    buf_done(&out);
}

/* A prekey record is format, private and public key, and of a signed one its signature. */
static int key_load(struct sigstore_account *account, enum sigstore_kind kind, uint32_t id,
                    struct bytes *out)
{
    size_t want = SIGNATURE_AT + (kind == SIGSTORE_SIGNED_PREKEY ? CRYPTO_SIGNATURE : 0);
    char key[KEY_TEXT_MAX];
    int rc;

    id_key(id, key);
    rc = sigstore_operation_get(account, kind, key, out);
    if (rc == 1 && (out->n != want || out->p[0] != FORMAT)) {
        account->store->broken = true;
        return -1;
    }
    return rc;
}

static void pair_take(const uint8_t *p, struct crypto_pair *out)
{
    memcpy(out->priv, p, CRYPTO_KEY);
    memcpy(out->pub, p + CRYPTO_KEY, CRYPTO_KEY);
}

int sigstore_prekey_load(struct sigstore_account *account, uint32_t id, struct sigstore_prekey *out)
{
    struct bytes stored;
    int rc = key_load(account, SIGSTORE_PREKEY, id, &stored);

    if (rc == 1) {
        out->id = id;
        pair_take(stored.p + 1, &out->pair);
    }
    return rc;
}

int sigstore_signed_prekey_load(struct sigstore_account *account, uint32_t id,
                                struct sigstore_signed_prekey *out)
{
    struct bytes stored;
    int rc = key_load(account, SIGSTORE_SIGNED_PREKEY, id, &stored);

    if (rc == 1) {
        out->key.id = id;
        pair_take(stored.p + 1, &out->key.pair);
        memcpy(out->signature, stored.p + SIGNATURE_AT, CRYPTO_SIGNATURE);
    }
    return rc;
}

static void key_save(struct sigstore_account *account, enum sigstore_kind kind,
                     const struct sigstore_prekey *prekey, const uint8_t *signature)
{
    struct buf out = {0};
    char key[KEY_TEXT_MAX];

    id_key(prekey->id, key);
    buf_add_u8(&out, FORMAT);
    buf_add(&out, prekey->pair.priv, CRYPTO_KEY);
    buf_add(&out, prekey->pair.pub, CRYPTO_KEY);
    buf_add(&out, signature, signature == NULL ? 0 : CRYPTO_SIGNATURE);
    sigstore_records_put(&account->records, kind, key, buf_bytes(&out));
    buf_wipe(&out);
}

enum sigstore_verdict sigstore_prekey_next(struct sigstore_account *account, uint32_t *id)
{
    struct meta meta;

    sigstore_operation_begin(account);
    if (meta_load(account, &meta)) {
        *id = meta.next_prekey;
    }
    return sigstore_operation_end(account, SIGSTORE_OK);
}

static void add_prekeys(struct sigstore_account *account, struct meta *meta,
                        const struct sigstore_prekey *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(keys[i].id == sigstore_prekey_id_after(meta->next_prekey, i));
        key_save(account, SIGSTORE_PREKEY, &keys[i], NULL);
    }
    meta->next_prekey = sigstore_prekey_id_after(meta->next_prekey, n);
}

enum sigstore_verdict sigstore_prekeys_add(struct sigstore_account *account,
                                           const struct sigstore_prekey *keys, size_t n)
{
    struct meta meta;

    sigstore_operation_begin(account);
    if (meta_load(account, &meta)) {
        add_prekeys(account, &meta, keys, n);
        meta_save(account, &meta);
    }
    return sigstore_operation_end(account, SIGSTORE_OK);
}

enum sigstore_verdict sigstore_signed_prekey_add(struct sigstore_account *account,
                                                 const struct sigstore_signed_prekey *key)
{
    struct meta meta;

    sigstore_operation_begin(account);
    if (meta_load(account, &meta)) {
        key_save(account, SIGSTORE_SIGNED_PREKEY, &key->key, key->signature);
        meta.signed_id = key->key.id;
        meta_save(account, &meta);
    }
    return sigstore_operation_end(account, SIGSTORE_OK);
}

/* The signed prekey in use, made if there is none. False: noted why. */
static bool current_signed(struct sigstore_account *account, struct meta *meta,
                           struct sigstore_signed_prekey *out)
{
    if (meta->signed_id != 0) {
        int rc = sigstore_signed_prekey_load(account, meta->signed_id, out);

        if (rc == 0) {
            account->store->broken = true; /* the counting record names it */
        }
        return rc == 1;
    }
    sigstore_signed_prekey_make(&account->self, 1, out);
    key_save(account, SIGSTORE_SIGNED_PREKEY, &out->key, out->signature);
    meta->signed_id = out->key.id;
    return true;
}

static bool make_bundle(struct sigstore_account *account, bool one_time, struct wa_bundle *out)
{
    struct sigstore_signed_prekey current;
    struct sigstore_prekey once;
    struct meta meta;
    struct meta before;

    if (!meta_load(account, &meta)) {
        return false;
    }
    before = meta;
    if (!current_signed(account, &meta, &current)) {
        return false;
    }
    *out = (struct wa_bundle){.registration_id = account->self.registration_id,
                              .signed_id = current.key.id,
                              .has_prekey = one_time};
    memcpy(out->identity, account->self.identity.pub, CRYPTO_KEY);
    memcpy(out->signed_public, current.key.pair.pub, CRYPTO_KEY);
    memcpy(out->signature, current.signature, CRYPTO_SIGNATURE);
    if (one_time) {
        sigstore_prekeys_make(meta.next_prekey, 1, &once);
        add_prekeys(account, &meta, &once, 1);
        out->prekey_id = once.id;
        memcpy(out->prekey_public, once.pair.pub, CRYPTO_KEY);
    }
    if (meta.next_prekey != before.next_prekey || meta.signed_id != before.signed_id) {
        meta_save(account, &meta);
    }
    mem_wipe(&current, sizeof(current));
    mem_wipe(&once, sizeof(once));
    return true;
}

enum sigstore_verdict sigstore_bundle(struct sigstore_account *account, bool one_time,
                                      struct wa_bundle *out)
{
    sigstore_operation_begin(account);
    (void)make_bundle(account, one_time, out); /* why not is noted */
    return sigstore_operation_end(account, SIGSTORE_OK);
}
