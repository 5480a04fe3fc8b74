/* What the first stanzas of an inbox need to be handled: looking at them. */
#include <stdio.h>

#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox_needs.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "wa/wa_message.h"
#include "wa/wa_receipt.h"

/* ---- looking ---- */

/* True: the LIDs are known. */
static bool need_user(struct needs *needs, const struct wa_jid *user)
{
    if (lids_is_ready(needs->account->mailbox->lids, user)) {
        return true;
    }
    if (needs->n_users < NEEDS_USERS_MAX) {
        needs->users[needs->n_users++] = *user;
    }
    return false;
}

/* True: it is in the cache. */
static bool need_ref(struct needs *needs, const struct sigstore_ref *ref)
{
    if (sigstore_is_loaded(needs->account->signal, ref)) {
        return true;
    }
    if (needs->n_refs < NEEDS_REFS_MAX) {
        needs->refs[needs->n_refs++] = *ref;
    }
    return false;
}

static bool need_own_keys(struct needs *needs)
{
    struct sigstore_ref meta = {.kind = SIGSTORE_META};
    struct sigstore_ref signed_key = {.kind = SIGSTORE_SIGNED_PREKEY};
    bool has_meta = need_ref(needs, &meta);

    (void)snprintf(signed_key.key, sizeof(signed_key.key), "%u",
                   needs->account->credentials->device.signed_prekey_id);
    return need_ref(needs, &signed_key) && has_meta;
}

/* The other form of whoever speaks, where the stanza says it. */
static void tell(struct lids *lids, const struct wa_jid *jid, const struct wa_jid *other)
{
    if (wa_jid_is_lid(jid)) {
        lids_tell(lids, other, jid);
    } else {
        lids_tell(lids, jid, other);
    }
}

static bool look_message(struct needs *needs, const struct incoming *incoming,
                         const struct wa_node *node)
{
    const struct wa_creds *device = &needs->account->credentials->device;
    struct lids *lids = needs->account->mailbox->lids;
    struct wa_message_received message;
    struct wa_message_view view;
    struct sigstore_addr addr;
    bool ready = true;

    if (wa_message_received_parse(node, &needs->arena, &message, NULL) < 0 ||
        !wa_message_view(&message, &device->pn, &device->lid, &view)) {
        return true;
    }
    tell(lids, &view.sender, &view.sender_alt);
    if (!need_user(needs, &view.sender)) {
        return false;
    }
    lids_addr(lids, &view.sender, &addr);
    for (size_t i = 0; i < message.n_encs; i++) {
        const struct wa_enc *enc = &message.encs[i];
        struct sigstore_ref refs[SIGSTORE_REFS_MAX];
        size_t n = 0;

        if (enc->type == WA_ENC_MSG || enc->type == WA_ENC_PKMSG) {
            n = sigstore_decrypt_refs(&addr, enc->type, enc->bytes, refs);
        }
        for (size_t r = 0; r < n; r++) {
            ready = need_ref(needs, &refs[r]) && ready;
        }
    }
    return (!incoming->needs_own_keys || need_own_keys(needs)) && ready;
}

bool inbox_has_rows(const struct mailbox *mailbox, const struct wa_receipt *receipt)
{
    bool has_all = mailbox_find(mailbox, receipt->id) != NULL;

    for (size_t i = 0; has_all && i < receipt->n_more; i++) {
        has_all = mailbox_find(mailbox, receipt->more[i]) != NULL;
    }
    return has_all;
}

static void need_row(struct needs *needs, const char *id)
{
    needs->ids[needs->n_ids++] = arena_strdup(&needs->arena, id);
}

static void need_retries(struct needs *needs, const char *id, const struct wa_jid *device)
{
    char text[WA_JID_TEXT_MAX];

    needs->retry_ids[needs->n_retries] = arena_strdup(&needs->arena, id);
    needs->retry_devices[needs->n_retries++] =
        arena_strdup(&needs->arena, wa_jid_format(device, text));
}

/* When one row is to be read all are: those in memory may have left it when the answer comes. For a
 * retry always, and with it whether it was answered before, by whichever address it was asked. */
static bool need_rows(struct needs *needs, struct incoming *incoming,
                      const struct wa_receipt *receipt)
{
    bool is_retry = receipt->type == WA_RECEIPT_RETRY;

    if (!is_retry && inbox_has_rows(needs->account->mailbox, receipt)) {
        return true;
    }
    if (needs->n_ids + 1 + receipt->n_more > INBOX_IDS_MAX) {
        return false; /* of the next load */
    }
    incoming->rows_tag = needs->tag;
    need_row(needs, receipt->id);
    for (size_t i = 0; i < receipt->n_more; i++) {
        need_row(needs, receipt->more[i]);
    }
    if (is_retry) {
        struct wa_jid other = lids_other(needs->account->mailbox->lids, &receipt->peer);

        need_retries(needs, receipt->id, &receipt->peer);
        if (!wa_jid_is_none(&other)) {
            other.device = receipt->peer.device;
            need_retries(needs, receipt->id, &other);
        }
    }
    return false;
}

/* A new session is wanted and no keys came along: they are asked for, one device at a time. */
static bool need_bundle(struct needs *needs, const struct incoming *incoming,
                        const struct wa_node *node, const struct sigstore_addr *addr)
{
    struct sigstore_account *signal = needs->account->signal;
    struct sigstore_peer peer = {0};
    struct wa_retry retry;

    if (incoming->bundle == BUNDLE_HERE || incoming->bundle == BUNDLE_FAILED ||
        wa_retry_parse(node, &retry, NULL) < 0 || retry.has_keys || retry.count > WA_RETRY_LIMIT ||
        retry.count <= incoming->answered) {
        return true;
    }
    if (sigstore_peer_get(signal, addr, &peer) != SIGSTORE_OK) {
        return true;
    }
    /* the second time the session itself is in doubt */
    return peer.has_session && peer.registration_id == retry.registration_id && retry.count < 2;
}

