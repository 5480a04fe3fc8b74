/* Pairing by a code that is typed into the phone. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wa/wa_client_internal.h"

enum { PHONE_MIN = 7, PHONE_MAX = 15 };

static const char tag_outer[] = "link_code_companion_reg";

void wa_client_code_drop(struct wa_client_pairing *pairing)
{
    if (pairing->code != NULL) {
        mem_wipe(pairing->code, sizeof(*pairing->code));
        free(pairing->code);
        pairing->code = NULL;
    }
}

static bool is_phone(const char *text)
{
    size_t n = strlen(text);

    return n >= PHONE_MIN && n <= PHONE_MAX && text[0] != '0' && strspn(text, "0123456789") == n;
}

/* `<iq xmlns="md"><link_code_companion_reg jid= stage=>`: gives the inner node. */
static struct wa_node *stage_of(struct wa_node *iq, const struct wa_client_code *code,
                                const char *stage)
{
    struct wa_node *inner = wa_node_child(iq, tag_outer);

    wa_node_set_jid(inner, "jid", &code->phone);
    wa_node_set(inner, "stage", stage);
    return inner;
}

static void add_bytes(struct wa_node *parent, const char *tag, const void *p, size_t n)
{
    wa_node_set_bytes(wa_node_child(parent, tag), (struct bytes){p, n});
}

static void refused(struct wa_client *client, int code)
{
    struct wa_event event = {.kind = WA_EVENT_PAIR_CODE_REFUSED};

    event.pair_code.code = code;
    if (client->pairing != NULL) {
        wa_client_code_drop(client->pairing);
    }
    wa_client_emit(client, &event);
}

/* The server's answer: a ref that names the attempt. Only now the code is worth typing. */
static void on_hello_answer(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct wa_client *client = ctx;
    struct wa_event event = {.kind = WA_EVENT_PAIR_CODE};
    struct wa_client_pairing *pairing = client->pairing;
    struct bytes ref =
        wa_node_bytes(wa_node_path(reply, "link_code_companion_reg/link_code_pairing_ref"));
    char text[WA_CODE_TEXT_MAX];

    if (rc == -ERR_CLOSED || client->phase != WA_PHASE_PAIRING || pairing == NULL ||
        pairing->code == NULL) {
        return;
    }
    if (rc < 0 || ref.n == 0 || ref.n > WA_QR_REF_MAX) {
        refused(client, code);
        return;
    }
    memcpy(pairing->code->ref, ref.p, ref.n);
    pairing->code->ref_n = ref.n;
    event.pair_code.text = wa_code_format(&pairing->code->code, text);
    event.pair_code.lifetime_ms =
        client->qr_ms - client->now_ms +
        (int64_t)WA_CLIENT_QR_NEXT_MS * (pairing->refs_n - pairing->shown);
    wa_client_emit(client, &event);
    mem_wipe(text, sizeof(text));
}

int wa_client_request_code(struct wa_client *client, const char *phone, int64_t now_ms,
                           struct err *err)
{
    struct arena arena = {0};
    struct wa_node *iq;
    struct wa_node *inner;
    struct wa_client_code *code;
    uint8_t wrapped[WA_CODE_WRAPPED];
    int rc;

    if (client->phase != WA_PHASE_PAIRING) {
        return err_set(err, ERR_CLOSED, "not pairing");
    }
    if (!is_phone(phone)) {
        return err_set(err, ERR_INVALID, "not a phone number of %d to %d digits", PHONE_MIN,
                       PHONE_MAX);
    }
    wa_client_code_drop(client->pairing);
    code = client->pairing->code = mem_new0(sizeof(*code));
    code->code = wa_code_make();
    code->phone = wa_jid_make(WA_SERVER_PN, phone, 0);
    crypto_pair_new(&code->link);
    wa_code_wrap(&code->code, code->link.pub, wrapped);

