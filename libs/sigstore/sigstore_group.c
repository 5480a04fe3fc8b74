/* Sender keys: one message for all members of a group. */
#include <assert.h>
#include <inttypes.h>
#include <signal/group_cipher.h>
#include <signal/group_session_builder.h>
#include <signal/protocol.h>
#include <signal/sender_key.h>
#include <signal/sender_key_record.h>
#include <signal/sender_key_state.h>
#include <stdio.h>
#include <string.h>

#include "sigstore/sigstore_account.h"
#include "sigstore/sigstore_session.h"

/* A record larger than this is looked at for keys to drop. */
enum { TRIM_BYTES = 4096 };

void sigstore_sender_ref(const struct sigstore_sender *sender, struct sigstore_ref *out)
{
    assert(strlen(sender->group) < SIGSTORE_GROUP_MAX &&
           sender->device.device <= SIGSTORE_DEVICE_MAX);
    out->kind = SIGSTORE_SENDER_KEY;
    (void)snprintf(out->key, sizeof(out->key), "%s::%s:%" PRIu32, sender->group,
                   sender->device.name, sender->device.device);
}

/* The library keeps the pointers: @sender outlives what is made with it. */
static signal_protocol_sender_key_name name_of(const struct sigstore_sender *sender)
{
    return (signal_protocol_sender_key_name){
        .group_id = sender->group,
        .group_id_len = strlen(sender->group),
        .sender = {.name = sender->device.name,
                   .name_len = strlen(sender->device.name),
                   .device_id = (int32_t)sender->device.device}};
}

/* ---- callbacks ---- */

static void ref_of(const signal_protocol_sender_key_name *name, struct sigstore_ref *out)
{
    struct sigstore_sender sender = {.group = name->group_id,
                                     .device = {.device = (uint32_t)name->sender.device_id}};

    assert(name->sender.name_len < sizeof(sender.device.name));
    memcpy(sender.device.name, name->sender.name, name->sender.name_len);
    sigstore_sender_ref(&sender, out);
}

/* NOLINTBEGIN(readability-non-const-parameter): the shapes are libsignal's */

static int load_sender_key(signal_buffer **record, signal_buffer **user_record,
                           const signal_protocol_sender_key_name *name, void *ctx)
{
    struct sigstore *store = ctx;
    struct sigstore_ref ref;
    struct bytes stored;
    int rc;

    (void)user_record;
    ref_of(name, &ref);
    rc = sigstore_operation_get(store->running, ref.kind, ref.key, &stored);
    if (rc != 1) {
        return rc < 0 ? SG_ERR_UNKNOWN : 0;
    }
    *record = signal_buffer_create(stored.p, stored.n);
    return *record == NULL ? SG_ERR_NOMEM : 1;
}

static int store_sender_key(const signal_protocol_sender_key_name *name, uint8_t *record,
                            size_t record_len, uint8_t *user_record, size_t user_record_len,
                            void *ctx)
{
    struct sigstore *store = ctx;
    struct bytes made = {record, record_len};
    struct sigstore_ref ref;
    struct buf trimmed = {0};

    (void)user_record;
    (void)user_record_len;
    ref_of(name, &ref);
    if (made.n > TRIM_BYTES && sigstore_sender_trim(made, SIGSTORE_SKIPPED_MAX, &trimmed)) {
        made = buf_bytes(&trimmed);
    }
    sigstore_records_put(&store->running->records, ref.kind, ref.key, made);
    buf_wipe(&trimmed);
    return 0;
}

/* NOLINTEND(readability-non-const-parameter) */

int sigstore_group_install(struct sigstore *store)
{
    const signal_protocol_sender_key_store senders = {.store_sender_key = store_sender_key,
                                                      .load_sender_key = load_sender_key,
                                                      .user_data = store};

    return signal_protocol_store_context_set_sender_key_store(store->stores, &senders);
}

/* ---- learn ---- */

/* Whether the key of @message is there and reaches as far back. Clients send it with every message;
 * taking it each time would push other keys out and make late messages look like repeats. */
static int is_known(struct sigstore *store, const signal_protocol_sender_key_name *name,
                    sender_key_distribution_message *message)
{
    sender_key_record *record = NULL;
    sender_key_state *state = NULL;
    int known = signal_protocol_sender_key_load_key(store->stores, &record, name);

    if (known < 0) {
        return known;
    }
    known = 0;
    if (sender_key_record_get_sender_key_state_by_id(
            record, &state, sender_key_distribution_message_get_id(message)) == 0) {
        known = ec_public_key_compare(sender_key_state_get_signing_key_public(state),
                                      sender_key_distribution_message_get_signature_key(message)) ==
                    0 &&
                sender_chain_key_get_iteration(sender_key_state_get_chain_key(state)) <=
                    sender_key_distribution_message_get_iteration(message);
    }
    SIGNAL_UNREF(record);
    return known;
}

static int learn(struct sigstore *store, const signal_protocol_sender_key_name *name,
                 struct bytes distribution)
{
    sender_key_distribution_message *message = NULL;
    group_session_builder *builder = NULL;
    int rc = sender_key_distribution_message_deserialize(&message, distribution.p, distribution.n,
                                                         store->context);

    if (rc == 0) {
        rc = is_known(store, name, message);
    }
    if (rc == 0) {
        rc = group_session_builder_create(&builder, store->stores, store->context);
        if (rc == 0) {
            rc = group_session_builder_process_session(builder, name, message);
        }
    }
    group_session_builder_free(builder);
    SIGNAL_UNREF(message);
    return rc;
}

