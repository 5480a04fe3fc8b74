/* Every parser of stanzas on whatever tree the bytes decode to; what one side takes, and builds
 * again, the same parser must take again. */

#include "testkit/testkit_fuzz.h"
#include "wa/wa_ack.h"
#include "wa/wa_iq.h"
#include "wa/wa_message.h"
#include "wa/wa_receipt.h"
#include "wa/wa_usync.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a client answers to the stanza of @size bytes has a form on the wire; what is as large as a
 * frame may come out larger, as texts are cleaned. */
static void must_encode(const struct wa_node *answer, size_t size)
{
    struct buf out = {0};

    must(wa_node_encode(answer, &out, NULL) == 0 || size > WA_NODE_PACKED_MAX / 64);
    buf_done(&out);
}

/* What a parser said does not matter here. */
static void may(bool held)
{
    (void)held;
}

/* All that a client may answer to a message. */
static void try_answers(const struct wa_message_received *message,
                        const struct wa_message_view *view, struct arena *arena, size_t size)
{
    const struct wa_retry retry = {.count = 1, .id = message->id, .time = message->time};
    struct wa_receipt receipt;

    /* what libsignal takes as a device; sigstore_addr_of is asked for no others */
    must(wa_jid_is_user(&view->sender) && view->sender.device <= WA_JID_DEVICE_MAX);
    wa_receipt_for(message, view, true, &receipt);
    must_encode(wa_receipt_to_server(arena, &receipt), size);
    must(wa_receipt_from_client(wa_receipt_to_server(arena, &receipt), arena, &receipt, NULL) == 0);
    must_encode(wa_retry_to_server(arena, message, &retry), size);
}

static void try_messages(const struct wa_node *node, struct arena *arena, size_t size)
{
    const struct wa_jid own = wa_jid_make(WA_SERVER_PN, "500", 3);
    const struct wa_jid none = {0};
    struct wa_message_sent sent;
    struct wa_message_received received;
    struct wa_message_view view;

    if (wa_message_sent_parse(node, arena, &sent, NULL) == 0) {
        must(wa_message_sent_parse(wa_message_sent_build(arena, &sent), arena, &sent, NULL) == 0);
    }
    if (wa_message_received_parse(node, arena, &received, NULL) == 0) {
        must(wa_message_received_parse(wa_message_received_build(arena, &received), arena,
                                       &received, NULL) == 0);
        if (wa_message_view(&received, &own, &none, &view)) {
            try_answers(&received, &view, arena, size);
        }
    }
}

static void try_receipts(const struct wa_node *node, struct arena *arena)
{
    struct wa_receipt receipt;
    struct wa_retry retry;

    if (wa_receipt_from_server(node, arena, &receipt, NULL) == 0) {
        must(!wa_jid_is_user(&receipt.peer) || receipt.peer.device <= WA_JID_DEVICE_MAX);
        (void)wa_receipt_to_client(arena, &receipt);
    }
    if (wa_receipt_from_client(node, arena, &receipt, NULL) == 0) {
        must(wa_receipt_from_client(wa_receipt_to_server(arena, &receipt), arena, &receipt, NULL) ==
             0);
    }
    may(wa_retry_parse(node, &retry, NULL) == 0);
}

static void try_queries(const struct wa_node *node, struct arena *arena)
{
    struct wa_usync_query query;
    struct wa_usync_answer users;
    struct wa_prekeys_upload upload;
    struct wa_prekeys_wanted wanted;
    struct wa_prekeys_found *found;
    struct wa_bundle bundle = {0};
    size_t n;
    uint32_t count;

    if (wa_usync_query_parse(node, arena, &query, NULL) == 0) {
        must(wa_usync_query_parse(wa_usync_query(arena, "1", &query), arena, &query, NULL) == 0);
    }
    may(wa_usync_answer_parse(node, arena, &users, NULL) == 0);
    if (wa_prekeys_upload_parse(node, arena, &upload, NULL) == 0) {
        must(wa_prekeys_digest_holds(wa_prekeys_digest_answer(arena, node, &upload), &upload));
    }
    may(wa_prekeys_fetch_parse(node, arena, &wanted, NULL) == 0);
    may(wa_prekeys_answer_parse(node, arena, &found, &n, NULL) == 0);
    may(wa_prekeys_count_parse(node, &count));
    may(wa_prekeys_rotate_parse(node, &bundle, NULL) == 0);
    (void)wa_prekeys_request(node);
    (void)wa_iq_code(node, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct wa_node *node = NULL;
    struct wa_ack ack;

    if (wa_node_decode((struct bytes){data, size}, &arena, &node, NULL) == 0) {
        try_messages(node, &arena, size);
        try_receipts(node, &arena);
        try_queries(node, &arena);
        if (!wa_ack_parse(node, &ack)) {
            must_encode(wa_ack_for(&arena, node, WA_NACK_PARSE), size);
        }
    }
    arena_done(&arena);
    return 0;
}
