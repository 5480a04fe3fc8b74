/* Sessions with the devices of other people: begin, encrypt, decrypt, set aside. */
#include <assert.h>
#include <inttypes.h>
#include <signal/protocol.h>
#include <signal/session_builder.h>
#include <signal/session_cipher.h>
#include <signal/session_pre_key.h>
#include <stdio.h>
#include <string.h>

#include "sigstore/sigstore_account.h"
#include "sigstore/sigstore_session.h"
#include "sigstore/sigstore_wire.h"
#include "wa/wa_prekeys.h"

/* Field numbers of a PreKeySignalMessage. */
enum { PKMSG_PREKEY_ID = 1, PKMSG_SIGNED_PREKEY_ID = 6 };

_Static_assert((int)WA_JID_DEVICE_MAX <= (int)SIGSTORE_DEVICE_MAX,
               "a person's device has a record");

void sigstore_addr_of(const struct wa_jid *jid, struct sigstore_addr *out)
{
    static const char *const suffixes[] = {[WA_SERVER_PN] = "",
                                           [WA_SERVER_LID] = "_1",
                                           [WA_SERVER_HOSTED] = "_128",
                                           [WA_SERVER_HOSTED_LID] = "_129"};
    bool known =
        jid->server < sizeof(suffixes) / sizeof(suffixes[0]) && suffixes[jid->server] != NULL;

    /* other servers have no Signal sessions; their names only must not meet these */
    (void)snprintf(out->name, sizeof(out->name), "%s%s", jid->user,
                   known ? suffixes[jid->server] : "_x");
    out->device = jid->device;
}

void sigstore_peer_ref(const struct sigstore_addr *addr, struct sigstore_ref *out)
{
    assert(addr->device <= SIGSTORE_DEVICE_MAX);
    out->kind = SIGSTORE_PEER;
    (void)snprintf(out->key, sizeof(out->key), "%s:%" PRIu32, addr->name, addr->device);
}

/* The library keeps the pointer: @addr outlives what is made with it. */
static signal_protocol_address address_of(const struct sigstore_addr *addr)
{
    return (signal_protocol_address){
        .name = addr->name, .name_len = strlen(addr->name), .device_id = (int32_t)addr->device};
}

static size_t add_id_ref(struct sigstore_ref *out, enum sigstore_kind kind, uint64_t id)
{
    out->kind = kind;
    (void)snprintf(out->key, sizeof(out->key), "%" PRIu32, (uint32_t)id);
    return 1;
}

size_t sigstore_decrypt_refs(const struct sigstore_addr *addr, enum wa_enc_type type,
                             struct bytes cipher, struct sigstore_ref out[SIGSTORE_REFS_MAX])
{
    struct sigstore_field field;
    uint64_t prekey = 0;
    uint64_t signed_prekey = 0;
    size_t n = 1;

    sigstore_peer_ref(addr, &out[0]);
    if (type != WA_ENC_PKMSG || cipher.n < 1) {
        return n;
    }
    cipher = (struct bytes){cipher.p + 1, cipher.n - 1}; /* the version */
    while (sigstore_wire_next(&cipher, &field) > 0) {
        if (field.number == PKMSG_PREKEY_ID) {
            prekey = field.value;
        } else if (field.number == PKMSG_SIGNED_PREKEY_ID) {
            signed_prekey = field.value;
        }
    }
    if (signed_prekey != 0) {
        n += add_id_ref(&out[n], SIGSTORE_SIGNED_PREKEY, signed_prekey);
    }
    if (prekey != 0) {
        n += add_id_ref(&out[n], SIGSTORE_PREKEY, prekey);
    }
    return n;
}

/* ---- the record as a whole ---- */

/* 1 with the parts, 0 for a peer never met, negative: noted. */
static int load(struct sigstore_account *account, const struct sigstore_addr *addr,
                const uint8_t **identity, struct bytes *session)
{
    struct sigstore_ref ref;
    struct bytes stored;
    int rc;

    sigstore_peer_ref(addr, &ref);
    rc = sigstore_operation_get(account, ref.kind, ref.key, &stored);
    if (rc == 1 && !sigstore_session_open(stored, identity, session)) {
        account->store->broken = true;
        return -1;
    }
    return rc;
}

static void save(struct sigstore_account *account, const struct sigstore_addr *addr,
                 const uint8_t *identity, struct bytes session)
{
    struct sigstore_ref ref;
    struct buf out = {0};

    sigstore_peer_ref(addr, &ref);
    sigstore_session_close(identity, session, &out);
    sigstore_records_put(&account->records, ref.kind, ref.key, buf_bytes(&out));
    buf_wipe(&out);
}

static bool look(struct sigstore_account *account, const struct sigstore_addr *addr,
                 struct sigstore_peer *out)
{
    struct sigstore_session session = {0};
    const uint8_t *identity;
    struct bytes bytes;
    int rc = load(account, addr, &identity, &bytes);

