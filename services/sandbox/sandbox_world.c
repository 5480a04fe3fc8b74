#include "sandbox/sandbox_world.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_internal.h"
#include "wa/wa_cert.h"
#include "wa/wa_proto.h"

enum { LEAF_SERIAL = 2, INTERMEDIATE_SERIAL = 1, DAY_S = 24 * 3600, CERT_DAYS = 3650 };

/* ---- in and out of the world ---- */

void sandbox_enter(struct sandbox_world *world)
{
    world->depth++;
}

void sandbox_leave(struct sandbox_world *world)
{
    if (--world->depth > 0) {
        return;
    }
    while (world->gone != NULL) {
        struct sandbox_conn *conn = world->gone;

        world->gone = conn->next;
        free(conn);
    }
    arena_reset(&world->arena);
}

int64_t sandbox_now_s(const struct sandbox_world *world)
{
    return world->now_ms / 1000;
}

int64_t sandbox_world_now(const struct sandbox_world *world)
{
    return world->now_ms;
}

const char *sandbox_stanza_id(struct sandbox_world *world)
{
    return arena_printf(&world->arena, "5A%08llX", (unsigned long long)++world->stanza_serial);
}

int64_t sandbox_world_deadline(const struct sandbox_world *world)
{
    return sandbox_agenda_next_ms(&world->agenda);
}

void sandbox_world_set_clock(struct sandbox_world *world, int64_t now_ms)
{
    if (now_ms > world->now_ms) {
        world->now_ms = now_ms;
    }
}

void sandbox_world_advance(struct sandbox_world *world, int64_t now_ms)
{
    struct sandbox_due *due;

    sandbox_world_set_clock(world, now_ms);
    while ((due = sandbox_agenda_take(&world->agenda, world->now_ms)) != NULL) {
        sandbox_enter(world);
        due->fn(due->ctx);
        sandbox_leave(world);
    }
}

/* ---- life ---- */

/* Root, intermediate and leaf, so that clients find nothing odd. */
static void make_chain(struct sandbox_world *world)
{
    struct crypto_pair intermediate;
    struct wa_cert middle = {.serial = INTERMEDIATE_SERIAL, .issuer_serial = WA_CERT_ROOT_SERIAL};
    struct wa_cert leaf = {.serial = LEAF_SERIAL, .issuer_serial = INTERMEDIATE_SERIAL};

    crypto_pair_new(&intermediate);
    memcpy(middle.key, intermediate.pub, CRYPTO_KEY);
    memcpy(leaf.key, world->server.static_pair.pub, CRYPTO_KEY);
    middle.not_before_s = leaf.not_before_s = sandbox_now_s(world) - DAY_S;
    middle.not_after_s = leaf.not_after_s = sandbox_now_s(world) + (int64_t)CERT_DAYS * DAY_S;
    wa_cert_chain_make(&leaf, &middle, intermediate.priv, world->root.priv, &world->chain);
    world->server.cert_chain = buf_bytes(&world->chain);
    crypto_pair_wipe(&intermediate);
}

/* The pair that belongs to @name, for ever the same for one seed. */
static void derive_pair(const struct sandbox_world *world, const char *name,
                        struct crypto_pair *out)
{
    uint8_t key[CRYPTO_KEY];

    crypto_hkdf((struct bytes){world->options.seed, CRYPTO_KEY}, (struct bytes){0},
                (struct bytes){(const uint8_t *)name, strlen(name)}, key, sizeof(key));
    crypto_pair_from(key, out);
    mem_wipe(key, sizeof(key));
}

int sandbox_world_new(const struct sandbox_options *options, struct sandbox_world **out,
                      struct err *err)
{
    struct sandbox_world *world = mem_new0(sizeof(*world));
    int rc = crypto_start(err);

    if (rc == 0) {
        rc = wa_proto_start(err);
    }
    if (rc == 0) {
        rc = sigstore_new(&world->sigstore, err);
    }
    if (rc < 0) {
        free(world);
        return rc;
    }
    world->options = *options;
    if (world->options.ack_grace_ms == 0) {
        world->options.ack_grace_ms = SANDBOX_ACK_GRACE_MS;
    }
    world->now_ms = options->now_ms;
    derive_pair(world, "root", &world->root);
    derive_pair(world, "static", &world->server.static_pair);
    make_chain(world);
    *out = world;
    return 0;
}

void sandbox_world_free(struct sandbox_world **world)
{
    struct sandbox_world *gone = *world;

    if (gone == NULL) {
        return;
    }
    *world = NULL;
    sandbox_enter(gone);
    while (gone->conns != NULL) {
        struct sandbox_conn *conn = gone->conns;

        gone->conns = conn->next;
        conn->device = NULL;
        sandbox_pair_stop(conn);
        wa_host_free(&conn->server);
        conn->next = gone->gone;
        gone->gone = conn;
    }
    for (size_t i = 0; i < gone->n_accounts; i++) {
        sandbox_account_free(gone->accounts[i]);
    }
    sandbox_leave(gone);
    free(gone->accounts);
    sandbox_map_done(&gone->by_number);
    sandbox_map_done(&gone->by_lid);
    sandbox_map_done(&gone->by_ref);
    sandbox_agenda_done(&gone->agenda);
    sandbox_ledger_done(&gone->ledger);
    sigstore_free(&gone->sigstore);
    buf_done(&gone->chain);
    arena_done(&gone->arena);
    crypto_pair_wipe(&gone->root);
    crypto_pair_wipe(&gone->server.static_pair);
    free(gone);
}

void sandbox_world_root_key(const struct sandbox_world *world, uint8_t out[CRYPTO_KEY])
{
    memcpy(out, world->root.pub, CRYPTO_KEY);
}

struct sandbox_ledger *sandbox_world_ledger(struct sandbox_world *world)
{
    return &world->ledger;
}

void sandbox_world_totals(const struct sandbox_world *world, struct sandbox_totals *out)
{
    *out = world->totals;
    out->phones = world->n_accounts;
    out->companions = 0;
    for (size_t i = 0; i < world->n_accounts; i++) {
        out->companions += world->accounts[i]->n_companions;
    }
}
