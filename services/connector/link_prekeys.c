#include "connector/link_prekeys.h"

#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/link.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "sigstore/sigstore.h"
#include "wa/wa_prekeys.h"

struct making {
    struct connector *connector;
    char uuid[UUID_TEXT_MAX]; /* the account may be gone when they are made */
    size_t n;
    struct sigstore_prekey *keys;
};

static void drop(struct sigstore_prekey **keys, size_t n)
{
    if (*keys != NULL) {
        mem_wipe(*keys, n * sizeof(**keys));
        free(*keys);
        *keys = NULL;
    }
}

void link_prekeys_drop(struct link *link)
{
    drop(&link->prekeys, link->n_prekeys);
    link->n_prekeys = link->prekeys_wanted = 0;
    link->prekeys_kept = false;
}

static void make(void *ctx)
{
    struct making *making = ctx;

    sigstore_prekeys_make(1, making->n, making->keys); /* their ids are chosen when they are kept */
}

static void on_loaded(struct account *account, int rc, uint64_t tag)
{
    (void)rc; /* if it is not there it is asked for again */
    (void)tag;
    account_ready(account);
}

static void on_made(void *ctx)
{
    struct making *making = ctx;
    struct account *account = account_find(making->connector, making->uuid);
    struct link *link = account != NULL ? account->link : NULL;

    if (link != NULL && link->prekeys == NULL && link->prekeys_wanted == making->n &&
        account->signal != NULL) {
        link->prekeys = making->keys;
        link->n_prekeys = making->n;
        making->keys = NULL;
        account_ready(account);
    }
    drop(&making->keys, making->n);
    free(making);
}

void link_prekeys_want(struct link *link, int64_t at_server)
{
    struct connector *connector = link->account->connector;
    struct making *making;

    if (link->prekeys_wanted != 0) {
        return;
    }
    making = mem_new0(sizeof(*making));
    making->connector = connector;
    making->n = at_server > 0 ? WA_CLIENT_PREKEYS_MORE : WA_CLIENT_PREKEYS_FIRST;
    making->keys = mem_array0(making->n, sizeof(*making->keys));
    memcpy(making->uuid, link->account->state.uuid, UUID_TEXT_MAX);
    link->prekeys_wanted = making->n;
    loop_work(connector->loop, make, on_made, making);
}

void link_prekeys_stage(struct turn *turn, struct link *link)
{
    struct account *account = link->account;
    const struct sigstore_ref meta = {.kind = SIGSTORE_META};
    uint32_t first = 0;

    if (link->prekeys == NULL || link->prekeys_kept || account->signal == NULL ||
        (account->staged_effects & SESSION_ERASE)) {
        return;
    }
    if (!records_load(account, &meta, 1, on_loaded, 0)) {
        return;
    }
    records_begin(turn, account);
    if (sigstore_prekey_next(account->signal, &first) != SIGSTORE_OK) {
        return;
    }
    for (size_t i = 0; i < link->n_prekeys; i++) {
        link->prekeys[i].id = sigstore_prekey_id_after(first, i);
    }
    link->prekeys_kept =
        sigstore_prekeys_add(account->signal, link->prekeys, link->n_prekeys) == SIGSTORE_OK;
    if (link->prekeys_kept) {
        crash_point("connector", "before.prekeys");
        records_drop_prekeys(turn, account, sigstore_prekey_id_after(first, link->n_prekeys));
    }
}

static void on_uploaded(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct link *link = ctx;

    (void)reply;
    if (rc < 0) {
        log_warn("prekeys not uploaded", LOG_STR("session", link->account->state.uuid),
                 LOG_STR("why", err_name(rc)), LOG_INT("code", code));
    } else {
        crash_point("connector", "after.upload");
    }
    link_prekeys_drop(link);
    wa_client_proceed(link->client, loop_now_ms(link->account->connector->loop));
}

static void own_bundle(const struct wa_creds *device, struct wa_bundle *out)
{
    out->registration_id = device->registration_id;
    out->signed_id = device->signed_prekey_id;
    memcpy(out->identity, device->identity.pub, CRYPTO_KEY);
    memcpy(out->signed_public, device->signed_prekey, CRYPTO_KEY);
    memcpy(out->signature, device->signed_prekey_signature, CRYPTO_SIGNATURE);
}

void link_prekeys_committed(struct link *link)
{
    struct wa_prekeys_upload upload = {.n = link->n_prekeys};
    struct arena arena = {0};
    struct wa_prekey *keys;

    if (!link->prekeys_kept) {
        return;
    }
    link->prekeys_kept = false;
    crash_point("connector", "before.upload");
    keys = arena_array0(&arena, link->n_prekeys, sizeof(*keys));
    for (size_t i = 0; i < link->n_prekeys; i++) {
        keys[i].id = link->prekeys[i].id;
        memcpy(keys[i].public_key, link->prekeys[i].pair.pub, CRYPTO_KEY);
    }
    upload.keys = keys;
    own_bundle(&link->account->credentials->device, &upload.own);
    link_request(link->account, wa_prekeys_upload(&arena, NULL, &upload), on_uploaded, link);
    arena_done(&arena);
}
