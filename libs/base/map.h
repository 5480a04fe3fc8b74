/* map: values by text, kept in the order in which they were put. All-zero is an empty one.
 *
 *     for (struct map_entry *at = map_first(&map); at != NULL; at = next) {
 *         next = map_next(at); // the entry may be dropped by the body
 *         use(map_value(at));
 *     } */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>

struct map_entry;

struct map {
    struct map_entry *entries;
};

/* @key is borrowed until the entry is dropped (keep it inside @value); asserts that it is new. */
void map_put(struct map *map, const char *key, void *value);
void *map_get(const struct map *map, const char *key); /* NULL: none */
void map_drop(struct map *map, const char *key);       /* fine when there is none */
size_t map_count(const struct map *map);

struct map_entry *map_first(const struct map *map); /* the one put first; NULL: empty */
struct map_entry *map_next(const struct map_entry *at);
void *map_value(const struct map_entry *at);

#endif
