#include "wa/wa_frame.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "wa/wa_tokens.h"

const uint8_t wa_frame_prologue[WA_FRAME_PROLOGUE] = {'W', 'A', 6, WA_TOKENS_VERSION};

static const uint8_t routing_head[4] = {'E', 'D', 0, 1};

enum { ROUTING_HEAD = sizeof(routing_head) + 3 /* with its length */ };

void wa_frame_add_intro(struct buf *out, struct bytes routing)
{
    assert(routing.n <= WA_FRAME_ROUTING_MAX);
    if (routing.n > 0) {
        buf_add(out, routing_head, sizeof(routing_head));
        buf_add_be(out, routing.n, 3);
        buf_add(out, routing.p, routing.n);
    }
    buf_add(out, wa_frame_prologue, sizeof(wa_frame_prologue));
}

int wa_frame_add(struct buf *out, struct bytes payload, struct err *err)
{
    if (payload.n > WA_FRAME_MAX) {
        return err_set(err, ERR_LIMIT, "a frame of %zu bytes, at most %d", payload.n, WA_FRAME_MAX);
    }
    buf_add_be(out, payload.n, WA_FRAME_HEAD);
    buf_add(out, payload.p, payload.n);
    return 0;
}

void wa_frame_reader_init(struct wa_frame_reader *reader, size_t max)
{
    *reader = (struct wa_frame_reader){.max = max};
}

void wa_frame_reader_done(struct wa_frame_reader *reader)
{
    buf_done(&reader->pending);
}

/* Move bytes of @in behind the pending ones until there are @want. False: @in is used up. */
static bool gather(struct wa_frame_reader *reader, struct bytes *in, size_t want)
{
    if (reader->pending.n < want) {
        size_t missing = want - reader->pending.n;
        size_t step = missing < in->n ? missing : in->n;

        if (step > 0) {
            buf_add(&reader->pending, in->p, step);
            in->p += step;
            in->n -= step;
        }
    }
    return reader->pending.n >= want;
}

static size_t length_at(const uint8_t *p)
{
    return (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
}

static int check_length(const struct wa_frame_reader *reader, size_t n, struct err *err)
{
    return n <= reader->max
               ? 0
               : err_set(err, ERR_LIMIT, "a frame of %zu bytes, at most %zu", n, reader->max);
}

/* Forget what the call before gave out; an idle stream holds no memory. */
static void drop_taken(struct wa_frame_reader *reader)
{
    if (reader->taken > 0) {
        buf_drop_front(&reader->pending, reader->taken);
        reader->taken = 0;
        if (reader->pending.n == 0) {
            buf_done(&reader->pending);
        }
    }
}

int wa_frame_next(struct wa_frame_reader *reader, struct bytes *in, struct bytes *frame,
                  struct err *err)
{
    size_t n;
    int rc;

    drop_taken(reader);
    if (reader->pending.n == 0 && in->n >= WA_FRAME_HEAD) {
        n = length_at(in->p);
        rc = check_length(reader, n, err);
        if (rc < 0) {
            return rc;
        }
        if (in->n - WA_FRAME_HEAD >= n) { /* whole in one message: no copy */
            *frame = (struct bytes){in->p + WA_FRAME_HEAD, n};
            in->p += WA_FRAME_HEAD + n;
            in->n -= WA_FRAME_HEAD + n;
            return 1;
        }
    }
    if (!gather(reader, in, WA_FRAME_HEAD)) {
        return 0;
    }
    n = length_at(reader->pending.p);
    rc = check_length(reader, n, err);
    if (rc < 0) {
        return rc;
    }
    if (!gather(reader, in, WA_FRAME_HEAD + n)) {
        return 0;
    }
    *frame = (struct bytes){reader->pending.p + WA_FRAME_HEAD, n};
    reader->taken = WA_FRAME_HEAD + n;
    return 1;
}

int wa_frame_intro(struct wa_frame_reader *reader, struct bytes *in,
                   uint8_t prologue[WA_FRAME_PROLOGUE], struct err *err)
{
    size_t routing = 0;

    if (!gather(reader, in, WA_FRAME_PROLOGUE)) {
        return 0;
    }
    if (memcmp(reader->pending.p, routing_head, sizeof(routing_head)) == 0) {
        if (!gather(reader, in, ROUTING_HEAD)) {
            return 0;
        }
        routing = length_at(reader->pending.p + sizeof(routing_head));
        if (routing > WA_FRAME_ROUTING_MAX) {
            return err_set(err, ERR_LIMIT, "routing information of %zu bytes, at most %d", routing,
                           WA_FRAME_ROUTING_MAX);
        }
        routing += ROUTING_HEAD;
        if (!gather(reader, in, routing + WA_FRAME_PROLOGUE)) {
            return 0;
        }
    }
    if (memcmp(reader->pending.p + routing, wa_frame_prologue, WA_FRAME_PROLOGUE) != 0) {
        return err_set(err, ERR_INVALID, "not an intro with dictionary version %d",
                       WA_TOKENS_VERSION);
    }
    memcpy(prologue, reader->pending.p + routing, WA_FRAME_PROLOGUE);
    buf_done(&reader->pending);
    return 1;
}
