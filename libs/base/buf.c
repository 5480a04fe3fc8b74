#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 64 };

void buf_done(struct buf *buf)
{
    free(buf->p);
    *buf = (struct buf){0};
}

void buf_wipe(struct buf *buf)
{
    if (buf->p != NULL) {
        mem_wipe(buf->p, buf->cap);
    }
    buf_done(buf);
}

void buf_clear(struct buf *buf)
{
    buf->n = 0;
}

uint8_t *buf_room(struct buf *buf, size_t n)
{
    if (buf->p == NULL || buf->cap - buf->n < n) {
        size_t cap = buf->cap < BUF_FIRST ? BUF_FIRST : buf->cap;

        while (cap - buf->n < n) {
            cap *= 2;
        }
        buf->p = mem_grow(buf->p, cap, 1);
        buf->cap = cap;
    }
    return buf->p + buf->n;
}

void buf_used(struct buf *buf, size_t n)
{
    assert(n <= buf->cap - buf->n);
    buf->n += n;
}

void buf_add(struct buf *buf, const void *p, size_t n)
{
    if (n > 0) {
        memcpy(buf_room(buf, n), p, n);
        buf->n += n;
    }
}

void buf_add_u8(struct buf *buf, uint8_t v)
{
    *buf_room(buf, 1) = v;
    buf->n += 1;
}

void buf_add_be(struct buf *buf, uint64_t v, unsigned width)
{
    assert(width >= 1 && width <= 8);
    for (unsigned i = width; i > 0; i--) {
        buf_add_u8(buf, (uint8_t)(v >> (8 * (i - 1))));
    }
}

void buf_add_str(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_addf(struct buf *buf, const char *fmt, ...)
{
    va_list ap;
    va_list again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    (void)vsnprintf((char *)buf_room(buf, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    buf->n += (size_t)n;
}

void buf_drop_front(struct buf *buf, size_t n)
{
    assert(n <= buf->n);
    if (n > 0) {
        memmove(buf->p, buf->p + n, buf->n - n);
        buf->n -= n;
    }
}

const char *buf_text(struct buf *buf)
{
    *buf_room(buf, 1) = 0;
    return (const char *)buf->p;
}

struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){buf->p, buf->n};
}
