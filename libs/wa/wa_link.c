#include "wa/wa_link.h"

#include "base/err.h"
#include "wa/wa_frame.h"

int wa_link_seal(struct noise_transport *transport, struct bytes packed, struct buf *out,
                 struct err *err)
{
    size_t n = packed.n + CRYPTO_GCM_TAG;

    if (n > WA_FRAME_MAX) {
        return err_set(err, ERR_LIMIT, "a frame of %zu bytes, at most %d", n, WA_FRAME_MAX);
    }
    buf_add_be(out, n, WA_FRAME_HEAD);
    return noise_seal(transport, packed, out, err);
}

int wa_link_open(struct noise_transport *transport, struct bytes frame, struct arena *arena,
                 struct wa_node **out, struct err *err)
{
    uint8_t *plain = arena_new0(arena, frame.n + 1);
    int rc = noise_open(transport, frame, plain, err);

    if (rc < 0) {
        return rc;
    }
    return wa_node_decode((struct bytes){plain, frame.n - CRYPTO_GCM_TAG}, arena, out, err);
}
