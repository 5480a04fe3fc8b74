/* wa_tokens: the strings that have a code of one or two bytes (dictionary version 3). */
#ifndef WA_WA_TOKENS_H
#define WA_WA_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { WA_TOKENS_VERSION = 3, WA_TOKENS_DICTIONARIES = 4 };

struct wa_token {
    int dictionary; /* -1: a code of one byte */
    uint8_t index;
};

/* Find the code of @text. False: it has none; @out untouched. */
NODISCARD bool wa_token_find(const char *text, struct wa_token *out);
/* The string of a code, for ever; NULL for a code that none has. */
const char *wa_token_text(struct wa_token token);

#endif
