#include "bus/bus_tester.h"

#include <string.h>

#include "bus/bus_codec.h"
#include "bus/bus_schema.h"
#include "testkit/testkit.h"

enum { LONG_LISTS_MAX = 2 };

struct maker {
    struct arena *arena;
    struct testkit_random *random;
    bool is_wild;
    unsigned *long_lists; /* made so far */
};

/* Now and then, of a wild record. */
static bool goes_wild(const struct maker *maker, uint32_t one_in)
{
    return maker->is_wild && testkit_below(maker->random, one_in) == 0;
}

static void fill(const struct maker *maker, const struct record_type *type, void *record, int kind);

static const char *some_text(const struct maker *maker)
{
    static const char *const texts[] = {"", "a", "Halo Büdi", "語", "😀 emoji", "line\nline"};

    if (goes_wild(maker, 64)) {
        return "\xff no UTF-8";
    }
    return arena_printf(maker->arena, "%s%u", texts[testkit_below(maker->random, 6)],
                        testkit_below(maker->random, 1000));
}

static void fill_list(const struct maker *maker, const struct record_field *field, void *at)
{
    struct bus_list list = {.n = testkit_below(maker->random, 4)};

    if (*maker->long_lists < LONG_LISTS_MAX &&
        goes_wild(maker, 8)) { /* alone it is fine, with what is in it or beside it too many */
        list.n = BUS_RECORD_ITEMS_MAX - testkit_below(maker->random, 4);
        (*maker->long_lists)++;
    }
    if (field->kind == RECORD_STRING_LIST) {
        const char **texts = arena_array0(maker->arena, list.n, sizeof(*texts));

        for (size_t i = 0; i < list.n; i++) {
            texts[i] = some_text(maker);
        }
        list.at = (void *)texts;
    } else if (field->kind == RECORD_STRING_MAP) {
        struct record_pair *pairs = arena_array0(maker->arena, list.n, sizeof(*pairs));

        for (size_t i = 0; i < list.n; i++) {
            pairs[i].name = arena_printf(maker->arena, "name %zu", i);
            pairs[i].value = some_text(maker);
        }
        list.at = pairs;
    } else {
        char *items = arena_array0(maker->arena, list.n, field->type->size);

        for (size_t i = 0; i < list.n; i++) {
            fill(maker, field->type, items + i * field->type->size, 0);
        }
        list.at = items;
    }
    memcpy(at, &list, sizeof(list));
}

static int64_t wild_number(const struct maker *maker, int64_t most)
{
    const int64_t numbers[] = {INT64_MIN, INT64_MAX, most, -most, most + 1, -most - 1};

    return numbers[testkit_below(maker->random, sizeof(numbers) / sizeof(numbers[0]))];
}

static void fill_number(const struct maker *maker, const struct record_field *field, void *record)
{
    int64_t wide = (int64_t)(testkit_next(maker->random) >> 23); /* may be a time of this century */
    bool flag = (wide & 1) != 0;
    bool has = true;
    void *at = bus_member(record, field->offset);
    int32_t narrow;

    wide = goes_wild(maker, 8) ? wild_number(maker, field->most) : wide;
    narrow = (int32_t)wide;
    if (field->nullable) {
        memcpy(bus_member(record, field->has_offset), &has, sizeof(has));
    }
    if (field->kind == RECORD_INT) {
        memcpy(at, &narrow, sizeof(narrow));
    } else if (field->kind == RECORD_LONG) {
        memcpy(at, &wide, sizeof(wide));
    } else {
        memcpy(at, &flag, sizeof(flag));
    }
}

static void fill_field(const struct maker *maker, const struct record_field *field, void *record)
{
    void *at = bus_member(record, field->offset);
    const void *p;
    void *inner;
    struct bytes bytes = {0};

    switch (field->kind) {
    case RECORD_STRING:
        p = some_text(maker);
        memcpy(at, (void *)&p, sizeof(p));
        break;
    case RECORD_BYTES:
        bytes.n = testkit_below(maker->random, 9);
        bytes.p = arena_new0(maker->arena, bytes.n + 1);
        memcpy(at, &bytes, sizeof(bytes));
        break;
    case RECORD_RECORD:
        inner = arena_new0(maker->arena, field->type->size);
        fill(maker, field->type, inner, 0);
        memcpy(at, (void *)&inner, sizeof(inner));
        break;
    case RECORD_INT:
    case RECORD_LONG:
    case RECORD_BOOL:
        fill_number(maker, field, record);
        break;
    default:
        fill_list(maker, field, at);
    }
}

/* Nullable members are null in one of three. */
static void fill(const struct maker *maker, const struct record_type *type, void *record, int kind)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        if (!type->fields[i].nullable || testkit_below(maker->random, 3) > 0) {
            fill_field(maker, &type->fields[i], record);
        }
    }
    if (kind > 0) {
        memcpy(bus_member(record, type->kind_offset), &kind, sizeof(kind));
        fill(maker, type->cases[kind - 1].type, bus_member(record, type->as_offset), 0);
    }
}

static void *make(enum topic topic, struct arena *arena, uint64_t seed, int kind, bool is_wild)
{
    struct testkit_random random = {seed};
    unsigned long_lists = 0;
    struct maker maker = {arena, &random, is_wild, &long_lists};
    void *record = arena_new0(arena, topics[topic].type->size);

    fill(&maker, topics[topic].type, record, kind);
    return record;
}

void *bus_any_record(enum topic topic, struct arena *arena, uint64_t seed, int kind)
{
    return make(topic, arena, seed, kind, false);
}

void *bus_wild_record(enum topic topic, struct arena *arena, uint64_t seed, int kind)
{
    return make(topic, arena, seed, kind, true);
}
