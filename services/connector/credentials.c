#include "connector/credentials.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials_row.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "sigstore/sigstore.h"

#define LABEL "credentials"

struct credentials *credentials_make(void)
{
    struct credentials *made = mem_new0(sizeof(*made));
    struct sigstore_self self;

    wa_creds_make(&made->device);
    sigstore_self_make(&self);
    sigstore_signed_prekey_make(&self, 1, &made->signed_prekey);
    made->device.registration_id = self.registration_id;
    made->device.identity = self.identity;
    made->device.signed_prekey_id = made->signed_prekey.key.id;
    memcpy(made->device.signed_prekey, made->signed_prekey.key.pair.pub, CRYPTO_KEY);
    memcpy(made->device.signed_prekey_signature, made->signed_prekey.signature, CRYPTO_SIGNATURE);
    crypto_random(made->wire_id_key, sizeof(made->wire_id_key));
    sigstore_self_wipe(&self);
    return made;
}

void credentials_free(struct credentials **credentials)
{
    if (*credentials != NULL) {
        mem_wipe(*credentials, sizeof(**credentials));
        free(*credentials);
        *credentials = NULL;
    }
}

int credentials_open(const struct connector *connector, const char *uuid, struct bytes sealed,
                     struct credentials **out, struct err *err)
{
    struct credentials *opened = mem_new0(sizeof(*opened));
    struct buf plain = {0};
    int rc = crypto_unseal(&connector->keyring, uuid, LABEL, sealed, &plain, err);

    if (rc == 0) {
        rc = credentials_decode(buf_bytes(&plain), opened, err);
    }
    buf_wipe(&plain);
    if (rc < 0) {
        credentials_free(&opened);
        (void)err_wrap(err, rc, "session %s", uuid);
        return rc;
    }
    *out = opened;
    return 0;
}

int credentials_load(struct account *account, struct bytes sealed, struct err *err)
{
    struct credentials *loaded = NULL;
    int rc = credentials_open(account->connector, account->state.uuid, sealed, &loaded, err);

    if (rc == 0) {
        credentials_set(account, loaded);
    }
    return rc;
}

void credentials_stage(struct turn *turn, struct account *account)
{
    const struct credentials *now = account->credentials;
    struct buf plain = {0};
    struct buf sealed = {0};
    struct ledger_rows *rows = turn_row(turn, TURN_CREDENTIALS, account->partition);

    credentials_encode(now, &plain);
    crypto_seal(&turn->connector->keyring, account->state.uuid, LABEL, buf_bytes(&plain), &sealed);
    pg_array_uuid(rows->column[0], account->state.uuid);
    pg_array_int(rows->column[1], account->partition);
    pg_array_bytes(rows->column[2], buf_bytes(&sealed));
    buf_wipe(&plain);
    buf_done(&sealed);
}

void credentials_set(struct account *account, struct credentials *credentials)
{
    struct sigstore_self self = {.registration_id = credentials->device.registration_id,
                                 .identity = credentials->device.identity};

    assert(account->credentials == NULL);
    account->credentials = credentials;
    account->signal = sigstore_account_new(account->connector->signal, &self, &records_backend);
    sigstore_self_wipe(&self);
}

void credentials_drop(struct account *account)
{
    sigstore_account_free(&account->signal);
    credentials_free(&account->credentials);
}

void credentials_wire_id(const struct credentials *credentials, const char *send_id,
                         char out[CREDENTIALS_WIRE_ID_MAX])
{
    uint8_t mac[CRYPTO_SHA256];

    crypto_hmac((struct bytes){credentials->wire_id_key, CRYPTO_KEY},
                (struct bytes){(const uint8_t *)send_id, strlen(send_id)}, mac);
    (void)snprintf(out, CREDENTIALS_WIRE_ID_MAX, "3EB0");
    for (size_t i = 0; i < 9; i++) {
        (void)snprintf(out + 4 + 2 * i, 3, "%02X", mac[i]);
    }
}
