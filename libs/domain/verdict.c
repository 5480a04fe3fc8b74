#include "domain/verdict.h"

#include <assert.h>
#include <stddef.h>

#define VERDICT_COUNT (sizeof(codes) / sizeof(codes[0]))

static const char *const codes[] = {
#define VERDICT_CODE(name, code, text) code,
    VERDICT_LIST(VERDICT_CODE)
#undef VERDICT_CODE
};

static const char *const texts[] = {
#define VERDICT_TEXT(name, code, text) text,
    VERDICT_LIST(VERDICT_TEXT)
#undef VERDICT_TEXT
};

const char *verdict_code(enum verdict verdict)
{
    assert((size_t)verdict < VERDICT_COUNT);
    return codes[verdict];
}

bool verdict_is_final(enum verdict verdict)
{
    return verdict != VERDICT_EXPIRED && verdict != VERDICT_LIMIT;
}

const char *verdict_text(enum verdict verdict)
{
    assert((size_t)verdict < VERDICT_COUNT);
    return texts[verdict];
}
