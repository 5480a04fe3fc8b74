/* wa_frame: frames on a stream: three bytes of length, then the payload. The client's stream begins
 * with an intro header. Pure. */
#ifndef WA_WA_FRAME_H
#define WA_WA_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct err;

enum {
    WA_FRAME_MAX = (1 << 24) - 1, /* bytes of a payload */
    WA_FRAME_HEAD = 3,            /* bytes of length in front of it */
    WA_FRAME_PROLOGUE = 4,        /* bytes of the header that the handshake hashes */
    WA_FRAME_ROUTING_MAX = 4096   /* bytes of routing information in front of the header */
};

extern const uint8_t wa_frame_prologue[WA_FRAME_PROLOGUE]; /* "WA", 6, dictionary version */

/* Append the client's intro: @routing (empty for none), then the prologue. It goes out once, in the
 * same message as the first frame. @routing is at most WA_FRAME_ROUTING_MAX bytes (asserted). */
void wa_frame_add_intro(struct buf *out, struct bytes routing);
/* Append one frame. -ERR_LIMIT: @payload is longer than WA_FRAME_MAX. */
NODISCARD int wa_frame_add(struct buf *out, struct bytes payload, struct err *err);

/* Puts frames together from messages that hold several, or parts. End with wa_frame_reader_done. */
struct wa_frame_reader {
    size_t max;         /* bytes of a payload; longer ones are refused */
    size_t taken;       /* bytes of pending that were given out and go at the next call */
    struct buf pending; /* a frame that has not arrived whole */
};

void wa_frame_reader_init(struct wa_frame_reader *reader, size_t max);
void wa_frame_reader_done(struct wa_frame_reader *reader);

/* Take the next frame off the front of @in; call it until it gives 0.
 *   1  *@frame is one payload, borrowed from @in or @reader until the next call
 *   0  @in is used up
 *   -ERR_LIMIT  a frame longer than the reader takes; the stream cannot go on */
NODISCARD int wa_frame_next(struct wa_frame_reader *reader, struct bytes *in, struct bytes *frame,
                            struct err *err);

/* Take the client's intro off the front of @in, before the first frame.
 *   1  @prologue holds the four bytes to hash; routing information was skipped
 *   0  @in is used up
 *   -ERR_INVALID  not an intro, or one of another dictionary version; -ERR_LIMIT */
NODISCARD int wa_frame_intro(struct wa_frame_reader *reader, struct bytes *in,
                             uint8_t prologue[WA_FRAME_PROLOGUE], struct err *err);

#endif
