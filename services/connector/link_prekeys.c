#include "connector/link_prekeys.h"

#include <sodium.h>
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
    drop(&link->prekeys.keys, link->prekeys.n);
    loop_timer_stop(&link->prekeys.again);
    link->prekeys = (struct link_prekeys){0};
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

    if (link != NULL && link->prekeys.state == LINK_PREKEYS_MAKING &&
        link->prekeys.n == making->n) {
        link->prekeys.keys = making->keys;
        link->prekeys.state = LINK_PREKEYS_MADE;
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

    if (link->prekeys.state != LINK_PREKEYS_NONE) {
        return;
    }
    making = mem_new0(sizeof(*making));
    making->connector = connector;
    making->n = at_server > 0 ? WA_CLIENT_PREKEYS_MORE : WA_CLIENT_PREKEYS_FIRST;
    making->keys = mem_array0(making->n, sizeof(*making->keys));
    memcpy(making->uuid, link->account->state.uuid, UUID_TEXT_MAX);
    link->prekeys = (struct link_prekeys){
        .state = LINK_PREKEYS_MAKING,
        .n = making->n,
        .backoff = {LINK_PREKEYS_AGAIN_MS, LINK_PREKEYS_AGAIN_MOST_MS, .jitter_percent = 20}};
    loop_work(connector->loop, make, on_made, making);
}

void link_prekeys_stage(struct turn *turn, struct link *link)
{
    struct account *account = link->account;
    struct link_prekeys *made = &link->prekeys;
    const struct sigstore_ref meta = {.kind = SIGSTORE_META};
    uint32_t first = 0;

    if (made->state != LINK_PREKEYS_MADE || account->signal == NULL ||
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
    for (size_t i = 0; i < made->n; i++) {
        made->keys[i].id = sigstore_prekey_id_after(first, i);
    }
    if (sigstore_prekeys_add(account->signal, made->keys, made->n) == SIGSTORE_OK) {
        made->state = LINK_PREKEYS_STAGED;
        crash_point("connector", "before.prekeys");
        records_drop_prekeys(turn, account, sigstore_prekey_id_after(first, made->n));
    }
}

/* ---- after the commit ---- */

static void own_bundle(const struct wa_creds *device, struct wa_bundle *out)
{
    out->registration_id = device->registration_id;
    out->signed_id = device->signed_prekey_id;
    memcpy(out->identity, device->identity.pub, CRYPTO_KEY);
    memcpy(out->signed_public, device->signed_prekey, CRYPTO_KEY);
    memcpy(out->signature, device->signed_prekey_signature, CRYPTO_SIGNATURE);
}

static void on_again(struct loop_timer *timer, void *ctx);

/* The server refused it, or did not answer. */
static void try_again(struct link *link, const char *what, int rc, int code)
{
    int64_t wait_ms = loop_backoff_next_ms(&link->prekeys.backoff, randombytes_random());

    log_warn(what, LOG_STR("session", link->account->state.uuid), LOG_STR("why", err_name(rc)),
             LOG_INT("code", code), LOG_INT("again_in_ms", wait_ms));
    loop_timer_start(link->account->connector->loop, &link->prekeys.again, wait_ms, on_again, link);
}

static void on_uploaded(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct link *link = ctx;

    (void)reply;
    if (rc < 0) {
        try_again(link, "prekeys not uploaded", rc, code);
    } else {
        crash_point("connector", "after.upload");
        link_prekeys_drop(link);
    }
    wa_client_proceed(link->client, loop_now_ms(link->account->connector->loop));
}

static void upload(struct link *link)
{
    struct wa_prekeys_upload upload = {.n = link->prekeys.n};
    struct arena arena = {0};
    struct wa_prekey *keys = arena_array0(&arena, link->prekeys.n, sizeof(*keys));

    for (size_t i = 0; i < link->prekeys.n; i++) {
        keys[i].id = link->prekeys.keys[i].id;
        memcpy(keys[i].public_key, link->prekeys.keys[i].pair.pub, CRYPTO_KEY);
    }
    upload.keys = keys;
    own_bundle(&link->account->credentials->device, &upload.own);
    link_request(link->account, wa_prekeys_upload(&arena, NULL, &upload), on_uploaded, link);
    arena_done(&arena);
}

static void on_count(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct link *link = ctx;
    uint32_t at_server = 0;

    if (rc < 0) {
        try_again(link, "prekeys not counted", rc, code);
    } else if (wa_prekeys_count_parse(reply, &at_server) && at_server >= WA_CLIENT_PREKEYS_LOW) {
        link_prekeys_drop(link); /* they had got there, only the answer had not come */
    } else {
        upload(link);
    }
}

/* A key that the server has, and perhaps gave out, must not be offered again: it is asked first. */
static void on_again(struct loop_timer *timer, void *ctx)
{
    struct link *link = ctx;
    struct arena arena = {0};

    (void)timer;
    link_request(link->account, wa_prekeys_count(&arena, NULL), on_count, link);
    arena_done(&arena);
}

void link_prekeys_committed(struct link *link)
{
    if (link->prekeys.state == LINK_PREKEYS_STAGED) {
        link->prekeys.state = LINK_PREKEYS_KEPT;
        crash_point("connector", "before.upload");
        upload(link);
    }
}