    iq = wa_node_iq(&arena, "set", "md", NULL);
    inner = stage_of(iq, code, "companion_hello");
    wa_node_set(inner, "should_show_push_notification", "true");
    add_bytes(inner, "link_code_pairing_wrapped_companion_ephemeral_pub", wrapped, sizeof(wrapped));
    add_bytes(inner, "companion_server_auth_key_pub", client->config.creds->noise.pub, CRYPTO_KEY);
    add_bytes(inner, "companion_platform_id", "1", 1);
    add_bytes(inner, "companion_platform_display", "Chrome (Linux)", sizeof("Chrome (Linux)") - 1);
    add_bytes(inner, "link_code_pairing_nonce", "", 1);
    rc = wa_client_request(client, iq, now_ms, on_hello_answer, client, err);
    if (rc < 0) {
        wa_client_code_drop(client->pairing);
    }
    arena_done(&arena);
    return rc;
}

static void on_finish_answer(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct wa_client *client = ctx;

    (void)reply;
    if (rc == -ERR_REFUSED && client->phase == WA_PHASE_PAIRING) {
        refused(client, code);
    }
}

/* Make the bundle and take over the adv secret that comes with it. */
static int send_finish(struct wa_client *client, const struct wa_code_keys *keys)
{
    struct wa_client_pairing *pairing = client->pairing;
    struct arena arena = {0};
    struct wa_node *iq = wa_node_iq(&arena, "set", "md", NULL);
    struct wa_node *inner = stage_of(iq, pairing->code, "companion_finish");
    uint8_t bundle[WA_CODE_BUNDLE];
    uint8_t adv_secret[CRYPTO_KEY];
    int rc = wa_code_finish(keys, bundle, adv_secret, NULL);

    if (rc == 0) {
        memcpy(pairing->creds.adv_secret, adv_secret, CRYPTO_KEY);
        add_bytes(inner, "link_code_pairing_wrapped_key_bundle", bundle, sizeof(bundle));
        add_bytes(inner, "companion_identity_public", keys->identity->pub, CRYPTO_KEY);
        add_bytes(inner, "link_code_pairing_ref", pairing->code->ref, pairing->code->ref_n);
        rc = wa_client_request(client, iq, client->now_ms, on_finish_answer, client, NULL);
    }
    mem_wipe(adv_secret, sizeof(adv_secret));
    arena_done(&arena);
    return rc;
}

bool wa_client_pair_hello(struct wa_client *client, const struct wa_node *notification)
{
    const struct wa_node *hello = wa_node_find(notification, tag_outer);
    struct wa_client_code *code = client->pairing == NULL ? NULL : client->pairing->code;
    struct bytes ref = wa_node_bytes(wa_node_find(hello, "link_code_pairing_ref"));
    struct wa_code_keys keys = {.identity = &client->config.creds->identity};
    uint8_t wrapped[WA_CODE_WRAPPED];
    uint8_t link[CRYPTO_KEY];
    uint8_t identity[CRYPTO_KEY];

    if (hello == NULL || client->phase != WA_PHASE_PAIRING || code == NULL || code->ref_n == 0) {
        return false;
    }
    if (wa_client_ack(client, notification, 0, NULL) < 0) {
        return true; /* not connected, or nobody to ack to */
    }
    if (ref.n != code->ref_n || memcmp(ref.p, code->ref, ref.n) != 0 ||
        !wa_node_copy_bytes(wa_node_find(hello, "link_code_pairing_wrapped_primary_ephemeral_pub"),
                            wrapped, sizeof(wrapped)) ||
        !wa_node_copy_bytes(wa_node_find(hello, "primary_identity_pub"), identity, CRYPTO_KEY)) {
        return true; /* of another attempt */
    }
    wa_code_unwrap(&code->code, wrapped, link);
    keys.link = &code->link;
    keys.peer_link = link;
    keys.peer_identity = identity;
    if (send_finish(client, &keys) < 0) {
        refused(client, 0);
    }
    return true;
}
