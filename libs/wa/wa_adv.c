#include "wa/wa_adv.h"

#include <string.h>

#include "adv.pb-c.h"
#include "base/err.h"
#include "wa/wa_proto.h"

enum { TYPE_HOSTED = 1 };

/* What stands in front of each kind of signed or authenticated bytes. */
static const uint8_t prefix_account[2] = {6, 0};
static const uint8_t prefix_device[2] = {6, 1};
static const uint8_t prefix_index_list[2] = {6, 2};
static const uint8_t prefix_hosted[2] = {6, 5};

static const struct {
    int code;
    const char *text;
} verdicts[] = {
#define VERDICT(name, code, text) [WA_ADV_##name] = {(code), (text)},
    WA_ADV_VERDICT_LIST(VERDICT)
#undef VERDICT
};

int wa_adv_verdict_code(enum wa_adv_verdict verdict)
{
    return verdicts[verdict].code;
}

const char *wa_adv_verdict_text(enum wa_adv_verdict verdict)
{
    return verdicts[verdict].text;
}

static struct bytes of(ProtobufCBinaryData data)
{
    return (struct bytes){data.data, data.len};
}

/* Up to four pieces behind one another. End with buf_done. */
static struct buf joined(const uint8_t prefix[2], struct bytes a, struct bytes b, struct bytes c)
{
    struct buf out = {0};

    buf_add(&out, prefix, 2);
    buf_add(&out, a.p, a.n);
    if (b.n > 0) {
        buf_add(&out, b.p, b.n);
    }
    if (c.n > 0) {
        buf_add(&out, c.p, c.n);
    }
    return out;
}

static struct bytes key(const uint8_t p[CRYPTO_KEY])
{
    return (struct bytes){p, CRYPTO_KEY};
}

#define SET_BYTES(message, field, ptr, len)                  \
    do {                                                     \
        (message).has_##field = 1;                           \
        (message).field = (ProtobufCBinaryData){(len), ptr}; \
    } while (0)

/* ---- phone ---- */

void wa_adv_offer_make(const struct wa_adv_offer *offer, const struct crypto_pair *account,
                       struct buf *out)
{
    Wa__ADVDeviceIdentity identity = WA__ADVDEVICE_IDENTITY__INIT;
    Wa__ADVSignedDeviceIdentity signed_identity = WA__ADVSIGNED_DEVICE_IDENTITY__INIT;
    Wa__ADVSignedDeviceIdentityHMAC outer = WA__ADVSIGNED_DEVICE_IDENTITY_HMAC__INIT;
    struct buf details = {0};
    struct buf inner = {0};
    struct buf message;
    uint8_t account_key[CRYPTO_KEY];
    uint8_t signature[CRYPTO_SIGNATURE];
    uint8_t hmac[CRYPTO_SHA256];

    identity.has_raw_id = identity.has_timestamp = identity.has_key_index = 1;
    identity.has_account_type = identity.has_device_type = 1;
    identity.raw_id = offer->raw_id;
    identity.timestamp = (uint64_t)offer->timestamp_s;
    identity.key_index = offer->key_index;
    wa_proto_pack(&identity, &details);

    message = joined(prefix_account, buf_bytes(&details), key(offer->identity), (struct bytes){0});
    crypto_xeddsa_sign(account->priv, buf_bytes(&message), signature);
    buf_done(&message);
    memcpy(account_key, account->pub, CRYPTO_KEY);
    SET_BYTES(signed_identity, details, details.p, details.n);
    SET_BYTES(signed_identity, account_signature_key, account_key, CRYPTO_KEY);
    SET_BYTES(signed_identity, account_signature, signature, CRYPTO_SIGNATURE);
    wa_proto_pack(&signed_identity, &inner);

    crypto_hmac(key(offer->adv_secret), buf_bytes(&inner), hmac);
    SET_BYTES(outer, details, inner.p, inner.n);
    SET_BYTES(outer, hmac, hmac, CRYPTO_SHA256);
    wa_proto_pack(&outer, out);
    buf_done(&details);
    buf_done(&inner);
}

/* ---- companion ---- */

static bool hmac_holds(const Wa__ADVSignedDeviceIdentityHMAC *outer,
                       const uint8_t adv_secret[CRYPTO_KEY])
{
    uint8_t want[CRYPTO_SHA256];
    struct buf message = {0};

    if (outer->hmac.len != CRYPTO_SHA256) {
        return false;
    }
    if (outer->account_type == TYPE_HOSTED) {
        buf_add(&message, prefix_hosted, sizeof(prefix_hosted));
    }
    buf_add(&message, outer->details.data, outer->details.len);
    crypto_hmac(key(adv_secret), buf_bytes(&message), want);
    buf_done(&message);
    return crypto_equal(want, outer->hmac.data, CRYPTO_SHA256);
}

