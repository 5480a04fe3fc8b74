#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 4096, ROOM_FIRST = 16 };

struct arena_block {
    struct arena_block *next;
    size_t cap;
    size_t used;
    _Alignas(max_align_t) uint8_t data[];
};

static struct arena_block *block_new(size_t cap, struct arena_block *next)
{
    struct arena_block *block = mem_new0(sizeof(*block) + cap);

    block->next = next;
    block->cap = cap;
    return block;
}

void arena_done(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = arena->blocks;

    if (keep == NULL) {
        return;
    }
    arena->blocks = keep->next;
    arena_done(arena);
    memset(keep->data, 0, keep->used);
    keep->used = 0;
    keep->next = NULL;
    arena->blocks = keep;
}

void *arena_new0(struct arena *arena, size_t size)
{
    size_t step = _Alignof(max_align_t);
    struct arena_block *block = arena->blocks;

    if (size > SIZE_MAX / 2) {
        abort();
    }
    size = (size + step - 1) / step * step;
    if (block == NULL || block->cap - block->used < size) {
        block = block_new(size > ARENA_BLOCK ? size : ARENA_BLOCK, block);
        arena->blocks = block;
    }
    block->used += size;
    arena->used += size;
    return block->data + block->used - size;
}

void *arena_array0(struct arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 2 / size) {
        abort();
    }
    return arena_new0(arena, count * size);
}

void *arena_room(struct arena *arena, void *p, size_t n, size_t *cap, size_t size)
{
    void *more = p;

    if (n == *cap) {
        *cap = *cap == 0 ? ROOM_FIRST : *cap * 2;
        more = arena_array0(arena, *cap, size);
        if (n > 0) {
            memcpy(more, p, n * size);
        }
    }
    return more;
}

void *arena_dup(struct arena *arena, const void *p, size_t n)
{
    return n == 0 ? NULL : memcpy(arena_new0(arena, n), p, n);
}

struct bytes arena_bytes(struct arena *arena, struct bytes from)
{
    return (struct bytes){arena_dup(arena, from.p, from.n), from.n};
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_strndup(arena, text, strlen(text));
}

char *arena_strndup(struct arena *arena, const char *text, size_t n)
{
    char *copy = arena_new0(arena, n + 1);

    if (n > 0) {
        memcpy(copy, text, n);
    }
    return copy;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list ap;
    va_list again;
    char *text;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        abort();
    }
    text = arena_new0(arena, (size_t)n + 1);
    (void)vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
