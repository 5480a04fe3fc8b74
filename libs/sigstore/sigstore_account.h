/* sigstore_account: what the parts of sigstore share about a thread's context and an account. */
#ifndef SIGSTORE_SIGSTORE_ACCOUNT_H
#define SIGSTORE_SIGSTORE_ACCOUNT_H

#include <signal/signal_protocol.h>

#include "sigstore/sigstore.h"
#include "sigstore/sigstore_records.h"

struct sigstore_provider;

enum { SIGSTORE_TYPED_KEY = CRYPTO_KEY + 1, SIGSTORE_KEY_TYPE = 5 };

struct sigstore {
    struct sigstore_provider *provider;
    signal_context *context;
    signal_protocol_store_context *stores; /* one for all accounts: they serve @running */

    struct sigstore_account *running; /* whose operation runs; NULL between operations */
    bool not_loaded;                  /* what the callbacks of the operation met */
    bool broken;
    bool identity_changed;
    uint32_t used_prekey;

    size_t accounts; /* alive, to assert the order of ends */
};

struct sigstore_account {
    struct sigstore *store;
    struct sigstore_self self;
    struct sigstore_records records;
};

/* An operation is what stands between these two. The end keeps what it wrote if @verdict is OK,
 * drops it otherwise, and gives the verdict, which the backend's failures overrule. */
void sigstore_operation_begin(struct sigstore_account *account);
enum sigstore_verdict sigstore_operation_end(struct sigstore_account *account,
                                             enum sigstore_verdict verdict);

/* sigstore_records_get of the running operation, noting why it failed. */
int sigstore_operation_get(struct sigstore_account *account, enum sigstore_kind kind,
                           const char *key, struct bytes *out);

/* Set the callbacks of records. 0 or an SG_ERR_*. */
int sigstore_stores_install(struct sigstore *store);

int sigstore_group_install(struct sigstore *store);

/* What a return value of the library means while decrypting. */
enum sigstore_verdict sigstore_verdict_of(int rc);

/* Own keys as records. 1 found, 0 none, -1 noted as not loaded or broken. */
int sigstore_prekey_load(struct sigstore_account *account, uint32_t id,
                         struct sigstore_prekey *out);
int sigstore_signed_prekey_load(struct sigstore_account *account, uint32_t id,
                                struct sigstore_signed_prekey *out);

#endif
