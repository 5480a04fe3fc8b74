#include "crypto/crypto_seal.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { VERSION = 1, HEADER = 1 + 4 + CRYPTO_GCM_IV };

static int add_key(struct crypto_keyring *ring, const char *hex, size_t n, struct err *err)
{
    struct buf raw = {0};
    uint8_t digest[CRYPTO_SHA256];
    struct crypto_seal_key *key = &ring->keys[ring->n];

    if (n != (size_t)CRYPTO_KEY * 2 || text_unhex(&raw, hex, n) < 0) {
        buf_wipe(&raw);
        return err_set(err, ERR_INVALID, "key %u of the list is not 64 hex digits", ring->n + 1);
    }
    memcpy(key->key, raw.p, CRYPTO_KEY);
    buf_wipe(&raw);
    crypto_sha256((struct bytes){key->key, CRYPTO_KEY}, digest);
    memcpy(key->id, digest, sizeof(key->id));
    ring->n++;
    return 0;
}

int crypto_keyring_parse(const char *text, struct crypto_keyring *out, struct err *err)
{
    struct crypto_keyring ring = {0};
    int rc = 0;

    for (const char *at = text; rc == 0;) {
        size_t n = strcspn(at, ",");

        if (ring.n == CRYPTO_SEAL_KEYS_MAX) {
            rc = err_set(err, ERR_LIMIT, "more than %d keys", CRYPTO_SEAL_KEYS_MAX);
            break;
        }
        rc = add_key(&ring, at, n, err);
        if (at[n] == '\0') {
            break;
        }
        at += n + 1;
    }
    if (rc == 0) {
        *out = ring;
    }
    crypto_keyring_wipe(&ring);
    return rc;
}

int crypto_keyring_check(const char *text, struct err *err)
{
    struct crypto_keyring ring = {0};
    int rc = crypto_keyring_parse(text, &ring, err);

    crypto_keyring_wipe(&ring);
    return rc;
}

void crypto_keyring_wipe(struct crypto_keyring *ring)
{
    mem_wipe(ring, sizeof(*ring));
}

static struct crypto_gcm *owner_gcm(const struct crypto_seal_key *key, const char *owner)
{
    uint8_t derived[CRYPTO_KEY];
    struct crypto_gcm *gcm;

    crypto_hkdf((struct bytes){key->key, CRYPTO_KEY}, (struct bytes){NULL, 0},
                (struct bytes){(const uint8_t *)owner, strlen(owner)}, derived, sizeof(derived));
    gcm = crypto_gcm_new(derived);
    mem_wipe(derived, sizeof(derived));
    return gcm;
}

void crypto_seal(const struct crypto_keyring *ring, const char *owner, const char *label,
                 struct bytes plain, struct buf *out)
{
    uint8_t *room = buf_room(out, plain.n + CRYPTO_SEAL_OVERHEAD);
    struct crypto_gcm *gcm = owner_gcm(&ring->keys[0], owner);

    room[0] = VERSION;
    memcpy(room + 1, ring->keys[0].id, sizeof(ring->keys[0].id));
    crypto_random(room + 1 + sizeof(ring->keys[0].id), CRYPTO_GCM_IV);
    crypto_gcm_seal(gcm, room + 1 + sizeof(ring->keys[0].id),
                    (struct bytes){(const uint8_t *)label, strlen(label)}, plain, room + HEADER);
    crypto_gcm_free(&gcm);
    buf_used(out, plain.n + CRYPTO_SEAL_OVERHEAD);
}

static const struct crypto_seal_key *find_key(const struct crypto_keyring *ring, const uint8_t *id)
{
    for (unsigned i = 0; i < ring->n; i++) {
        if (memcmp(ring->keys[i].id, id, sizeof(ring->keys[i].id)) == 0) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

int crypto_unseal(const struct crypto_keyring *ring, const char *owner, const char *label,
                  struct bytes sealed, struct buf *out, struct err *err)
{
    const struct crypto_seal_key *key;
    struct crypto_gcm *gcm;
    int rc;

    if (sealed.n < CRYPTO_SEAL_OVERHEAD || sealed.p[0] != VERSION) {
        return err_set(err, ERR_CRYPTO, "%s is not a sealed value", label);
    }
    key = find_key(ring, sealed.p + 1);
    if (key == NULL) {
        return err_set(err, ERR_NOT_FOUND, "%s is sealed under a key that is not configured",
                       label);
    }
    gcm = owner_gcm(key, owner);
    rc = crypto_gcm_open(
        gcm, sealed.p + 1 + sizeof(key->id), (struct bytes){(const uint8_t *)label, strlen(label)},
        (struct bytes){sealed.p + HEADER, sealed.n - HEADER}, buf_room(out, sealed.n), err);
    crypto_gcm_free(&gcm);
    if (rc < 0) {
        return err_wrap(err, rc, "%s", label);
    }
    buf_used(out, sealed.n - CRYPTO_SEAL_OVERHEAD);
    return 0;
}
