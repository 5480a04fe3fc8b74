/* sandbox_map: text keys to pointers. All-zero is an empty one. */
#ifndef SANDBOX_SANDBOX_MAP_H
#define SANDBOX_SANDBOX_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sandbox_slot {
    char *key; /* owned; NULL: free, or left by a removed one when @value is not NULL */
    void *value;
};

struct sandbox_map {
    struct sandbox_slot *slots;
    size_t cap;  /* a power of two, or 0 */
    size_t n;    /* keys */
    size_t used; /* keys and what removed ones left */
};

void sandbox_map_done(struct sandbox_map *map); /* values are the caller's */

/* Set or replace. @value is not NULL; @key is copied. */
void sandbox_map_put(struct sandbox_map *map, const char *key, void *value);
void *sandbox_map_find(const struct sandbox_map *map, const char *key); /* NULL: none */
void *sandbox_map_take(struct sandbox_map *map, const char *key);       /* and remove */

/* Every value, in no order: start with *@at 0. NULL after the last. The map must not change. */
void *sandbox_map_next(const struct sandbox_map *map, size_t *at);

#endif