static bool account_signature_holds(const Wa__ADVSignedDeviceIdentity *signed_identity,
                                    const uint8_t account[CRYPTO_KEY],
                                    const uint8_t identity[CRYPTO_KEY], int device_type)
{
    struct buf message = joined(device_type == TYPE_HOSTED ? prefix_hosted : prefix_account,
                                of(signed_identity->details), key(identity), (struct bytes){0});
    bool holds =
        signed_identity->account_signature.len == CRYPTO_SIGNATURE &&
        crypto_xeddsa_verify(account, buf_bytes(&message), signed_identity->account_signature.data);

    buf_done(&message);
    return holds;
}

/* Sign what the phone signed; both forms of the result are packed. */
static enum wa_adv_verdict countersign(Wa__ADVSignedDeviceIdentity *signed_identity,
                                       struct wa_creds *creds, struct buf *reply)
{
    uint8_t signature[CRYPTO_SIGNATURE];
    Wa__ADVSignedDeviceIdentity answer = WA__ADVSIGNED_DEVICE_IDENTITY__INIT;
    struct buf full = {0};
    struct buf message =
        joined(prefix_device, of(signed_identity->details), key(creds->identity.pub),
               of(signed_identity->account_signature_key));

    crypto_xeddsa_sign(creds->identity.priv, buf_bytes(&message), signature);
    buf_done(&message);
    answer.has_details = answer.has_account_signature = 1;
    answer.details = signed_identity->details;
    answer.account_signature = signed_identity->account_signature;
    SET_BYTES(answer, device_signature, signature, CRYPTO_SIGNATURE);
    answer.has_account_signature_key = 1;
    answer.account_signature_key = signed_identity->account_signature_key;
    wa_proto_pack(&answer, &full);
    if (full.n > WA_CREDS_IDENTITY_MAX) {
        buf_done(&full);
        return WA_ADV_MALFORMED;
    }
    memcpy(creds->device_identity, full.p, full.n);
    creds->device_identity_n = full.n;
    buf_done(&full);
    answer.has_account_signature_key = 0;
    answer.account_signature_key = (ProtobufCBinaryData){0};
    wa_proto_pack(&answer, reply);
    return WA_ADV_OK;
}

static enum wa_adv_verdict accept_inner(Wa__ADVSignedDeviceIdentity *signed_identity,
                                        struct wa_creds *creds, struct buf *reply)
{
    struct ProtobufCMessage *message = NULL;
    enum wa_adv_verdict verdict;
    uint32_t key_index;
    int device_type;

    if (wa_proto_unpack(&wa__advdevice_identity__descriptor, of(signed_identity->details), &message,
                        NULL) < 0) {
        return WA_ADV_MALFORMED;
    }
    key_index = ((const Wa__ADVDeviceIdentity *)message)->key_index;
    device_type = ((const Wa__ADVDeviceIdentity *)message)->device_type;
    wa_proto_free(&message);
    if (signed_identity->account_signature_key.len != CRYPTO_KEY ||
        !account_signature_holds(signed_identity, signed_identity->account_signature_key.data,
                                 creds->identity.pub, device_type)) {
        return WA_ADV_SIGNATURE;
    }
    verdict = countersign(signed_identity, creds, reply);
    if (verdict == WA_ADV_OK) {
        creds->key_index = key_index;
    }
    return verdict;
}

enum wa_adv_verdict wa_adv_accept(struct bytes offer, struct wa_creds *creds, struct buf *reply)
{
    struct ProtobufCMessage *outer = NULL;
    struct ProtobufCMessage *inner = NULL;
    const Wa__ADVSignedDeviceIdentityHMAC *hmac;
    enum wa_adv_verdict verdict = WA_ADV_MALFORMED;

    if (wa_proto_unpack(&wa__advsigned_device_identity_hmac__descriptor, offer, &outer, NULL) < 0) {
        return WA_ADV_MALFORMED;
    }
    hmac = (const Wa__ADVSignedDeviceIdentityHMAC *)outer;
    if (!hmac_holds(hmac, creds->adv_secret)) {
        verdict = WA_ADV_HMAC;
    } else if (wa_proto_unpack(&wa__advsigned_device_identity__descriptor, of(hmac->details),
                               &inner, NULL) == 0) {
        verdict = accept_inner((Wa__ADVSignedDeviceIdentity *)inner, creds, reply);
    }
    wa_proto_free(&inner);
    wa_proto_free(&outer);
    return verdict;
}

/* ---- server ---- */

