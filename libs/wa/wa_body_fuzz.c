/* A decrypted plaintext of a peer: padding, message, and an inline history where there is one. */
#include "wa/wa_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes plain = {data, size};
    struct arena arena = {0};
    struct wa_body_sync sync;
    struct wa_body body;

    if (wa_body_unpad(&plain) && wa_body_parse(plain, &arena, &body, NULL) == 0 &&
        body.kind == WA_BODY_HISTORY &&
        wa_body_history_open(body.history.inline_payload, &arena, &sync, NULL) == 0) {
        arena_reset(&arena);
    }
    arena_done(&arena);
    return 0;
}
