#include "base/mem.h"

#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 16 };

static void *must(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

void *mem_new0(size_t size)
{
    return must(calloc(1, size == 0 ? 1 : size));
}

void *mem_array0(size_t count, size_t size)
{
    return must(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_grow(void *p, size_t count, size_t size)
{
    return must(reallocarray(p, count == 0 ? 1 : count, size));
}

void *mem_room(void *p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return p;
    }
    *cap = *cap == 0 ? ROOM_FIRST : *cap * 2;
    return mem_grow(p, *cap, size);
}

void *mem_dup(const void *p, size_t n)
{
    if (n == 0) {
        return NULL;
    }
    return memcpy(must(malloc(n)), p, n);
}

char *mem_strdup(const char *text)
{
    return text == NULL ? NULL : mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t n)
{
    char *copy = must(malloc(n + 1));

    if (n > 0) {
        memcpy(copy, text, n);
    }
    copy[n] = '\0';
    return copy;
}

void mem_wipe(void *p, size_t n)
{
    if (n > 0) {
        sodium_memzero(p, n);
    }
}

void mem_give_back(void)
{
    (void)malloc_trim(0);
}
