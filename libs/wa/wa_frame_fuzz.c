/* The same stream whole and in pieces gives the same frames. The first byte is the piece's size,
 * the second says whether an intro comes first. */
#include <stdlib.h>
#include <string.h>

#include "wa/wa_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Append every frame of @stream, cut into pieces of @step, to @out. */
static void read_all(struct bytes stream, size_t step, bool has_intro, struct buf *out)
{
    struct wa_frame_reader reader;
    uint8_t prologue[WA_FRAME_PROLOGUE];
    int rc = 1;

    wa_frame_reader_init(&reader, 1 << 16);
    while (stream.n > 0 && rc >= 0) {
        size_t n = step < stream.n ? step : stream.n;
        struct bytes piece = {stream.p, n};
        struct bytes frame = {0};

        stream.p += n;
        stream.n -= n;
        rc = has_intro ? wa_frame_intro(&reader, &piece, prologue, NULL) : 1;
        if (rc == 1) {
            has_intro = false;
            while ((rc = wa_frame_next(&reader, &piece, &frame, NULL)) == 1) {
                buf_add_be(out, frame.n, 4);
                buf_add(out, frame.p, frame.n);
            }
        }
    }
    wa_frame_reader_done(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0};
    struct buf pieces = {0};

    if (size >= 2) {
        struct bytes stream = {data + 2, size - 2};

        read_all(stream, size, (data[1] & 1) != 0, &whole);
        read_all(stream, (size_t)data[0] + 1, (data[1] & 1) != 0, &pieces);
        if (whole.n != pieces.n || (whole.n > 0 && memcmp(whole.p, pieces.p, whole.n) != 0)) {
            abort();
        }
    }
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
