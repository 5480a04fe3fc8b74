/* arena: memory that is given back all at once. All-zero is an empty one. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/attr.h"
#include "base/mem.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out since the last reset */
};

void arena_done(struct arena *arena);  /* frees all; leaves it empty and usable */
void arena_reset(struct arena *arena); /* hands out nothing of the old any more; keeps one block */

void *arena_new0(struct arena *arena, size_t size); /* zeroed, aligned for any type */
void *arena_array0(struct arena *arena, size_t count, size_t size);
/* As mem_room, for an array in @arena; what it leaves behind stays there. */
void *arena_room(struct arena *arena, void *p, size_t n, size_t *cap, size_t size);
void *arena_dup(struct arena *arena, const void *p, size_t n); /* NULL for @n 0 */
struct bytes arena_bytes(struct arena *arena, struct bytes from);
char *arena_strdup(struct arena *arena, const char *text); /* NULL for NULL */
char *arena_strndup(struct arena *arena, const char *text, size_t n);
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
