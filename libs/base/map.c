#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/mem.h"

/* uthash's hash falls through its cases without saying so. */
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"

struct map_entry {
    UT_hash_handle hh;
    const char *key;
    void *value;
};

/* NOLINTBEGIN: uthash is made of macros that are long and do their own arithmetic */

static struct map_entry *find(const struct map *map, const char *key)
{
    struct map_entry *entry = NULL;

    HASH_FIND(hh, map->entries, key, strlen(key), entry);
    return entry;
}

void map_put(struct map *map, const char *key, void *value)
{
    struct map_entry *entry = mem_new0(sizeof(*entry));

    assert(find(map, key) == NULL);
    entry->key = key;
    entry->value = value;
    HASH_ADD_KEYPTR(hh, map->entries, key, strlen(key), entry);
}

void map_drop(struct map *map, const char *key)
{
    struct map_entry *entry = find(map, key);

    if (entry != NULL) {
        HASH_DEL(map->entries, entry);
        free(entry);
    }
}

size_t map_count(const struct map *map)
{
    return HASH_COUNT(map->entries);
}

/* NOLINTEND */

void *map_get(const struct map *map, const char *key)
{
    const struct map_entry *entry = find(map, key);

    return entry == NULL ? NULL : entry->value;
}

struct map_entry *map_first(const struct map *map)
{
    return map->entries;
}

struct map_entry *map_next(const struct map_entry *at)
{
    return at->hh.next;
}

void *map_value(const struct map_entry *at)
{
    return at->value;
}