static int verify_reply(const Wa__ADVSignedDeviceIdentity *reply,
                        const uint8_t identity[CRYPTO_KEY], const uint8_t account[CRYPTO_KEY],
                        uint32_t *key_index, struct err *err)
{
    struct ProtobufCMessage *details = NULL;
    struct buf message;
    bool holds;
    int device_type;
    int rc =
        wa_proto_unpack(&wa__advdevice_identity__descriptor, of(reply->details), &details, err);

    if (rc < 0) {
        return rc;
    }
    device_type = ((const Wa__ADVDeviceIdentity *)details)->device_type;
    message = joined(prefix_device, of(reply->details), key(identity), key(account));
    holds = account_signature_holds(reply, account, identity, device_type) &&
            reply->device_signature.len == CRYPTO_SIGNATURE &&
            crypto_xeddsa_verify(identity, buf_bytes(&message), reply->device_signature.data);
    buf_done(&message);
    if (holds) {
        *key_index = ((const Wa__ADVDeviceIdentity *)details)->key_index;
    } else {
        rc = err_set(err, ERR_CRYPTO, "device identity: a signature does not hold");
    }
    wa_proto_free(&details);
    return rc;
}

int wa_adv_reply_verify(struct bytes reply, const uint8_t identity[CRYPTO_KEY],
                        const uint8_t account[CRYPTO_KEY], uint32_t *key_index, struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    int rc = wa_proto_unpack(&wa__advsigned_device_identity__descriptor, reply, &message, err);

    if (rc == 0) {
        rc = verify_reply((const Wa__ADVSignedDeviceIdentity *)message, identity, account,
                          key_index, err);
    }
    wa_proto_free(&message);
    return rc;
}

/* ---- key index lists ---- */

void wa_adv_index_list_make(const struct wa_adv_index_list *list, const struct crypto_pair *account,
                            struct buf *out)
{
    Wa__ADVKeyIndexList inner = WA__ADVKEY_INDEX_LIST__INIT;
    Wa__ADVSignedKeyIndexList outer = WA__ADVSIGNED_KEY_INDEX_LIST__INIT;
    uint32_t valid[WA_ADV_INDEXES_MAX];
    uint8_t account_key[CRYPTO_KEY];
    uint8_t signature[CRYPTO_SIGNATURE];
    struct buf details = {0};
    struct buf message;

    memcpy(valid, list->valid, sizeof(valid));
    memcpy(account_key, account->pub, CRYPTO_KEY);
    inner.has_raw_id = inner.has_timestamp = inner.has_current_index = 1;
    inner.raw_id = list->raw_id;
    inner.timestamp = (uint64_t)list->timestamp_s;
    inner.current_index = list->current;
    inner.n_valid_indexes = list->n;
    inner.valid_indexes = valid;
    wa_proto_pack(&inner, &details);
    message = joined(prefix_index_list, buf_bytes(&details), (struct bytes){0}, (struct bytes){0});
    crypto_xeddsa_sign(account->priv, buf_bytes(&message), signature);
    buf_done(&message);
    SET_BYTES(outer, details, details.p, details.n);
    SET_BYTES(outer, account_signature, signature, CRYPTO_SIGNATURE);
    SET_BYTES(outer, account_signature_key, account_key, CRYPTO_KEY);
    wa_proto_pack(&outer, out);
    buf_done(&details);
}

static int read_index_list(struct bytes raw, struct wa_adv_index_list *out, struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    const Wa__ADVKeyIndexList *list;
    int rc = wa_proto_unpack(&wa__advkey_index_list__descriptor, raw, &message, err);

    if (rc < 0) {
        return rc;
    }
    list = (const Wa__ADVKeyIndexList *)message;
    if (list->n_valid_indexes > WA_ADV_INDEXES_MAX) {
        rc = err_set(err, ERR_LIMIT, "key index list: %zu companions, at most %d",
                     list->n_valid_indexes, WA_ADV_INDEXES_MAX);
    } else {
        out->raw_id = list->raw_id;
        out->timestamp_s = (int64_t)list->timestamp;
        out->current = list->current_index;
        out->n = list->n_valid_indexes;
        if (out->n > 0) {
            memcpy(out->valid, list->valid_indexes, out->n * sizeof(out->valid[0]));
        }
    }
    wa_proto_free(&message);
    return rc;
}

int wa_adv_index_list_parse(struct bytes raw, struct wa_adv_index_list *out, struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    int rc = wa_proto_unpack(&wa__advsigned_key_index_list__descriptor, raw, &message, err);

    if (rc == 0) {
        rc = read_index_list(of(((const Wa__ADVSignedKeyIndexList *)message)->details), out, err);
    }
    wa_proto_free(&message);
    return rc;
}

bool wa_adv_index_is_valid(const struct wa_adv_index_list *list, uint32_t key_index)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->valid[i] == key_index) {
            return true;
        }
    }
    return key_index > list->current;
}
