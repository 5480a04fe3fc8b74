/* mem: allocation that cannot fail (out of memory ends the process). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* A borrowed run of bytes; @p may be NULL when @n is 0. */
struct bytes {
    const uint8_t *p;
    size_t n;
};

void *mem_new0(size_t size);                 /* zeroed; give back with free */
void *mem_array0(size_t count, size_t size); /* zeroed; a product that overflows ends the process */
void *mem_grow(void *p, size_t count, size_t size); /* as reallocarray; takes @p */

/* The array @p of @n things of @size, with room for one more: as it is, or moved, with *@cap doubled.
 * {NULL, 0, 0} is an empty one. Takes @p. */
void *mem_room(void *p, size_t n, size_t *cap, size_t size);

void *mem_dup(const void *p, size_t n);        /* a copy; NULL for @n 0 */
char *mem_strdup(const char *text);            /* a copy; NULL for NULL */
char *mem_strndup(const char *text, size_t n); /* the first @n bytes, NUL added */

/* Overwrite @n bytes so that the compiler cannot leave it out: for keys. */
void mem_wipe(void *p, size_t n);

/* Pages that a burst of work left free go to the system. Walks the whole heap: milliseconds. */
void mem_give_back(void);

#endif
