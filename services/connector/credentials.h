/* credentials: the keys of a linked device, as they are kept: sealed in one row. */
#ifndef CONNECTOR_CREDENTIALS_H
#define CONNECTOR_CREDENTIALS_H

#include "base/attr.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "sigstore/sigstore_keys.h"
#include "wa/wa_creds.h"

struct account;
struct connector;
struct err;
struct turn;

enum { CREDENTIALS_WIRE_ID_MAX = 24 }; /* bytes of a message id on the wire with its NUL */

struct credentials {
    struct wa_creds device;
    uint8_t wire_id_key[CRYPTO_KEY]; /* makes message ids out of send ids */
    char push_name[WA_CREDS_NAME_MAX];
    struct sigstore_signed_prekey signed_prekey; /* until pairing puts it among the records */
};

/* Keys for a device that is not linked yet. Gives it (credentials_free). */
struct credentials *credentials_make(void);
void credentials_free(struct credentials **credentials); /* wipes */

/* Open a row's @sealed, of session @uuid. Gives *@out (credentials_free). */
NODISCARD int credentials_open(const struct connector *connector, const char *uuid,
                               struct bytes sealed, struct credentials **out, struct err *err);

/* Open a row's @sealed into @account, with the Signal account that goes with it. */
NODISCARD int credentials_load(struct account *account, struct bytes sealed, struct err *err);

/* Stage @account's credentials as they are now. */
void credentials_stage(struct turn *turn, struct account *account);

/* Give @account its credentials (takes them) and its Signal account. */
void credentials_set(struct account *account, struct credentials *credentials);
void credentials_drop(struct account *account); /* both */

/* "3EB0" and 18 upper-case hex digits: the same for a send id for ever, and not to be guessed. */
void credentials_wire_id(const struct credentials *credentials, const char *send_id,
                         char out[CREDENTIALS_WIRE_ID_MAX]);

#endif
