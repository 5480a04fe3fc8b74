#include "sigstore/sigstore.h"

#include <assert.h>
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sigstore/sigstore_account.h"
#include "sigstore/sigstore_curve.h"
#include "sigstore/sigstore_provider.h"

enum { PROTOBUF_C_LEAST = 1004000 };

/* ---- verdicts ---- */

const char *sigstore_verdict_name(enum sigstore_verdict verdict)
{
    static const char *const names[] = {
#define VERDICT_NAME(name, reason, text) [SIGSTORE_##name] = #name,
        SIGSTORE_VERDICTS(VERDICT_NAME)
#undef VERDICT_NAME
    };

    return names[verdict];
}

const char *sigstore_verdict_text(enum sigstore_verdict verdict)
{
    static const char *const texts[] = {
#define VERDICT_TEXT(name, reason, text) [SIGSTORE_##name] = (text),
        SIGSTORE_VERDICTS(VERDICT_TEXT)
#undef VERDICT_TEXT
    };

    return texts[verdict];
}

unsigned sigstore_retry_reason(enum sigstore_verdict verdict)
{
    static const unsigned reasons[] = {
#define VERDICT_REASON(name, reason, text) [SIGSTORE_##name] = (reason),
        SIGSTORE_VERDICTS(VERDICT_REASON)
#undef VERDICT_REASON
    };

    return reasons[verdict];
}

/* ---- life ---- */

int sigstore_new(struct sigstore **out, struct err *err)
{
    struct sigstore *store;
    int rc;

    if (protobuf_c_version_number() < PROTOBUF_C_LEAST) {
        return err_set(err, ERR_EXTERNAL,
                       "protobuf-c %s is bound, want 1.4: it must be linked before libsignal",
                       protobuf_c_version());
    }
    rc = sigstore_curve_check(err);
    if (rc < 0) {
        return rc;
    }
    store = mem_new0(sizeof(*store));
    rc = sigstore_provider_new(&store->provider, err);
    if (rc == 0 && signal_context_create(&store->context, store) != 0) {
        rc = err_set(err, ERR_EXTERNAL, "libsignal gave no context");
    }
    if (rc == 0) {
        rc = sigstore_provider_install(store->provider, store->context, err);
    }
    if (rc == 0 && sigstore_stores_install(store) != 0) {
        rc = err_set(err, ERR_EXTERNAL, "libsignal refused the record stores");
    }
    if (rc < 0) {
        sigstore_free(&store);
        return rc;
    }
    *out = store;
    return 0;
}

void sigstore_free(struct sigstore **store)
{
    struct sigstore *old = *store;

    *store = NULL;
    if (old == NULL) {
        return;
    }
    assert(old->accounts == 0);
    if (old->stores != NULL) {
        signal_protocol_store_context_destroy(old->stores);
    }
    if (old->context != NULL) {
        signal_context_destroy(old->context);
    }
    sigstore_provider_free(&old->provider);
    free(old);
}

struct sigstore_account *sigstore_account_new(struct sigstore *store,
                                              const struct sigstore_self *self,
                                              const struct sigstore_backend *backend)
{
    struct sigstore_account *account = mem_new0(sizeof(*account));

    account->store = store;
    account->self = *self;
    account->records.backend = backend;
    store->accounts++;
    return account;
}

void sigstore_account_free(struct sigstore_account **account)
{
    struct sigstore_account *old = *account;

    *account = NULL;
    if (old != NULL) {
        assert(old->store->running != old);
        old->store->accounts--;
        sigstore_records_done(&old->records);
        sigstore_self_wipe(&old->self);
        free(old);
    }
}

const struct sigstore_self *sigstore_account_self(const struct sigstore_account *account)
{
    return &account->self;
}

/* ---- staging and cache ---- */

void sigstore_begin(struct sigstore_account *account)
{
    assert(!account->records.is_begun);
    account->records.is_begun = true;
}

bool sigstore_is_begun(const struct sigstore_account *account)
{
    return account->records.is_begun;
}

size_t sigstore_change_count(const struct sigstore_account *account)
{
    return sigstore_records_change_count(&account->records);
}

bool sigstore_change_next(const struct sigstore_account *account, size_t *at,
                          struct sigstore_change *out)
{
    return sigstore_records_change_next(&account->records, at, out);
}

void sigstore_commit(struct sigstore_account *account)
{
    assert(account->records.is_begun);
    sigstore_records_commit(&account->records);
    account->records.is_begun = false;
    sigstore_trim(account, SIGSTORE_CACHE_DEFAULT);
}

void sigstore_rollback(struct sigstore_account *account)
{
    assert(account->records.is_begun);
    sigstore_records_rollback(&account->records);
    account->records.is_begun = false;
    sigstore_trim(account, SIGSTORE_CACHE_DEFAULT);
}

void sigstore_fill(struct sigstore_account *account, const struct sigstore_ref *ref,
                   struct bytes stored, uint64_t version)
{
    sigstore_records_fill(&account->records, ref, stored, version);
}

bool sigstore_is_loaded(const struct sigstore_account *account, const struct sigstore_ref *ref)
{
    return sigstore_records_has(&account->records, ref);
}

void sigstore_trim(struct sigstore_account *account, size_t keep)
{
    sigstore_records_trim(&account->records, keep);
}

/* ---- operations ---- */

void sigstore_operation_begin(struct sigstore_account *account)
{
    struct sigstore *store = account->store;

    assert(store->running == NULL);
    assert(account->records.is_begun || account->records.backend == NULL);
    store->running = account;
    store->not_loaded = false;
    store->broken = false;
    store->identity_changed = false;
    store->used_prekey = 0;
}

enum sigstore_verdict sigstore_operation_end(struct sigstore_account *account,
                                             enum sigstore_verdict verdict)
{
    struct sigstore *store = account->store;

    store->running = NULL;
    if (store->not_loaded) {
        verdict = SIGSTORE_NOT_LOADED;
    } else if (store->broken) {
        verdict = SIGSTORE_BROKEN;
    }
    if (verdict == SIGSTORE_OK) {
        sigstore_records_keep(&account->records);
    } else {
        sigstore_records_drop(&account->records);
    }
    return verdict;
}

int sigstore_operation_get(struct sigstore_account *account, enum sigstore_kind kind,
                           const char *key, struct bytes *out)
{
    int rc = sigstore_records_get(&account->records, kind, key, out);

    if (rc < 0) {
        account->store->not_loaded = true;
        return -1;
    }
    return rc;
}
