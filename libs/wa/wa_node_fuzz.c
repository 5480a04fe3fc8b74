/* Whatever decodes must encode, and the encoded form must be stable. */
#include <stdlib.h>
#include <string.h>

#include "wa/wa_node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The canonical form of @packed in @out; false when it does not decode. */
static bool canonical(struct bytes packed, struct buf *out)
{
    struct arena arena = {0};
    struct wa_node *node = NULL;
    bool decoded = wa_node_decode(packed, &arena, &node, NULL) == 0;

    if (decoded && wa_node_encode(node, out, NULL) != 0) {
        out->n = 0; /* replaced characters may make it too large, nothing else */
        if (packed.n < WA_NODE_PACKED_MAX / 64) {
            abort();
        }
    }
    arena_done(&arena);
    return decoded && out->n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first = {0};
    struct buf second = {0};

    if (canonical((struct bytes){data, size}, &first)) {
        if (!canonical(buf_bytes(&first), &second) || first.n != second.n ||
            memcmp(first.p, second.p, first.n) != 0) {
            abort();
        }
    }
    buf_done(&first);
    buf_done(&second);
    return 0;
}
