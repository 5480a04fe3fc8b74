/* A client payload and the bytes around pairing, as a server and a companion read them. */
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "wa/wa_adv.h"
#include "wa/wa_cert.h"
#include "wa/wa_payload.h"
#include "wa/wa_qr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(int rc)
{
    (void)rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[CRYPTO_KEY] = {9};
    struct bytes raw = {data, size};
    struct wa_payload payload;
    struct wa_adv_index_list list;
    struct wa_creds creds = {0};
    struct wa_qr qr;
    struct buf reply = {0};
    struct arena arena = {0};
    uint32_t index;

    ignore(wa_payload_parse(raw, &payload, NULL));
    ignore(wa_adv_index_list_parse(raw, &list, NULL));
    (void)wa_adv_accept(raw, &creds, &reply);
    ignore(wa_adv_reply_verify(raw, key, key, &index, NULL));
    ignore(wa_cert_chain_verify(raw, key, key, 0, NULL));
    ignore(wa_creds_decode(raw, &creds, NULL));
    ignore(wa_qr_parse(arena_strndup(&arena, (const char *)data, size), &qr, NULL));
    arena_done(&arena);
    buf_done(&reply);
    return 0;
}
