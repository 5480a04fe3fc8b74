/* The callbacks through which libsignal reads and writes the records of the running account. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sigstore/sigstore_account.h"
#include "sigstore/sigstore_session.h"
#include "sigstore/sigstore_wire.h"

enum { PREKEY_ID = 1, PREKEY_PUBLIC = 2, PREKEY_PRIVATE = 3, PREKEY_SIGNATURE = 4 };

/* What a callback returns when it noted in the store why the operation must end. */
enum { NOTED = SG_ERR_UNKNOWN };

static struct sigstore_account *running(void *ctx)
{
    struct sigstore *store = ctx;

    assert(store->running != NULL);
    return store->running;
}

static signal_buffer *buffer_of(struct bytes bytes)
{
    return signal_buffer_create(bytes.p, bytes.n);
}

static void ref_of(const signal_protocol_address *address, struct sigstore_ref *out)
{
    struct sigstore_addr addr = {.device = (uint32_t)address->device_id};

    assert(address->name_len < sizeof(addr.name));
    memcpy(addr.name, address->name, address->name_len);
    sigstore_peer_ref(&addr, out);
}

/* NOLINTBEGIN(readability-non-const-parameter): the shapes are libsignal's */

/* ---- sessions and identities: one record ---- */

/* 1 and the parts; 0 for a peer never met; negative: noted. */
static int peer_load(struct sigstore_account *account, const struct sigstore_ref *ref,
                     const uint8_t **identity, struct bytes *session)
{
    struct bytes stored;
    int rc = sigstore_operation_get(account, ref->kind, ref->key, &stored);

    if (rc == 1 && !sigstore_session_open(stored, identity, session)) {
        account->store->broken = true;
        return NOTED;
    }
    return rc < 0 ? NOTED : rc;
}

static int load_session(signal_buffer **record, signal_buffer **user_record,
                        const signal_protocol_address *address, void *ctx)
{
    struct sigstore_ref ref;
    const uint8_t *identity;
    struct bytes session;
    int rc;

    (void)user_record;
    ref_of(address, &ref);
    rc = peer_load(running(ctx), &ref, &identity, &session);
    if (rc != 1 || session.n == 0) {
        return rc < 0 ? rc : 0;
    }
    *record = buffer_of(session);
    return *record == NULL ? SG_ERR_NOMEM : 1;
}

static int contains_session(const signal_protocol_address *address, void *ctx)
{
    struct sigstore_ref ref;
    const uint8_t *identity;
    struct bytes session;
    int rc;

    ref_of(address, &ref);
    rc = peer_load(running(ctx), &ref, &identity, &session);
    return rc == 1 ? session.n > 0 : rc;
}

/* The identity of a peer is whom the session in use was agreed with, never what a message merely
 * claims. When it changes, what was agreed with the former one goes. */
static int store_session(const signal_protocol_address *address, uint8_t *record, size_t record_len,
                         uint8_t *user_record, size_t user_record_len, void *ctx)
{
    struct sigstore *store = ctx;
    struct bytes made = {record, record_len};
    struct sigstore_session session;
    struct sigstore_ref ref;
    const uint8_t *identity = NULL;
    struct bytes old;
    struct buf trimmed = {0};
    struct buf out = {0};
    int rc;

    (void)user_record;
    (void)user_record_len;
    ref_of(address, &ref);
    rc = peer_load(running(ctx), &ref, &identity, &old);
    if (rc < 0) {
        return rc;
    }
    if (!sigstore_session_look(made, &session) || !session.peer.has_identity) {
        store->broken = true;
        return NOTED;
    }
    store->identity_changed = rc == 1 && memcmp(identity, session.peer.identity, CRYPTO_KEY) != 0;
    if (store->identity_changed || session.peer.archived > SIGSTORE_ARCHIVED_MAX ||
        session.skipped_max > SIGSTORE_SKIPPED_MAX) {
        (void)sigstore_session_trim(made, store->identity_changed ? 0 : SIGSTORE_ARCHIVED_MAX,
                                    SIGSTORE_SKIPPED_MAX, &trimmed); /* it was looked at */
        made = buf_bytes(&trimmed);
    }
    sigstore_session_close(session.peer.identity, made, &out);
    sigstore_records_put(&running(ctx)->records, ref.kind, ref.key, buf_bytes(&out));
    buf_wipe(&trimmed);
    buf_wipe(&out);
    return 0;
}

