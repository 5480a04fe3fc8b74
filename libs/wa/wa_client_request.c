/* Requests and their answers, found by id. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/wa_client_internal.h"

void wa_client_new_id(struct wa_client *client, char out[32])
{
    (void)snprintf(out, 32, "%u.%u-%" PRIu32, client->id_prefix[0], client->id_prefix[1],
                   ++client->id_last);
}

int wa_client_request(struct wa_client *client, struct wa_node *iq, int64_t now_ms,
                      wa_client_reply_cb *cb, void *ctx, struct err *err)
{
    struct wa_client_waiter *waiter;
    char id[32];
    int rc;

    if (client->waiters_n >= WA_CLIENT_REQUESTS_MAX) {
        return err_set(err, ERR_LIMIT, "%d requests wait for an answer", WA_CLIENT_REQUESTS_MAX);
    }
    wa_client_new_id(client, id);
    wa_node_set(iq, "id", id);
    rc = wa_client_send(client, iq, err);
    if (rc < 0) {
        return rc;
    }
    waiter = mem_new0(sizeof(*waiter));
    waiter->number = client->id_last;
    waiter->expires_ms = now_ms + WA_CLIENT_REQUEST_MS;
    waiter->cb = cb;
    waiter->ctx = ctx;
    *client->waiters_end = waiter;
    client->waiters_end = &waiter->next;
    client->waiters_n++;
    return 0;
}

/* Take a waiter out of the list. */
static struct wa_client_waiter unlink_waiter(struct wa_client *client, struct wa_client_waiter **at)
{
    struct wa_client_waiter *waiter = *at;
    struct wa_client_waiter taken = *waiter;

    *at = waiter->next;
    if (client->waiters_end == &waiter->next) {
        client->waiters_end = at;
    }
    client->waiters_n--;
    free(waiter);
    return taken;
}

void wa_client_waiters_fail(struct wa_client *client, int rc)
{
    while (client->waiters != NULL && !client->freed) {
        struct wa_client_waiter waiter = unlink_waiter(client, &client->waiters);

        waiter.cb(waiter.ctx, rc, 0, NULL);
    }
}

void wa_client_waiters_expire(struct wa_client *client)
{
    while (client->waiters != NULL && !wa_client_is_over(client) &&
           client->waiters->expires_ms <= client->now_ms) {
        struct wa_client_waiter waiter = unlink_waiter(client, &client->waiters);

        waiter.cb(waiter.ctx, -ERR_TIMEOUT, 0, NULL);
    }
}

/* The number in one of our own ids; false for others. */
static bool own_number(const struct wa_client *client, const char *id, int64_t *out)
{
    char prefix[16];
    int n = snprintf(prefix, sizeof(prefix), "%u.%u-", client->id_prefix[0], client->id_prefix[1]);

    return id != NULL && strncmp(id, prefix, (size_t)n) == 0 &&
           text_to_int(id + n, 1, UINT32_MAX, out);
}

bool wa_client_waiters_answer(struct wa_client *client, const struct wa_node *iq)
{
    bool refused = wa_node_attr_is(iq, "type", "error");
    struct wa_client_waiter **at = &client->waiters;
    struct wa_client_waiter waiter;
    int64_t number = 0;
    int64_t code = 0;

    if ((!refused && !wa_node_attr_is(iq, "type", "result")) ||
        !own_number(client, wa_node_attr(iq, "id"), &number)) {
        return false;
    }
    while (*at != NULL && (*at)->number != number) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return true; /* a ping's, or one that came too late */
    }
    waiter = unlink_waiter(client, at);
    if (refused && !wa_node_attr_int(wa_node_find(iq, "error"), "code", 0, INT32_MAX, &code)) {
        code = 0;
    }
    waiter.cb(waiter.ctx, refused ? -ERR_REFUSED : 0, (int)code, iq);
    return true;
}