    if (rc == 1) {
        if (!sigstore_session_look(bytes, &session)) {
            account->store->broken = true;
            return false;
        }
        session.peer.has_identity = true;
        memcpy(session.peer.identity, identity, CRYPTO_KEY);
    }
    if (rc >= 0) {
        *out = session.peer;
    }
    return rc >= 0;
}

enum sigstore_verdict sigstore_peer_get(struct sigstore_account *account,
                                        const struct sigstore_addr *addr, struct sigstore_peer *out)
{
    sigstore_operation_begin(account);
    (void)look(account, addr, out); /* why not is noted */
    return sigstore_operation_end(account, SIGSTORE_OK);
}

enum sigstore_verdict sigstore_peer_end(struct sigstore_account *account,
                                        const struct sigstore_addr *addr)
{
    const uint8_t *identity;
    struct bytes session;

    sigstore_operation_begin(account);
    if (load(account, addr, &identity, &session) == 1 && session.n > 0) {
        save(account, addr, identity, (struct bytes){NULL, 0});
    }
    return sigstore_operation_end(account, SIGSTORE_OK);
}

enum sigstore_verdict sigstore_peer_archive(struct sigstore_account *account,
                                            const struct sigstore_addr *addr)
{
    const uint8_t *identity;
    struct bytes session;
    struct buf archived = {0};

    sigstore_operation_begin(account);
    if (load(account, addr, &identity, &session) == 1 && session.n > 0) {
        if (sigstore_session_archive(session, &archived)) {
            save(account, addr, identity, buf_bytes(&archived));
        } else {
            account->store->broken = true;
        }
    }
    buf_wipe(&archived);
    return sigstore_operation_end(account, SIGSTORE_OK);
}

enum sigstore_verdict sigstore_peer_move(struct sigstore_account *account,
                                         const struct sigstore_addr *from,
                                         const struct sigstore_addr *to)
{
    struct sigstore_ref old;
    struct sigstore_ref new;
    struct bytes stored;
    struct bytes there;
    int rc;

    sigstore_peer_ref(from, &old);
    sigstore_peer_ref(to, &new);
    sigstore_operation_begin(account);
    rc = sigstore_operation_get(account, new.kind, new.key, &there);
    if (rc >= 0 && sigstore_operation_get(account, old.kind, old.key, &stored) == 1 &&
        strcmp(old.key, new.key) != 0) {
        if (rc == 0) {
            sigstore_records_put(&account->records, new.kind, new.key, stored);
        }
        sigstore_records_remove(&account->records, old.kind, old.key);
    }
    return sigstore_operation_end(account, SIGSTORE_OK);
}

/* ---- begin ---- */

static int decode_key(const struct sigstore *store, const uint8_t key[CRYPTO_KEY],
                      ec_public_key **out)
{
    uint8_t typed[SIGSTORE_TYPED_KEY] = {SIGSTORE_KEY_TYPE};

    memcpy(typed + 1, key, CRYPTO_KEY);
    return curve_decode_point(out, typed, sizeof(typed), store->context);
}

static int make_bundle(const struct sigstore *store, const struct sigstore_addr *addr,
                       const struct wa_bundle *from, session_pre_key_bundle **out)
{
    ec_public_key *identity = NULL;
    ec_public_key *signed_public = NULL;
    ec_public_key *once = NULL;
    int rc = decode_key(store, from->identity, &identity);

    if (rc == 0) {
        rc = decode_key(store, from->signed_public, &signed_public);
    }
    if (rc == 0 && from->has_prekey) {
        rc = decode_key(store, from->prekey_public, &once);
    }
    if (rc == 0) {
        rc = session_pre_key_bundle_create(out, from->registration_id, (int)addr->device,
                                           from->prekey_id, once, from->signed_id, signed_public,
                                           from->signature, CRYPTO_SIGNATURE, identity);
    }
    SIGNAL_UNREF(once);
    SIGNAL_UNREF(signed_public);
    SIGNAL_UNREF(identity);
    return rc;
}

enum sigstore_verdict sigstore_peer_start(struct sigstore_account *account,
                                          const struct sigstore_addr *addr,
                                          const struct wa_bundle *bundle, bool *changed)
{
    struct sigstore *store = account->store;
    signal_protocol_address address = address_of(addr);
    session_pre_key_bundle *made = NULL;
    session_builder *builder = NULL;
    enum sigstore_verdict verdict;
    int rc;

    sigstore_operation_begin(account);
    rc = make_bundle(store, addr, bundle, &made);
    if (rc == 0) {
        rc = session_builder_create(&builder, store->stores, &address, store->context);
    }
    if (rc == 0) {
        rc = session_builder_process_pre_key_bundle(builder, made);
    }
    session_builder_free(builder);
    SIGNAL_UNREF(made);
    /* a point of small order is SG_ERR_UNKNOWN; failures of ours are noted and overrule */
    verdict = rc >= 0 ? SIGSTORE_OK : SIGSTORE_BAD_KEY;
    verdict = sigstore_operation_end(account, verdict);
    if (verdict == SIGSTORE_OK && changed != NULL) {
        *changed = store->identity_changed;
    }
    return verdict;
}

