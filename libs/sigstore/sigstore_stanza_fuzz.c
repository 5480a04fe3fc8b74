/* Whoever a stanza says to come from, if it is a person: its device has an address and a record. */
#include "sigstore/sigstore.h"
#include "wa/wa_receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_message(const struct wa_node *node, struct arena *arena)
{
    const struct wa_jid own = wa_jid_make(WA_SERVER_PN, "500", 3);
    const struct wa_jid none = {0};
    struct sigstore_ref refs[SIGSTORE_REFS_MAX];
    struct wa_message_received message;
    struct wa_message_view view;
    struct sigstore_addr addr;

    if (wa_message_received_parse(node, arena, &message, NULL) < 0 ||
        !wa_message_view(&message, &own, &none, &view)) {
        return;
    }
    sigstore_addr_of(&view.sender, &addr);
    sigstore_peer_ref(&addr, &refs[0]);
    for (size_t i = 0; i < message.n_encs; i++) {
        (void)sigstore_decrypt_refs(&addr, message.encs[i].type, message.encs[i].bytes, refs);
    }
}

static void try_receipt(const struct wa_node *node, struct arena *arena)
{
    struct wa_receipt receipt;
    struct sigstore_addr addr;
    struct sigstore_ref ref;

    if (wa_receipt_from_server(node, arena, &receipt, NULL) == 0 && wa_jid_is_user(&receipt.peer)) {
        sigstore_addr_of(&receipt.peer, &addr);
        sigstore_peer_ref(&addr, &ref);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct wa_node *node = NULL;

    if (wa_node_decode((struct bytes){data, size}, &arena, &node, NULL) == 0) {
        try_message(node, &arena);
        try_receipt(node, &arena);
    }
    arena_done(&arena);
    return 0;
}
