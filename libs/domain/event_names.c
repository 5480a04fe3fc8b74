#include "domain/event_names.h"

#include <assert.h>
#include <string.h>

static const char *const names_of[EVENT_NAME_COUNT] = {
#define EVENT_NAME_TEXT(name, text) text,
    EVENT_NAMES_LIST(EVENT_NAME_TEXT)
#undef EVENT_NAME_TEXT
};

const char *event_name_text(enum event_name name)
{
    assert((unsigned)name < EVENT_NAME_COUNT);
    return names_of[name];
}

uint32_t event_names_set(const struct record_strings *names)
{
    uint32_t set = 0;

    for (size_t i = 0; i < names->n; i++) {
        for (unsigned bit = 0; bit < EVENT_NAME_COUNT; bit++) {
            set |= strcmp(names->at[i], names_of[bit]) == 0 ? UINT32_C(1) << bit : 0;
        }
    }
    return set;
}

size_t event_names_list(uint32_t set, const char *out[EVENT_NAME_COUNT])
{
    size_t n = 0;

    for (unsigned bit = 0; bit < EVENT_NAME_COUNT; bit++) {
        if ((set & (UINT32_C(1) << bit)) != 0) {
            out[n++] = names_of[bit];
        }
    }
    return n;
}

bool event_names_want(uint32_t set, enum event_name name)
{
    uint32_t wanted = UINT32_C(1) << name;

    if (name == EVENT_NAME_MESSAGE) {
        wanted |= UINT32_C(1) << EVENT_NAME_ALL;
    }
    return (set & wanted) != 0;
}
