/* Prekeys: what companions upload, and the bundles of whoever is to be written to. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_internal.h"
#include "wa/wa_iq.h"

/* Is @key what this id has always been? Remembers it. */
static bool is_honest(struct sandbox_device *device, const struct wa_prekey *key)
{
    size_t low = 0;
    size_t high = device->n_offered;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (device->offered[middle].id < key->id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < device->n_offered && device->offered[low].id == key->id) {
        return memcmp(device->offered[low].public_key, key->public_key, CRYPTO_KEY) == 0;
    }
    if (device->n_offered < SANDBOX_OFFERED_MAX) {
        device->offered =
            mem_grow(device->offered, device->n_offered + 1, sizeof(*device->offered));
        memmove(device->offered + low + 1, device->offered + low,
                (device->n_offered - low) * sizeof(*device->offered));
        device->offered[low] = *key;
        device->n_offered++;
    }
    return true;
}

/* Keep what @upload brings; the same id again overwrites. */
static void keep(struct sandbox_device *device, const struct wa_prekeys_upload *upload)
{
    bool full = false;

    device->own = upload->own;
    device->own.has_prekey = false;
    device->has_uploaded = true;
    for (size_t i = 0; i < upload->n; i++) {
        struct wa_prekey *old = NULL;

        if (!is_honest(device, &upload->keys[i])) {
            sandbox_violate_device(device, SANDBOX_VIOLATION_PREKEY_REUSED, "prekey %u",
                                   (unsigned)upload->keys[i].id);
        }
        for (size_t j = 0; j < device->n_prekeys && old == NULL; j++) {
            old = device->prekeys[j].id == upload->keys[i].id ? &device->prekeys[j] : NULL;
        }
        full = full || (old == NULL && device->n_prekeys == SANDBOX_PREKEYS_MAX);
        if (old != NULL) {
            *old = upload->keys[i];
        } else if (!full) {
            device->prekeys =
                mem_grow(device->prekeys, device->n_prekeys + 1, sizeof(*device->prekeys));
            device->prekeys[device->n_prekeys++] = upload->keys[i];
        }
    }
    sandbox_notify_prekeys(device); /* there are enough again: it may be told another time */
}

static void answer_upload(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_prekeys_upload upload = {0};
    struct err err = {0};
    int rc = wa_prekeys_upload_parse(iq, &conn->world->arena, &upload, &err);

    if (rc == 0 && memcmp(upload.own.identity, conn->device->own.identity, CRYPTO_KEY) != 0) {
        rc = err_set(&err, ERR_CRYPTO, "the identity is not the one that was registered");
    }
    if (rc < 0) {
        sandbox_violate(conn,
                        rc == -ERR_CRYPTO ? SANDBOX_VIOLATION_BAD_SIGNATURE
                                          : SANDBOX_VIOLATION_BAD_STANZA,
                        "prekeys: %s", err.text);
        sandbox_iq_fail(conn, iq, 406, "not-acceptable");
        return;
    }
    if (sandbox_fault_refuses_keys(conn->device->account)) {
        sandbox_iq_fail(conn, iq, 503, "service-unavailable");
        return;
    }
    keep(conn->device, &upload);
    sandbox_conn_send(conn, wa_iq_result(&conn->world->arena, iq));
}

static void answer_rotate(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_bundle bundle = conn->device->own;
    struct err err = {0};
    bool is_whole = wa_prekeys_rotate_parse(iq, &bundle, &err) == 0;

    if (!is_whole || !wa_bundle_holds(&bundle)) {
        sandbox_violate(conn,
                        is_whole ? SANDBOX_VIOLATION_BAD_SIGNATURE : SANDBOX_VIOLATION_BAD_STANZA,
                        "rotate: %s", is_whole ? "the signature does not hold" : err.text);
        sandbox_iq_fail(conn, iq, 406, "not-acceptable");
        return;
    }
    conn->device->own = bundle;
    sandbox_conn_send(conn, wa_iq_result(&conn->world->arena, iq));
}

static void answer_digest(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_prekeys_upload held = {
        .own = conn->device->own, .keys = conn->device->prekeys, .n = conn->device->n_prekeys};

    if (!conn->device->has_uploaded) {
        sandbox_iq_fail(conn, iq, 404, "item-not-found");
        return;
    }
    sandbox_conn_send(conn, wa_prekeys_digest_answer(&conn->world->arena, iq, &held));
}

/* ---- bundles of others ---- */

/* Devices that are not there are left out: an error for one makes some clients fail as a whole. */
static void answer_fetch(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_prekeys_wanted wanted = {0};
    struct wa_node *out = wa_iq_result(&conn->world->arena, iq);
    struct wa_node *list = wa_node_child(out, "list");
    const struct sandbox_account *holder = NULL;
    struct err err = {0};

    if (wa_prekeys_fetch_parse(iq, &conn->world->arena, &wanted, &err) < 0) {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_STANZA, "prekeys: %s", err.text);
        sandbox_iq_fail(conn, iq, 400, "bad-request");
        return;
    }
    for (size_t i = 0; i < wanted.n; i++) {
        struct sandbox_device *device = sandbox_device_of(conn->world, &wanted.devices[i]);
        struct wa_bundle bundle = {0};

        if (device != NULL && sandbox_device_bundle(device, &bundle)) {
            wa_prekeys_list_add(list, &wanted.devices[i], &bundle, buf_bytes(&device->identity));
            holder = device->account->behaviour.holds_bundles ? device->account : holder;
        }
    }
    if (holder != NULL) {
        sandbox_held_put(conn, holder, SANDBOX_HELD_BUNDLES, out);
    } else {
        sandbox_conn_send(conn, out);
    }
}

int sandbox_account_lose_keys(struct sandbox_account *account, unsigned device, struct err *err)
{
    struct sandbox_device *companion =
        device == 0 ? NULL : sandbox_account_find(account, (uint16_t)device);

    if (companion == NULL) {
        return err_set(err, ERR_NOT_FOUND, "%s has no companion %u", account->number, device);
    }
    sandbox_enter(account->world);
    companion->n_prekeys = 0;
    sandbox_notify_prekeys(companion);
    sandbox_leave(account->world);
    return 0;
}

void sandbox_keys_handle(struct sandbox_conn *conn, const struct wa_node *iq)
{
    switch (wa_prekeys_request(iq)) {
    case WA_PREKEYS_UPLOAD:
        answer_upload(conn, iq);
        break;
    case WA_PREKEYS_COUNT:
        sandbox_conn_send(conn, wa_prekeys_count_answer(&conn->world->arena, iq,
                                                        (uint32_t)conn->device->n_prekeys));
        break;
    case WA_PREKEYS_DIGEST:
        answer_digest(conn, iq);
        break;
    case WA_PREKEYS_FETCH:
        conn->world->totals.bundles++;
        answer_fetch(conn, iq);
        break;
    case WA_PREKEYS_ROTATE:
        answer_rotate(conn, iq);
        break;
    case WA_PREKEYS_NONE:
        sandbox_iq_fail(conn, iq, 501, "feature-not-implemented");
        break;
    }
}
