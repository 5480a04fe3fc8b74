#include "wa/wa_creds.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "creds.pb-c.h"
#include "wa/wa_proto.h"

void wa_creds_make(struct wa_creds *out)
{
    *out = (struct wa_creds){0};
    crypto_pair_new(&out->noise);
    crypto_random(out->adv_secret, sizeof(out->adv_secret));
}

void wa_creds_wipe(struct wa_creds *creds)
{
    mem_wipe(creds, sizeof(*creds));
}

bool wa_creds_is_paired(const struct wa_creds *creds)
{
    return !wa_jid_is_none(&creds->pn);
}

#define SET_BYTES(message, field, ptr, len)                  \
    do {                                                     \
        (message).has_##field = 1;                           \
        (message).field = (ProtobufCBinaryData){(len), ptr}; \
    } while (0)

void wa_creds_encode(const struct wa_creds *creds, struct buf *out)
{
    struct wa_creds copy = *creds; /* the packer wants what it may change */
    Wa__StoredCreds stored = WA__STORED_CREDS__INIT;
    char pn[WA_JID_TEXT_MAX];
    char lid[WA_JID_TEXT_MAX];

    stored.has_registration_id = stored.has_signed_prekey_id = stored.has_key_index = 1;
    stored.registration_id = copy.registration_id;
    stored.signed_prekey_id = copy.signed_prekey_id;
    stored.key_index = copy.key_index;
    SET_BYTES(stored, noise_private, copy.noise.priv, CRYPTO_KEY);
    SET_BYTES(stored, identity_private, copy.identity.priv, CRYPTO_KEY);
    SET_BYTES(stored, adv_secret, copy.adv_secret, CRYPTO_KEY);
    SET_BYTES(stored, signed_prekey, copy.signed_prekey, CRYPTO_KEY);
    SET_BYTES(stored, signed_prekey_signature, copy.signed_prekey_signature, CRYPTO_SIGNATURE);
    SET_BYTES(stored, device_identity, copy.device_identity, copy.device_identity_n);
    (void)wa_jid_format(&copy.pn, pn);
    (void)wa_jid_format(&copy.lid, lid);
    stored.pn = pn;
    stored.lid = lid;
    stored.business_name = copy.business_name;
    stored.platform = copy.platform;
    wa_proto_pack(&stored, out);
    wa_creds_wipe(&copy);
}

static bool copy_exact(ProtobufCBinaryData from, uint8_t *to, size_t n)
{
    if (from.len != n) {
        return false;
    }
    memcpy(to, from.data, n);
    return true;
}

static bool copy_text(const char *from, char *to, size_t max)
{
    return from == NULL || (size_t)snprintf(to, max, "%s", from) < max;
}

static bool copy_jid(const char *from, struct wa_jid *to)
{
    return from == NULL || from[0] == '\0' || wa_jid_parse(from, to);
}

static bool from_stored(const Wa__StoredCreds *stored, struct wa_creds *out)
{
    out->registration_id = stored->registration_id;
    out->signed_prekey_id = stored->signed_prekey_id;
    out->key_index = stored->key_index;
    out->device_identity_n = stored->device_identity.len;
    return copy_exact(stored->noise_private, out->noise.priv, CRYPTO_KEY) &&
           copy_exact(stored->identity_private, out->identity.priv, CRYPTO_KEY) &&
           copy_exact(stored->adv_secret, out->adv_secret, CRYPTO_KEY) &&
           copy_exact(stored->signed_prekey, out->signed_prekey, CRYPTO_KEY) &&
           copy_exact(stored->signed_prekey_signature, out->signed_prekey_signature,
                      CRYPTO_SIGNATURE) &&
           stored->device_identity.len <= WA_CREDS_IDENTITY_MAX &&
           (out->device_identity_n == 0 ||
            copy_exact(stored->device_identity, out->device_identity, out->device_identity_n)) &&
           copy_jid(stored->pn, &out->pn) && copy_jid(stored->lid, &out->lid) &&
           copy_text(stored->business_name, out->business_name, sizeof(out->business_name)) &&
           copy_text(stored->platform, out->platform, sizeof(out->platform));
}

/* The library's copies of the private keys, before they are freed. */
static void wipe_stored(Wa__StoredCreds *stored)
{
    mem_wipe(stored->noise_private.data, stored->noise_private.len);
    mem_wipe(stored->identity_private.data, stored->identity_private.len);
    mem_wipe(stored->adv_secret.data, stored->adv_secret.len);
}

int wa_creds_decode(struct bytes raw, struct wa_creds *out, struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    struct wa_creds creds = {0};
    int rc = wa_proto_unpack(&wa__stored_creds__descriptor, raw, &message, err);

    if (rc < 0) {
        return rc;
    }
    if (from_stored((const Wa__StoredCreds *)message, &creds)) {
        crypto_pair_from(creds.noise.priv, &creds.noise);
        crypto_pair_from(creds.identity.priv, &creds.identity);
        *out = creds;
    } else {
        rc = err_set(err, ERR_INVALID, "stored credentials: a field of wrong length");
    }
    wipe_stored((Wa__StoredCreds *)message);
    wa_proto_free(&message);
    wa_creds_wipe(&creds);
    return rc;
}
