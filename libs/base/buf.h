/* buf: bytes that grow. All-zero is an empty one. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"

struct buf {
    uint8_t *p; /* owned; NULL while nothing was ever added */
    size_t n;   /* bytes in use */
    size_t cap;
};

void buf_done(struct buf *buf);  /* frees; leaves it empty and usable */
void buf_wipe(struct buf *buf);  /* buf_done, overwriting first */
void buf_clear(struct buf *buf); /* n = 0, memory kept */

void buf_add(struct buf *buf, const void *p, size_t n);
void buf_add_u8(struct buf *buf, uint8_t v);
void buf_add_be(struct buf *buf, uint64_t v, unsigned width); /* big endian, 1 to 8 bytes */
void buf_add_str(struct buf *buf, const char *text);          /* without the NUL */
void buf_addf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Room for @n more bytes; borrow it until the next call, then say buf_used. */
uint8_t *buf_room(struct buf *buf, size_t n);
void buf_used(struct buf *buf, size_t n);

void buf_drop_front(struct buf *buf, size_t n); /* forget the first @n bytes */
const char *buf_text(struct buf *buf);          /* NUL-terminated view; the NUL is not counted */
struct bytes buf_bytes(const struct buf *buf);  /* borrowed until the next change */

#endif
