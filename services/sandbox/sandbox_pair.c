/* Pairing: QR codes for a client without a phone, a phone that scans one, what both sign. */
#include <stdlib.h>
#include <string.h>

#include "adv.pb-c.h"
#include "base/text.h"
#include "sandbox/sandbox_internal.h"
#include "wa/wa_adv.h"
#include "wa/wa_iq.h"
#include "wa/wa_proto.h"
#include "wa/wa_qr.h"

enum { REF_BYTES = 32 };

static const struct wa_jid *server_jid(void)
{
    static struct wa_jid jid;

    jid = wa_jid_of_server(WA_SERVER_PN);
    return &jid;
}

/* `<iq from=S type="set" id= xmlns="md">` */
static struct wa_node *new_iq(struct sandbox_conn *conn, const char *id)
{
    struct wa_node *iq = wa_node_new(&conn->world->arena, "iq");

    wa_node_set_jid(iq, "from", server_jid());
    wa_node_set(iq, "type", "set");
    wa_node_set(iq, "id", id);
    wa_node_set(iq, "xmlns", "md");
    return iq;
}

/* ---- codes ---- */

static void on_pairing_over(void *ctx)
{
    sandbox_conn_shut(ctx);
}

static void make_ref(struct sandbox_conn *conn, size_t at)
{
    struct buf text = {0};
    uint8_t random[REF_BYTES];

    crypto_random(random, sizeof(random));
    buf_add_str(&text, "2@"); /* as real ones begin */
    text_base64(&text, (struct bytes){random, sizeof(random)}, TEXT_BASE64URL);
    conn->refs[at] = mem_strdup(buf_text(&text));
    sandbox_map_put(&conn->world->by_ref, conn->refs[at], conn);
    buf_done(&text);
}

void sandbox_pair_start(struct sandbox_conn *conn, const struct wa_registration *registration)
{
    struct wa_node *iq = new_iq(conn, sandbox_stanza_id(conn->world));
    struct wa_node *pair = wa_node_child(iq, "pair-device");

    conn->registration = *registration;
    conn->phase = SANDBOX_PAIRING;
    for (size_t i = 0; i < SANDBOX_REFS; i++) {
        make_ref(conn, i);
        wa_node_set_bytes(wa_node_child(pair, "ref"),
                          (struct bytes){(const uint8_t *)conn->refs[i], strlen(conn->refs[i])});
    }
    sandbox_conn_send(conn, iq);
    sandbox_agenda_put(&conn->world->agenda, &conn->timeout,
                       conn->world->now_ms + SANDBOX_PAIRING_MS, on_pairing_over, conn);
}

void sandbox_pair_stop(struct sandbox_conn *conn)
{
    for (size_t i = 0; i < SANDBOX_REFS; i++) {
        if (conn->refs[i] != NULL) {
            (void)sandbox_map_take(&conn->world->by_ref, conn->refs[i]);
            free(conn->refs[i]);
            conn->refs[i] = NULL;
        }
    }
}

/* ---- the phone scans ---- */

static void send_success(struct sandbox_conn *conn, struct bytes offer)
{
    struct sandbox_account *account = conn->offer.account;
    struct wa_jid pn = sandbox_account_jid(account, WA_SERVER_PN, conn->offer.device);
    struct wa_jid lid = sandbox_account_jid(account, WA_SERVER_LID, conn->offer.device);
    struct wa_node *iq = new_iq(conn, conn->offer.id);
    struct wa_node *success = wa_node_child(iq, "pair-success");
    struct wa_node *device;

    wa_node_set_int(iq, "t", sandbox_now_s(conn->world));
    wa_node_set_bytes(wa_node_child(success, "device-identity"), offer);
    device = wa_node_child(success, "device");
    wa_node_set_jid(device, "jid", &pn);
    wa_node_set_jid(device, "lid", &lid);
    wa_node_set(wa_node_child(success, "platform"), "name", "android");
    sandbox_conn_send(conn, iq);
}

static void offer(struct sandbox_conn *conn, struct sandbox_account *account,
                  const struct wa_qr *qr)
{
    struct wa_adv_offer made = {.raw_id = account->raw_id,
                                .key_index = ++account->last_key_index,
                                .timestamp_s = sandbox_now_s(conn->world)};
    struct buf bytes = {0};

    memcpy(made.identity, qr->identity, CRYPTO_KEY);
    memcpy(made.adv_secret, qr->adv_secret, CRYPTO_KEY);
    wa_adv_offer_make(&made, &sandbox_account_self(account)->identity, &bytes);
    conn->offer = (struct sandbox_offer){.account = account,
                                         .device = ++account->last_device,
                                         .key_index = made.key_index,
                                         .timestamp_s = made.timestamp_s};
    (void)snprintf(conn->offer.id, sizeof(conn->offer.id), "%s", sandbox_stanza_id(conn->world));
    sandbox_pair_stop(conn); /* a code is good for one scan */
    conn->phase = SANDBOX_SIGNING;
    send_success(conn, buf_bytes(&bytes));
    mem_wipe(&made, sizeof(made));
    buf_done(&bytes);
}

static int check_qr(struct sandbox_world *world, const struct wa_qr *qr, struct sandbox_conn **out,
                    struct err *err)
{
    struct sandbox_conn *conn = sandbox_map_find(&world->by_ref, qr->ref);