enum sigstore_verdict sigstore_group_learn(struct sigstore_account *account,
                                           const struct sigstore_sender *sender,
                                           struct bytes distribution)
{
    signal_protocol_sender_key_name name = name_of(sender);
    int rc;

    if (distribution.n == 0 || distribution.n > SIGSTORE_PLAIN_MAX) {
        return SIGSTORE_BAD_MESSAGE;
    }
    sigstore_operation_begin(account);
    rc = learn(account->store, &name, distribution);
    return sigstore_operation_end(account, rc >= 0 ? SIGSTORE_OK : SIGSTORE_BAD_MESSAGE);
}

/* ---- decrypt ---- */

static int decrypt(struct sigstore *store, const signal_protocol_sender_key_name *name,
                   struct bytes bytes, signal_buffer **plain)
{
    sender_key_message *message = NULL;
    group_cipher *cipher = NULL;
    int rc = sender_key_message_deserialize(&message, bytes.p, bytes.n, store->context);

    if (rc == 0) {
        rc = group_cipher_create(&cipher, store->stores, name, store->context);
    }
    if (rc == 0) {
        rc = group_cipher_decrypt(cipher, message, NULL, plain);
    }
    group_cipher_free(cipher);
    SIGNAL_UNREF(message);
    return rc;
}

enum sigstore_verdict sigstore_group_decrypt(struct sigstore_account *account,
                                             const struct sigstore_sender *sender,
                                             struct bytes cipher, struct sigstore_plain *out)
{
    signal_protocol_sender_key_name name = name_of(sender);
    signal_buffer *plain = NULL;
    enum sigstore_verdict verdict;
    int rc;

    if (cipher.n == 0 || cipher.n > SIGSTORE_CIPHER_MAX) {
        return SIGSTORE_BAD_MESSAGE;
    }
    sigstore_operation_begin(account);
    rc = decrypt(account->store, &name, cipher, &plain);
    verdict = rc == SG_ERR_NO_SESSION ? SIGSTORE_NO_SENDER_KEY : sigstore_verdict_of(rc);
    verdict = sigstore_operation_end(account, verdict);
    if (verdict == SIGSTORE_OK) {
        buf_add(&out->bytes, signal_buffer_const_data(plain), signal_buffer_len(plain));
        out->identity_changed = false;
        out->used_prekey = 0;
    }
    if (rc == 0) {
        signal_buffer_bzero_free(plain);
    }
    return verdict;
}

/* ---- our own ---- */

enum sigstore_verdict sigstore_group_share(struct sigstore_account *account,
                                           const struct sigstore_sender *self, struct buf *out)
{
    struct sigstore *store = account->store;
    signal_protocol_sender_key_name name = name_of(self);
    sender_key_distribution_message *message = NULL;
    group_session_builder *builder = NULL;
    enum sigstore_verdict verdict;
    int rc;

    sigstore_operation_begin(account);
    rc = group_session_builder_create(&builder, store->stores, store->context);
    if (rc == 0) {
        rc = group_session_builder_create_session(builder, &message, &name);
    }
    group_session_builder_free(builder);
    verdict = sigstore_operation_end(account, rc == 0 ? SIGSTORE_OK : SIGSTORE_BROKEN);
    if (verdict == SIGSTORE_OK) {
        const signal_buffer *bytes =
            ciphertext_message_get_serialized((const ciphertext_message *)message);

        buf_add(out, signal_buffer_const_data(bytes), signal_buffer_len(bytes));
    }
    SIGNAL_UNREF(message);
    return verdict;
}

enum sigstore_verdict sigstore_group_encrypt(struct sigstore_account *account,
                                             const struct sigstore_sender *self, struct bytes plain,
                                             struct buf *out)
{
    struct sigstore *store = account->store;
    signal_protocol_sender_key_name name = name_of(self);
    ciphertext_message *message = NULL;
    group_cipher *cipher = NULL;
    enum sigstore_verdict verdict;
    int rc;

    assert(plain.n > 0 && plain.n <= SIGSTORE_PLAIN_MAX);
    sigstore_operation_begin(account);
    rc = group_cipher_create(&cipher, store->stores, &name, store->context);
    if (rc == 0) {
        rc = group_cipher_encrypt(cipher, plain.p, plain.n, &message);
    }
    group_cipher_free(cipher);
    verdict = rc == 0                   ? SIGSTORE_OK
              : rc == SG_ERR_NO_SESSION ? SIGSTORE_NO_SENDER_KEY
                                        : SIGSTORE_BROKEN;
    verdict = sigstore_operation_end(account, verdict);
    if (verdict == SIGSTORE_OK) {
        const signal_buffer *bytes = ciphertext_message_get_serialized(message);

        buf_add(out, signal_buffer_const_data(bytes), signal_buffer_len(bytes));
    }
    SIGNAL_UNREF(message);
    return verdict;
}

enum sigstore_verdict sigstore_group_forget(struct sigstore_account *account,
                                            const struct sigstore_sender *sender)
{
    struct sigstore_ref ref;
    struct bytes stored;

    sigstore_sender_ref(sender, &ref);
    sigstore_operation_begin(account);
    if (sigstore_operation_get(account, ref.kind, ref.key, &stored) == 1) {
        sigstore_records_remove(&account->records, ref.kind, ref.key);
    }
    return sigstore_operation_end(account, SIGSTORE_OK);
}
