#include "sandbox/sandbox_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CAP = 16 };

static char removed; /* its address marks a slot whose key is gone */

static uint64_t hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

    for (; *key != '\0'; key++) {
        h = (h ^ (uint8_t)*key) * 0x100000001b3ULL;
    }
    return h ^ (h >> 32);
}

/* The slot of @key, or NULL. */
static struct sandbox_slot *find_slot(const struct sandbox_map *map, const char *key)
{
    if (map->cap == 0) {
        return NULL;
    }
    for (size_t i = (size_t)hash(key);; i++) {
        struct sandbox_slot *slot = &map->slots[i & (map->cap - 1)];

        if (slot->value == NULL) {
            return NULL;
        }
        if (slot->key != NULL && strcmp(slot->key, key) == 0) {
            return slot;
        }
    }
}

static void insert(struct sandbox_map *map, char *key, void *value)
{
    size_t i = (size_t)hash(key);

    while (map->slots[i & (map->cap - 1)].value != NULL) {
        i++;
    }
    map->slots[i & (map->cap - 1)] = (struct sandbox_slot){key, value};
    map->used++;
}

static void resize(struct sandbox_map *map)
{
    struct sandbox_map old = *map;

    map->cap = map->cap == 0 ? FIRST_CAP : map->cap;
    while (map->cap < 4 * (map->n + 1)) { /* a quarter full, half full before the next time */
        map->cap *= 2;
    }
    map->slots = mem_array0(map->cap, sizeof(*map->slots));
    map->used = 0;
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].key != NULL) {
            insert(map, old.slots[i].key, old.slots[i].value);
        }
    }
    free(old.slots);
}

void sandbox_map_done(struct sandbox_map *map)
{
    for (size_t i = 0; i < map->cap; i++) {
        free(map->slots[i].key);
    }
    free(map->slots);
    *map = (struct sandbox_map){0};
}

void sandbox_map_put(struct sandbox_map *map, const char *key, void *value)
{
    struct sandbox_slot *slot = find_slot(map, key);

    if (slot != NULL) {
        slot->value = value;
        return;
    }
    if (2 * (map->used + 1) > map->cap) {
        resize(map);
    }
    insert(map, mem_strdup(key), value);
    map->n++;
}

void *sandbox_map_find(const struct sandbox_map *map, const char *key)
{
    const struct sandbox_slot *slot = find_slot(map, key);

    return slot == NULL ? NULL : slot->value;
}

void *sandbox_map_take(struct sandbox_map *map, const char *key)
{
    struct sandbox_slot *slot = find_slot(map, key);
    void *value = NULL;

    if (slot != NULL) {
        value = slot->value;
        free(slot->key);
        *slot = (struct sandbox_slot){NULL, &removed};
        map->n--;
    }
    return value;
}

void *sandbox_map_next(const struct sandbox_map *map, size_t *at)
{
    while (*at < map->cap) {
        const struct sandbox_slot *slot = &map->slots[(*at)++];

        if (slot->key != NULL) {
            return slot->value;
        }
    }
    return NULL;
}