static void on_bundle(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct account *account = ctx;
    struct mailbox *mailbox = account->mailbox;
    struct incoming *incoming = mailbox != NULL ? mailbox->inbox_first : NULL;
    struct arena arena = {0};
    struct wa_prekeys_found *found = NULL;
    size_t n = 0;

    (void)code;
    if (mailbox == NULL) {
        return;
    }
    while (incoming != NULL && incoming->tag != mailbox->fetching_for) {
        incoming = incoming->next;
    }
    mailbox->fetching_for = 0; /* whatever became of the stanza: the next one may ask */
    inbox_level(account);
    account_ready(account);
    if (incoming == NULL) {
        return; /* handled meanwhile: somebody else's stanza brought the session */
    }
    incoming->bundle = BUNDLE_FAILED;
    if (rc == 0 && wa_prekeys_answer_parse(reply, &arena, &found, &n, NULL) == 0 && n == 1 &&
        found[0].ok) {
        incoming->keys = found[0].bundle;
        incoming->bundle = BUNDLE_HERE;
    }
    arena_done(&arena);
}

static void fetch_bundle(struct needs *needs, struct incoming *incoming,
                         const struct wa_jid *device)
{
    struct account *account = needs->account;
    struct mailbox *mailbox = account->mailbox;

    if (mailbox->fetching_for != 0) {
        return; /* when that has come */
    }
    mailbox->fetching_for = incoming->tag;
    incoming->bundle = BUNDLE_ASKED;
    inbox_level(account);
    link_request(account, wa_prekeys_fetch(&needs->arena, NULL, device, 1), on_bundle, account);
}

static bool look_retry(struct needs *needs, struct incoming *incoming, const struct wa_node *node,
                       const struct wa_receipt *receipt)
{
    struct sigstore_addr addr;
    struct sigstore_ref ref;

    lids_addr(needs->account->mailbox->lids, &receipt->peer, &addr);
    sigstore_peer_ref(&addr, &ref);
    if (!need_ref(needs, &ref)) {
        return false;
    }
    if (!need_bundle(needs, incoming, node, &addr)) {
        fetch_bundle(needs, incoming, &receipt->peer);
        return false;
    }
    return true;
}

static bool look_receipt(struct needs *needs, struct incoming *incoming, const struct wa_node *node)
{
    struct wa_receipt receipt;
    bool is_retry;
    bool ready;

    if (wa_receipt_from_server(node, &needs->arena, &receipt, NULL) < 0 ||
        (!wa_jid_is_none(&receipt.recipient) && receipt.type != WA_RECEIPT_RETRY)) {
        return true;
    }
    switch (receipt.type) {
    case WA_RECEIPT_DELIVERED:
    case WA_RECEIPT_INACTIVE:
    case WA_RECEIPT_READ:
    case WA_RECEIPT_PLAYED:
    case WA_RECEIPT_RETRY:
        break;
    default:
        return true;
    }
    is_retry = receipt.type == WA_RECEIPT_RETRY;
    if (is_retry && !wa_jid_is_user(&receipt.peer)) {
        return true; /* has no session; it is refused */
    }
    if (is_retry) {
        tell(needs->account->mailbox->lids, &receipt.peer, &receipt.sender_lid);
        if (!need_user(needs, &receipt.peer)) {
            return false;
        }
    }
    ready = incoming->rows_asked || need_rows(needs, incoming, &receipt);
    return ready && (!is_retry || look_retry(needs, incoming, node, &receipt));
}

static bool look(struct needs *needs, struct incoming *incoming)
{
    struct wa_node *node = NULL;

    if (wa_node_decode(buf_bytes(&incoming->packed), &needs->arena, &node, NULL) < 0) {
        return true;
    }
    if (wa_node_is(node, "message")) {
        return look_message(needs, incoming, node);
    }
    return !wa_node_is(node, "receipt") || look_receipt(needs, incoming, node);
}

bool inbox_is_ready(struct account *account)
{
    struct mailbox *mailbox = account->mailbox;
    struct incoming *first = mailbox->inbox_first;
    struct needs needs = {.account = account, .tag = ++account->connector->tags};
    bool was_begun = sigstore_is_begun(account->signal);
    size_t looked = 0;

    if (mailbox->loading != 0 || first == NULL) {
        return false;
    }
    needs.refs = arena_array0(&needs.arena, NEEDS_REFS_MAX, sizeof(*needs.refs));
    needs.users = arena_array0(&needs.arena, NEEDS_USERS_MAX, sizeof(*needs.users));
    needs.ids = arena_array0(&needs.arena, INBOX_IDS_MAX, sizeof(*needs.ids));
    needs.retry_ids = arena_array0(&needs.arena, NEEDS_RETRIES_MAX, sizeof(*needs.retry_ids));
    needs.retry_devices =
        arena_array0(&needs.arena, NEEDS_RETRIES_MAX, sizeof(*needs.retry_devices));
    if (!was_begun) {
        sigstore_begin(account->signal); /* to look, not to stage */
    }
    for (struct incoming *at = first;
         at != NULL && looked < INBOX_AHEAD_MAX && needs.n_ids < INBOX_IDS_MAX;
         at = at->next, looked++) {
        at->is_ready = at->is_ready || look(&needs, at);
    }
    if (!was_begun) {
        sigstore_rollback(account->signal);
    }
    if (!first->is_ready) {
        inbox_load(&needs);
    }
    arena_done(&needs.arena);
    return first->is_ready;
}
