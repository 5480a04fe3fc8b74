/* Pairing by QR code: codes one after another, then what the phone vouches for. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/wa_client_internal.h"

void wa_client_pair_drop(struct wa_client *client)
{
    struct wa_client_pairing *pairing = client->pairing;

    if (pairing != NULL) {
        wa_client_code_drop(pairing);
        arena_done(&pairing->arena);
        buf_done(&pairing->reply);
        buf_done(&pairing->refusal);
        wa_creds_wipe(&pairing->creds);
        free(pairing);
        client->pairing = NULL;
    }
}

/* The answer to an iq of the server. */
static struct wa_node *answer_to(struct arena *arena, const struct wa_node *iq, const char *type)
{
    struct wa_node *answer = wa_node_new(arena, "iq");
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);

    wa_node_set_jid(answer, "to", &server);
    wa_node_set(answer, "type", type);
    wa_node_set(answer, "id", wa_node_attr(iq, "id"));
    return answer;
}

static struct wa_node *refusal_of(struct arena *arena, const struct wa_node *iq,
                                  enum wa_adv_verdict verdict)
{
    struct wa_node *answer = answer_to(arena, iq, "error");
    struct wa_node *error = wa_node_child(answer, "error");

    wa_node_set_int(error, "code", wa_adv_verdict_code(verdict));
    wa_node_set(error, "text", wa_adv_verdict_text(verdict));
    return answer;
}

void wa_client_pair_next_code(struct wa_client *client)
{
    struct wa_client_pairing *pairing = client->pairing;
    struct wa_event event = {.kind = WA_EVENT_QR};
    struct buf text = {0};

    client->qr_ms = INT64_MAX;
    if (pairing == NULL || client->phase != WA_PHASE_PAIRING) {
        return;
    }
    if (pairing->shown == pairing->refs_n) {
        wa_client_end(client, WA_END_QR_USED_UP, 0, NULL);
        return;
    }
    wa_qr_make(pairing->refs[pairing->shown], &pairing->creds,
               client->config.profile->platform_type, &text);
    event.qr.lifetime_ms = pairing->shown == 0 ? WA_CLIENT_QR_FIRST_MS : WA_CLIENT_QR_NEXT_MS;
    pairing->shown++;
    client->qr_ms = client->now_ms + event.qr.lifetime_ms;
    event.qr.text = buf_text(&text);
    event.qr.ordinal = ++pairing->ordinal;
    event.qr.left = pairing->refs_n - pairing->shown;
    wa_client_emit(client, &event);
    buf_wipe(&text);
}

static void take_refs(struct wa_client_pairing *pairing, const struct wa_node *offer)
{
    arena_reset(&pairing->arena);
    pairing->refs_n = 0;
    pairing->shown = 0;
    WA_NODE_EACH(child, offer)
    {
        struct bytes ref = wa_node_bytes(child);

        if (wa_node_is(child, "ref") && ref.n > 0 && ref.n <= WA_QR_REF_MAX &&
            memchr(ref.p, ',', ref.n) == NULL && pairing->refs_n < WA_CLIENT_REFS_MAX) {
            pairing->refs[pairing->refs_n++] = arena_bytes(&pairing->arena, ref);
        }
    }
}

void wa_client_pair_offer(struct wa_client *client, const struct wa_node *iq)
{
    struct arena arena = {0};

    if ((client->phase != WA_PHASE_OPEN && client->phase != WA_PHASE_PAIRING) ||
        wa_creds_is_paired(client->config.creds)) {
        return;
    }
    if (client->pairing == NULL) {
        client->pairing = mem_new0(sizeof(*client->pairing));
        client->pairing->creds = *client->config.creds;
    }
    client->phase = WA_PHASE_PAIRING;
    client->step_ms = INT64_MAX;
    take_refs(client->pairing, wa_node_find(iq, "pair-device"));
    if (wa_client_send(client, answer_to(&arena, iq, "result"), NULL) == 0) {
        wa_client_pair_next_code(client);
    }
    arena_done(&arena);
}

/* Take text from a peer, cut at a character's end. */
static void copy_text(const char *from, char *to, size_t max)
{
    const char *text = from == NULL ? "" : from;
    size_t n = text_clip(text, max - 1);

    memcpy(to, text, n);
    to[n] = '\0';
}

