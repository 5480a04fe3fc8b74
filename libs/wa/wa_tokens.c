#include "wa/wa_tokens.h"

#include <string.h>

#include "wa/wa_tokens_table.inc"

_Static_assert(TOKENS_SINGLE + WA_TOKENS_DICTIONARIES * TOKENS_DICTIONARY == TOKENS_ALL, "");

bool wa_token_find(const char *text, struct wa_token *out)
{
    size_t low = 0;
    size_t high = TOKENS_ALL - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;
        unsigned at = tokens_sorted[middle];
        int order = strcmp(text, tokens[at]);

        if (order == 0) {
            unsigned in_dictionaries = at - TOKENS_SINGLE;

            *out = at < TOKENS_SINGLE
                       ? (struct wa_token){-1, (uint8_t)at}
                       : (struct wa_token){(int)(in_dictionaries / TOKENS_DICTIONARY),
                                           (uint8_t)(in_dictionaries % TOKENS_DICTIONARY)};
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

const char *wa_token_text(struct wa_token token)
{
    if (token.dictionary < 0) {
        return token.index == 0 || token.index >= TOKENS_SINGLE ? NULL : tokens[token.index];
    }
    if (token.dictionary >= WA_TOKENS_DICTIONARIES) {
        return NULL;
    }
    return tokens[TOKENS_SINGLE + token.dictionary * TOKENS_DICTIONARY + token.index];
}