/* Never called by the ciphers and builders in use here. */
static int get_sub_device_sessions(signal_int_list **sessions, const char *name, size_t name_len,
                                   void *ctx)
{
    (void)name;
    (void)name_len;
    (void)ctx;
    *sessions = signal_int_list_alloc();
    return *sessions == NULL ? SG_ERR_NOMEM : 0;
}

static int delete_session(const signal_protocol_address *address, void *ctx)
{
    (void)address;
    (void)ctx;
    return SG_ERR_INVAL;
}

static int delete_all_sessions(const char *name, size_t name_len, void *ctx)
{
    (void)name;
    (void)name_len;
    (void)ctx;
    return SG_ERR_INVAL;
}

static int is_trusted_identity(const signal_protocol_address *address, uint8_t *key, size_t key_len,
                               void *ctx)
{
    (void)address;
    (void)key;
    (void)key_len;
    (void)ctx;
    return 1; /* a changed one is accepted, and told */
}

static int save_identity(const signal_protocol_address *address, uint8_t *key, size_t key_len,
                         void *ctx)
{
    (void)address;
    (void)key;
    (void)key_len;
    (void)ctx;
    return 0; /* store_session takes it from the session */
}

/* ---- own keys ---- */

static void typed_key(const uint8_t key[CRYPTO_KEY], uint8_t out[SIGSTORE_TYPED_KEY])
{
    out[0] = SIGSTORE_KEY_TYPE;
    memcpy(out + 1, key, CRYPTO_KEY);
}

/* In libsignal's stored form. */
static int prekey_give(const struct sigstore_prekey *prekey, const uint8_t *signature,
                       signal_buffer **out)
{
    uint8_t public_key[SIGSTORE_TYPED_KEY];
    struct buf made = {0};

    typed_key(prekey->pair.pub, public_key);
    sigstore_wire_varint(&made, PREKEY_ID, prekey->id);
    sigstore_wire_bytes(&made, PREKEY_PUBLIC, (struct bytes){public_key, sizeof(public_key)});
    sigstore_wire_bytes(&made, PREKEY_PRIVATE, (struct bytes){prekey->pair.priv, CRYPTO_KEY});
    if (signature != NULL) {
        static const uint8_t no_time[] = {5 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0};

        sigstore_wire_bytes(&made, PREKEY_SIGNATURE, (struct bytes){signature, CRYPTO_SIGNATURE});
        buf_add(&made, no_time, sizeof(no_time));
    }
    *out = buffer_of(buf_bytes(&made));
    buf_wipe(&made);
    return *out == NULL ? SG_ERR_NOMEM : SG_SUCCESS;
}

static int load_prekey(signal_buffer **record, uint32_t id, void *ctx)
{
    struct sigstore_prekey prekey;
    int rc = sigstore_prekey_load(running(ctx), id, &prekey);

    if (rc != 1) {
        return rc == 0 ? SG_ERR_INVALID_KEY_ID : NOTED;
    }
    rc = prekey_give(&prekey, NULL, record);
    mem_wipe(&prekey, sizeof(prekey));
    return rc;
}

static int remove_prekey(uint32_t id, void *ctx)
{
    struct sigstore *store = ctx;
    char key[16];

    (void)snprintf(key, sizeof(key), "%" PRIu32, id);
    sigstore_records_remove(&running(ctx)->records, SIGSTORE_PREKEY, key);
    store->used_prekey = id;
    return 0;
}

