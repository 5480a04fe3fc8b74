#include "bus/bus_tester.h"

#include <string.h>

#include "bus/bus_schema.h"
#include "testkit/testkit.h"

struct maker {
    struct arena *arena;
    struct testkit_random *random;
};

static void fill(const struct maker *maker, const struct record_type *type, void *record, int kind);

static const char *some_text(const struct maker *maker)
{
    static const char *const texts[] = {"", "a", "Halo Büdi", "語", "😀 emoji", "line\nline"};

    return arena_printf(maker->arena, "%s%u", texts[testkit_below(maker->random, 6)],
                        testkit_below(maker->random, 1000));
}

static void fill_list(const struct maker *maker, const struct record_field *field, void *at)
{
    struct bus_list list = {.n = testkit_below(maker->random, 4)};

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

static void fill_number(const struct maker *maker, const struct record_field *field, void *record)
{
    int64_t wide = (int64_t)(testkit_next(maker->random) >> 23); /* may be a time of this century */
    int32_t narrow = (int32_t)wide;
    bool flag = (wide & 1) != 0;
    bool has = true;
    void *at = bus_member(record, field->offset);

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

void *bus_any_record(enum topic topic, struct arena *arena, uint64_t seed, int kind)
{
    struct testkit_random random = {seed};
    struct maker maker = {arena, &random};
    void *record = arena_new0(arena, topics[topic].type->size);

    fill(&maker, topics[topic].type, record, kind);
    return record;
}