    if (conn == NULL || conn->phase != SANDBOX_PAIRING) {
        return err_set(err, ERR_NOT_FOUND, "nobody shows this code (any more)");
    }
    if (!crypto_equal(qr->noise, conn->noise, CRYPTO_KEY) ||
        !crypto_equal(qr->identity, conn->registration.identity, CRYPTO_KEY)) {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_PAIRING,
                        "the keys in the code are not those of the registration");
        return err_set(err, ERR_REFUSED, "the keys in the code are not those of the client");
    }
    *out = conn;
    return 0;
}

int sandbox_world_scan(struct sandbox_world *world, const char *qr, struct sandbox_account *account,
                       struct sandbox_account **out, struct err *err)
{
    struct sandbox_conn *conn = NULL;
    struct wa_qr parsed = {0};
    int rc = wa_qr_parse(qr, &parsed, err);

    sandbox_enter(world);
    if (rc == 0) {
        rc = check_qr(world, &parsed, &conn, err);
    }
    if (rc == 0 && account == NULL) {
        rc = sandbox_world_phones(world, 1, NULL, NULL, &account, err);
    }
    if (rc == 0 && (account->n_companions == SANDBOX_DEVICES_MAX || account->last_device == 255)) {
        rc = err_set(err, ERR_LIMIT, "%s has %zu companions already", account->number,
                     account->n_companions);
    }
    if (rc == 0 && conn != NULL) {
        offer(conn, account, &parsed);
        *out = account;
    }
    mem_wipe(&parsed, sizeof(parsed));
    sandbox_leave(world);
    return rc;
}

/* ---- the companion signs ---- */

/* The identity as others get it: what the companion answered and the account's key. */
static int full_identity(struct bytes reply, const uint8_t account_key[CRYPTO_KEY], struct buf *out)
{
    struct ProtobufCMessage *raw = NULL;
    int rc = wa_proto_unpack(&wa__advsigned_device_identity__descriptor, reply, &raw, NULL);

    if (rc == 0) {
        Wa__ADVSignedDeviceIdentity full = *(Wa__ADVSignedDeviceIdentity *)(void *)raw;
        uint8_t key[CRYPTO_KEY];

        memcpy(key, account_key, CRYPTO_KEY);
        full.has_account_signature_key = 1;
        full.account_signature_key.data = key;
        full.account_signature_key.len = CRYPTO_KEY;
        wa_proto_pack(&full, out);
    }
    wa_proto_free(&raw);
    return rc;
}

static struct sandbox_device *add_companion(struct sandbox_conn *conn, struct bytes reply)
{
    const struct wa_registration *registration = &conn->registration;
    struct sandbox_account *account = conn->offer.account;
    struct sandbox_device *device = sandbox_device_add(account, conn->offer.device);

    device->key_index = conn->offer.key_index;
    memcpy(device->noise, conn->noise, CRYPTO_KEY);
    device->own.registration_id = registration->registration_id;
    memcpy(device->own.identity, registration->identity, CRYPTO_KEY);
    device->own.signed_id = registration->signed_prekey_id;
    memcpy(device->own.signed_public, registration->signed_prekey, CRYPTO_KEY);
    memcpy(device->own.signature, registration->signed_prekey_signature, CRYPTO_SIGNATURE);
    if (full_identity(reply, sandbox_account_self(account)->identity.pub, &device->identity) < 0) {
        abort(); /* its signature was checked: it unpacked before */
    }
    return device;
}

static void take_answer(struct sandbox_conn *conn, const struct wa_node *iq)
{
    const struct wa_node *identity = wa_node_path(iq, "pair-device-sign/device-identity");
    struct bytes reply = wa_node_bytes(identity);
    const struct sandbox_account *account = conn->offer.account;
    struct sandbox_device *device;
    uint32_t key_index = 0;
    int64_t said_index = 0;
    struct err err = {0};

    if (wa_adv_reply_verify(reply, conn->registration.identity,
                            sandbox_account_self(conn->offer.account)->identity.pub, &key_index,
                            &err) < 0) {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_SIGNATURE, "pair-device-sign: %s", err.text);
        sandbox_conn_shut(conn);
        return;
    }
    if (key_index != conn->offer.key_index ||
        !wa_node_attr_int(identity, "key-index", 1, UINT32_MAX, &said_index) ||
        said_index != (int64_t)key_index) {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_PAIRING, "pair-device-sign: key index %u of %s",
                        key_index, account->number);
        sandbox_conn_shut(conn);
        return;
    }
    device = add_companion(conn, reply);
    sandbox_notify_devices(conn->offer.account,
                           &(struct sandbox_change){device->number, key_index, true});
    sandbox_login_end(conn, 515, NULL);
}

void sandbox_pair_handle(struct sandbox_conn *conn, const struct wa_node *iq)
{
    const char *id = wa_node_attr(iq, "id");

    if (conn->phase == SANDBOX_SIGNING && id != NULL && strcmp(id, conn->offer.id) == 0) {
        if (wa_node_attr_is(iq, "type", "result")) {
            take_answer(conn, iq);
        } else { /* the companion does not want this phone */
            sandbox_conn_last_word(conn);
        }
    } /* else the answer to pair-device, which says nothing */
}