static int load_signed_prekey(signal_buffer **record, uint32_t id, void *ctx)
{
    struct sigstore_signed_prekey prekey;
    int rc = sigstore_signed_prekey_load(running(ctx), id, &prekey);

    if (rc != 1) {
        return rc == 0 ? SG_ERR_INVALID_KEY_ID : NOTED;
    }
    rc = prekey_give(&prekey.key, prekey.signature, record);
    mem_wipe(&prekey, sizeof(prekey));
    return rc;
}

/* The library only loads keys, and removes one-time ones; making them is sigstore_own's. */
static int store_prekey(uint32_t id, uint8_t *record, size_t record_len, void *ctx)
{
    (void)id;
    (void)record;
    (void)record_len;
    (void)ctx;
    return SG_ERR_INVAL;
}

static int contains_prekey(uint32_t id, void *ctx)
{
    (void)id;
    (void)ctx;
    return SG_ERR_INVAL;
}

static int remove_signed_prekey(uint32_t id, void *ctx)
{
    (void)id;
    (void)ctx;
    return SG_ERR_INVAL;
}

static int get_identity_key_pair(signal_buffer **public_data, signal_buffer **private_data,
                                 void *ctx)
{
    const struct crypto_pair *identity = &running(ctx)->self.identity;
    uint8_t public_key[SIGSTORE_TYPED_KEY];

    typed_key(identity->pub, public_key);
    *public_data = signal_buffer_create(public_key, sizeof(public_key));
    *private_data = signal_buffer_create(identity->priv, CRYPTO_KEY);
    return *public_data == NULL || *private_data == NULL ? SG_ERR_NOMEM : 0;
}

static int get_local_registration_id(void *ctx, uint32_t *registration_id)
{
    *registration_id = running(ctx)->self.registration_id;
    return 0;
}

/* NOLINTEND(readability-non-const-parameter) */

int sigstore_stores_install(struct sigstore *store)
{
    const signal_protocol_session_store sessions = {.load_session_func = load_session,
                                                    .get_sub_device_sessions_func =
                                                        get_sub_device_sessions,
                                                    .store_session_func = store_session,
                                                    .contains_session_func = contains_session,
                                                    .delete_session_func = delete_session,
                                                    .delete_all_sessions_func = delete_all_sessions,
                                                    .user_data = store};
    const signal_protocol_pre_key_store prekeys = {.load_pre_key = load_prekey,
                                                   .store_pre_key = store_prekey,
                                                   .contains_pre_key = contains_prekey,
                                                   .remove_pre_key = remove_prekey,
                                                   .user_data = store};
    const signal_protocol_signed_pre_key_store signed_prekeys = {
        .load_signed_pre_key = load_signed_prekey,
        .store_signed_pre_key = store_prekey,
        .contains_signed_pre_key = contains_prekey,
        .remove_signed_pre_key = remove_signed_prekey,
        .user_data = store};
    const signal_protocol_identity_key_store identities = {
        .get_identity_key_pair = get_identity_key_pair,
        .get_local_registration_id = get_local_registration_id,
        .save_identity = save_identity,
        .is_trusted_identity = is_trusted_identity,
        .user_data = store};
    int rc = signal_protocol_store_context_create(&store->stores, store->context);

    if (rc == 0) {
        rc = signal_protocol_store_context_set_session_store(store->stores, &sessions);
    }
    if (rc == 0) {
        rc = signal_protocol_store_context_set_pre_key_store(store->stores, &prekeys);
    }
    if (rc == 0) {
        rc = signal_protocol_store_context_set_signed_pre_key_store(store->stores, &signed_prekeys);
    }
    if (rc == 0) {
        rc = signal_protocol_store_context_set_identity_key_store(store->stores, &identities);
    }
    return rc == 0 ? sigstore_group_install(store) : rc;
}