/* Set what pair-success says beside the signatures. */
static bool take_device(const struct wa_node *success, struct wa_creds *creds)
{
    const struct wa_node *device = wa_node_find(success, "device");

    if (!wa_node_attr_jid(device, "jid", &creds->pn) || creds->pn.server != WA_SERVER_PN ||
        creds->pn.user[0] == '\0' || creds->pn.device == 0) {
        return false;
    }
    if (wa_node_attr(device, "lid") != NULL &&
        (!wa_node_attr_jid(device, "lid", &creds->lid) || creds->lid.server != WA_SERVER_LID)) {
        return false;
    }
    copy_text(wa_node_attr(wa_node_find(success, "biz"), "name"), creds->business_name,
              sizeof(creds->business_name));
    copy_text(wa_node_attr(wa_node_find(success, "platform"), "name"), creds->platform,
              sizeof(creds->platform));
    return true;
}

/* Make both answers to @iq; only one will be sent, once the caller knows which. */
static enum wa_adv_verdict prepare(struct wa_client *client, const struct wa_node *iq,
                                   struct arena *arena)
{
    struct wa_client_pairing *pairing = client->pairing;
    const struct wa_node *success = wa_node_find(iq, "pair-success");
    struct wa_node *answer = answer_to(arena, iq, "result");
    struct wa_node *identity;
    struct buf reply = {0};
    enum wa_adv_verdict verdict;

    verdict = take_device(success, &pairing->creds)
                  ? wa_adv_accept(wa_node_bytes(wa_node_find(success, "device-identity")),
                                  &pairing->creds, &reply)
                  : WA_ADV_MALFORMED;
    if (verdict == WA_ADV_OK) {
        identity = wa_node_child(wa_node_child(answer, "pair-device-sign"), "device-identity");
        wa_node_set_int(identity, "key-index", pairing->creds.key_index);
        wa_node_set_bytes(identity, buf_bytes(&reply));
        buf_clear(&pairing->reply);
        buf_clear(&pairing->refusal);
        if (wa_node_encode(answer, &pairing->reply, NULL) < 0 ||
            wa_node_encode(refusal_of(arena, iq, WA_ADV_MALFORMED), &pairing->refusal, NULL) < 0) {
            verdict = WA_ADV_MALFORMED;
        }
    }
    buf_done(&reply);
    return verdict;
}

void wa_client_pair_success(struct wa_client *client, const struct wa_node *iq)
{
    struct arena arena = {0};
    struct wa_event event = {.kind = WA_EVENT_PAIRED};

    if (client->phase != WA_PHASE_PAIRING) {
        return;
    }
    event.pair_refused = prepare(client, iq, &arena);
    if (event.pair_refused == WA_ADV_OK) {
        client->phase = WA_PHASE_PAIRED;
        client->qr_ms = INT64_MAX;
        client->step_ms = client->now_ms + WA_CLIENT_SETTLE_MS;
        event.paired.creds = &client->pairing->creds;
        wa_client_emit(client, &event);
    } else if (wa_client_send(client, refusal_of(&arena, iq, event.pair_refused), NULL) == 0) {
        event.kind = WA_EVENT_PAIR_REFUSED;
        wa_client_emit(client, &event);
    }
    arena_done(&arena);
}

/* Send one of the two answers; both are used up. */
static int answer_pairing(struct wa_client *client, bool confirm, struct err *err)
{
    struct wa_client_pairing *pairing = client->pairing;
    int rc;

    if (client->phase != WA_PHASE_PAIRED || pairing == NULL || pairing->reply.n == 0) {
        return err_set(err, ERR_CLOSED, "no pairing waits for an answer");
    }
    rc = wa_client_send_packed(client, buf_bytes(confirm ? &pairing->reply : &pairing->refusal),
                               err);
    buf_done(&pairing->reply);
    buf_done(&pairing->refusal);
    pairing->confirmed = confirm && rc == 0;
    return rc;
}

int wa_client_confirm_pairing(struct wa_client *client, int64_t now_ms, struct err *err)
{
    int rc = answer_pairing(client, true, err);

    if (rc == 0) {
        client->step_ms = now_ms + WA_CLIENT_SETTLE_MS;
    }
    return rc;
}

int wa_client_refuse_pairing(struct wa_client *client, struct err *err)
{
    return answer_pairing(client, false, err);
}
