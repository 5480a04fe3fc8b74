#include "wa/wa_payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "payload.pb-c.h"
#include "wa/wa_proto.h"

enum { PLATFORM_WEB = 14, CONNECT_WIFI = 1, CONNECT_BY_USER = 1, KEY_TYPE = 5 };
enum { ID_BYTES = 4, PREKEY_ID_BYTES = 3, STORAGE_QUOTA_MB = 10240 };

const struct wa_profile wa_profile_default = {
    .version = {2, 3000, 1045649367},
    .os = "Kentongan",
    .platform_type = WA_PLATFORM_CHROME,
};

static void put_be(uint8_t *out, uint32_t v, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        out[width - 1 - i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t get_be(const uint8_t *p, unsigned width)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < width; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static void build_hash(const struct wa_version *version, uint8_t out[CRYPTO_MD5])
{
    char text[40];
    int n = snprintf(text, sizeof(text), "%" PRIu32 ".%" PRIu32 ".%" PRIu32, version->primary,
                     version->secondary, version->tertiary);

    crypto_md5((struct bytes){(const uint8_t *)text, (size_t)n}, out);
}

static void set_version(Wa__AppVersion *out, const struct wa_version *version)
{
    out->has_primary = out->has_secondary = out->has_tertiary = 1;
    out->primary = version->primary;
    out->secondary = version->secondary;
    out->tertiary = version->tertiary;
}

static void make_device_props(const struct wa_profile *profile, struct buf *out)
{
    static const struct wa_version props_version = {0, 1, 0};
    Wa__DeviceProps props = WA__DEVICE_PROPS__INIT;
    Wa__AppVersion version = WA__APP_VERSION__INIT;
    Wa__HistorySyncConfig history = WA__HISTORY_SYNC_CONFIG__INIT;
    char *os = mem_strdup(profile->os);

    set_version(&version, &props_version);
    history.has_storage_quota_mb = history.has_inline_initial_payload = 1;
    history.storage_quota_mb = STORAGE_QUOTA_MB;
    history.inline_initial_payload = 1;
    props.os = os;
    props.version = &version;
    props.has_platform_type = props.has_require_full_sync = 1;
    props.platform_type = profile->platform_type;
    props.require_full_sync = profile->full_history;
    props.history_sync_config = &history;
    wa_proto_pack(&props, out);
    free(os);
}

#define SET_BYTES(message, field, ptr, len)                   \
    do {                                                      \
        (message)->has_##field = 1;                           \
        (message)->field = (ProtobufCBinaryData){(len), ptr}; \
    } while (0)

/* What a registration points into while it is packed. */
struct registration_parts {
    struct wa_creds creds;
    uint8_t registration_id[ID_BYTES];
    uint8_t key_type[1];
    uint8_t prekey_id[PREKEY_ID_BYTES];
    uint8_t hash[CRYPTO_MD5];
    struct buf props;
};

static void set_registration(Wa__DevicePairingData *out, struct registration_parts *parts,
                             const struct wa_profile *profile)
{
    put_be(parts->registration_id, parts->creds.registration_id, ID_BYTES);
    put_be(parts->prekey_id, parts->creds.signed_prekey_id, PREKEY_ID_BYTES);
    parts->key_type[0] = KEY_TYPE;
    build_hash(&profile->version, parts->hash);
    make_device_props(profile, &parts->props);
    SET_BYTES(out, registration_id, parts->registration_id, ID_BYTES);
    SET_BYTES(out, key_type, parts->key_type, 1);
    SET_BYTES(out, identity, parts->creds.identity.pub, CRYPTO_KEY);
    SET_BYTES(out, signed_prekey_id, parts->prekey_id, PREKEY_ID_BYTES);
    SET_BYTES(out, signed_prekey, parts->creds.signed_prekey, CRYPTO_KEY);
    SET_BYTES(out, signed_prekey_signature, parts->creds.signed_prekey_signature, CRYPTO_SIGNATURE);
    SET_BYTES(out, build_hash, parts->hash, CRYPTO_MD5);
    SET_BYTES(out, device_props, parts->props.p, parts->props.n);
}

static void set_login(Wa__ClientPayload *out, const struct wa_creds *creds)
{
    out->has_username = out->has_device = 1;
    out->username = strtoull(creds->pn.user, NULL, 10);
    out->device = creds->pn.device;
    out->has_lc = out->has_lid_db_migrated = 1;
    out->lc = 1;
    out->lid_db_migrated = 1;
}

void wa_payload_make(const struct wa_creds *creds, const struct wa_profile *profile,
                     struct buf *out)
{
    static char zeros[] = "000";
    static char number[] = "0.1";
    static char desktop[] = "Desktop";
    static char nobody[] = "";
    static char language[] = "en";
    static char country[] = "US";
    bool paired = wa_creds_is_paired(creds);
    struct registration_parts parts = {.creds = *creds};
    Wa__ClientPayload payload = WA__CLIENT_PAYLOAD__INIT;
    Wa__DevicePairingData registration = WA__DEVICE_PAIRING_DATA__INIT;
    Wa__UserAgent agent = WA__USER_AGENT__INIT;
    Wa__AppVersion version = WA__APP_VERSION__INIT;
    Wa__WebInfo web = WA__WEB_INFO__INIT;

    set_version(&version, &profile->version);
    agent.has_platform = agent.has_release_channel = 1;
    agent.platform = PLATFORM_WEB;
    agent.app_version = &version;
    agent.mcc = agent.mnc = zeros;
    agent.os_version = agent.os_build_number = number;
    agent.manufacturer = nobody;
    agent.device = desktop;
    agent.locale_language = language;
    agent.locale_country = country;
    web.has_web_sub_platform = 1;
    payload.user_agent = &agent;
    payload.web_info = &web;
    payload.has_connect_type = payload.has_connect_reason = 1;
    payload.connect_type = CONNECT_WIFI;
    payload.connect_reason = CONNECT_BY_USER;
    payload.has_passive = payload.has_pull = 1;
    payload.passive = payload.pull = paired;
    if (paired) {
        set_login(&payload, creds);
    } else {
        set_registration(&registration, &parts, profile);
        payload.device_pairing_data = &registration;
    }
    wa_proto_pack(&payload, out);
    wa_creds_wipe(&parts.creds);
    buf_done(&parts.props);
}

/* ---- the server's side ---- */

/* Cut @from to what fits, at a character's end; anything but UTF-8 counts as nothing. */
static void copy_text(const char *from, char out[WA_PAYLOAD_TEXT_MAX])
{
    size_t n;

    if (from == NULL) {
        return;
    }
    n = strlen(from);
    if (n >= WA_PAYLOAD_TEXT_MAX) {
        n = WA_PAYLOAD_TEXT_MAX - 1;
        while (n > 0 && ((uint8_t)from[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    if (text_is_utf8((struct bytes){(const uint8_t *)from, n})) {
        memcpy(out, from, n);
        out[n] = '\0';
    }
}

static struct wa_version version_of(const Wa__AppVersion *version)
{
    return version == NULL
               ? (struct wa_version){0}
               : (struct wa_version){version->primary, version->secondary, version->tertiary};
}

static int parse_device_props(struct bytes raw, struct wa_registration *out, struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    const Wa__DeviceProps *props;
    int rc = wa_proto_unpack(&wa__device_props__descriptor, raw, &message, err);

    if (rc < 0 || message == NULL) {
        return err_wrap(err, rc, "device props");
    }
    props = (const Wa__DeviceProps *)message;
    copy_text(props->os, out->os);
    out->platform_type = props->platform_type;
    out->full_history = props->require_full_sync != 0;
    wa_proto_free(&message);
    return 0;
}

static int parse_registration(const Wa__DevicePairingData *data, const struct wa_version *version,
                              struct wa_registration *out, struct err *err)
{
    uint8_t typed[1 + CRYPTO_KEY] = {KEY_TYPE};
    uint8_t hash[CRYPTO_MD5];

    if (data->registration_id.len != ID_BYTES || data->identity.len != CRYPTO_KEY ||
        data->signed_prekey_id.len != PREKEY_ID_BYTES || data->signed_prekey.len != CRYPTO_KEY ||
        data->signed_prekey_signature.len != CRYPTO_SIGNATURE || data->key_type.len != 1 ||
        data->key_type.data[0] != KEY_TYPE) {
        return err_set(err, ERR_INVALID, "registration: a field is missing or of wrong length");
    }
    out->registration_id = get_be(data->registration_id.data, ID_BYTES);
    out->signed_prekey_id = get_be(data->signed_prekey_id.data, PREKEY_ID_BYTES);
    memcpy(out->identity, data->identity.data, CRYPTO_KEY);
    memcpy(out->signed_prekey, data->signed_prekey.data, CRYPTO_KEY);
    memcpy(out->signed_prekey_signature, data->signed_prekey_signature.data, CRYPTO_SIGNATURE);
    memcpy(typed + 1, out->signed_prekey, CRYPTO_KEY);
    if (!crypto_xeddsa_verify(out->identity, (struct bytes){typed, sizeof(typed)},
                              out->signed_prekey_signature)) {
        return err_set(err, ERR_CRYPTO, "registration: the signed prekey is not the identity's");
    }
    build_hash(version, hash);
    out->build_hash_fits =
        data->build_hash.len == CRYPTO_MD5 && crypto_equal(hash, data->build_hash.data, CRYPTO_MD5);
    return parse_device_props((struct bytes){data->device_props.data, data->device_props.len}, out,
                              err);
}

int wa_payload_parse(struct bytes raw, struct wa_payload *out, struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    const Wa__ClientPayload *payload;
    struct wa_payload got = {0};
    int rc = wa_proto_unpack(&wa__client_payload__descriptor, raw, &message, err);

    if (rc < 0) {
        return err_wrap(err, rc, "client payload");
    }
    payload = (const Wa__ClientPayload *)message;
    got.is_registration = payload->device_pairing_data != NULL;
    got.passive = payload->passive != 0;
    got.has_device = payload->has_device != 0;
    got.username = payload->username;
    got.device = payload->device;
    copy_text(payload->push_name, got.push_name);
    if (payload->user_agent != NULL) {
        got.version = version_of(payload->user_agent->app_version);
        got.platform = payload->user_agent->platform;
    }
    if (payload->device_pairing_data != NULL) {
        rc = parse_registration(payload->device_pairing_data, &got.version, &got.registration, err);
    }
    wa_proto_free(&message);
    if (rc == 0) {
        *out = got;
    }
    return rc;
}