/* ---- encrypt ---- */

static enum sigstore_verdict run_encrypt(struct sigstore *store, const struct sigstore_addr *addr,
                                         struct bytes plain, enum wa_enc_type *type,
                                         struct buf *out)
{
    signal_protocol_address address = address_of(addr);
    session_cipher *cipher = NULL;
    ciphertext_message *message = NULL;
    int rc = session_cipher_create(&cipher, store->stores, &address, store->context);

    if (rc == 0) {
        rc = session_cipher_encrypt(cipher, plain.p, plain.n, &message);
    }
    if (rc == 0) {
        const signal_buffer *bytes = ciphertext_message_get_serialized(message);

        *type = ciphertext_message_get_type(message) == CIPHERTEXT_PREKEY_TYPE ? WA_ENC_PKMSG
                                                                               : WA_ENC_MSG;
        buf_add(out, signal_buffer_const_data(bytes), signal_buffer_len(bytes));
    }
    SIGNAL_UNREF(message);
    session_cipher_free(cipher);
    return rc == 0 ? SIGSTORE_OK : SIGSTORE_BROKEN;
}

enum sigstore_verdict sigstore_encrypt(struct sigstore_account *account,
                                       const struct sigstore_addr *addr, struct bytes plain,
                                       enum wa_enc_type *type, struct buf *out)
{
    enum sigstore_verdict verdict = SIGSTORE_BROKEN;
    struct sigstore_peer peer;

    assert(plain.n > 0 && plain.n <= SIGSTORE_PLAIN_MAX);
    sigstore_operation_begin(account);
    if (look(account, addr, &peer)) {
        verdict = peer.has_session ? run_encrypt(account->store, addr, plain, type, out)
                                   : SIGSTORE_NO_SESSION;
    }
    return sigstore_operation_end(account, verdict);
}

/* ---- decrypt ---- */

enum sigstore_verdict sigstore_verdict_of(int rc)
{
    switch (rc) {
    case SG_SUCCESS:
        return SIGSTORE_OK;
    case SG_ERR_DUPLICATE_MESSAGE:
        return SIGSTORE_DUPLICATE;
    case SG_ERR_NO_SESSION:
        return SIGSTORE_NO_SESSION;
    case SG_ERR_INVALID_KEY_ID:
        return SIGSTORE_BAD_PREKEY_ID;
    case SG_ERR_INVALID_KEY:
        return SIGSTORE_BAD_KEY;
    case SG_ERR_NOMEM:
        return SIGSTORE_BROKEN;
    default: /* MAC, version, structure, or a point of small order */
        return SIGSTORE_BAD_MESSAGE;
    }
}

static int decrypt_msg(struct sigstore *store, session_cipher *cipher, struct bytes bytes,
                       signal_buffer **plain)
{
    signal_message *message = NULL;
    int rc = signal_message_deserialize(&message, bytes.p, bytes.n, store->context);

    if (rc == 0) {
        rc = session_cipher_decrypt_signal_message(cipher, message, NULL, plain);
    }
    SIGNAL_UNREF(message);
    return rc;
}

static int decrypt_pkmsg(struct sigstore *store, session_cipher *cipher, struct bytes bytes,
                         signal_buffer **plain)
{
    pre_key_signal_message *message = NULL;
    int rc = pre_key_signal_message_deserialize(&message, bytes.p, bytes.n, store->context);

    if (rc == 0) {
        rc = session_cipher_decrypt_pre_key_signal_message(cipher, message, NULL, plain);
    }
    SIGNAL_UNREF(message);
    return rc;
}

enum sigstore_verdict sigstore_decrypt(struct sigstore_account *account,
                                       const struct sigstore_addr *addr, enum wa_enc_type type,
                                       struct bytes cipher, struct sigstore_plain *out)
{
    struct sigstore *store = account->store;
    signal_protocol_address address = address_of(addr);
    session_cipher *session = NULL;
    signal_buffer *plain = NULL;
    enum sigstore_verdict verdict;
    int rc;

    assert(type == WA_ENC_MSG || type == WA_ENC_PKMSG);
    if (cipher.n == 0 || cipher.n > SIGSTORE_CIPHER_MAX) {
        return SIGSTORE_BAD_MESSAGE;
    }
    sigstore_operation_begin(account);
    rc = session_cipher_create(&session, store->stores, &address, store->context);
    if (rc == 0) {
        rc = type == WA_ENC_MSG ? decrypt_msg(store, session, cipher, &plain)
                                : decrypt_pkmsg(store, session, cipher, &plain);
    }
    session_cipher_free(session);
    verdict = sigstore_operation_end(account, sigstore_verdict_of(rc));
    if (verdict == SIGSTORE_OK) {
        buf_add(&out->bytes, signal_buffer_const_data(plain), signal_buffer_len(plain));
        out->identity_changed = store->identity_changed;
        out->used_prekey = store->used_prekey;
    }
    if (rc == 0) {
        signal_buffer_bzero_free(plain);
    }
    return verdict;
}
