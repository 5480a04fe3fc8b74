#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/pg_internal.h"

static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (; *text != '\0'; text++) {
        h = (h ^ (uint8_t)*text) * 16777619U;
    }
    return h;
}

struct pg_prepared_text *pg_prepared_get(struct pg_prepared *prepared, const char *text)
{
    uint32_t at = hash(text) % PG_PREPARED_SLOTS;

    if (prepared->slots == NULL) {
        prepared->slots = mem_array0(PG_PREPARED_SLOTS, sizeof(*prepared->slots));
    }
    for (;;) {
        struct pg_prepared_text *slot = &prepared->slots[at];

        if (slot->text == NULL) {
            break;
        }
        if (strcmp(slot->text, text) == 0) {
            return slot;
        }
        at = (at + 1) % PG_PREPARED_SLOTS;
    }
    if (prepared->n >= PG_PREPARED_MAX) {
        return NULL;
    }
    prepared->slots[at].text = mem_strdup(text);
    prepared->slots[at].number = prepared->n++;
    return &prepared->slots[at];
}

void pg_prepared_unsent(struct pg_prepared *prepared)
{
    for (uint32_t i = 0; prepared->has_sent && i < PG_PREPARED_SLOTS; i++) {
        prepared->slots[i].is_sent = false;
    }
    prepared->has_sent = false;
}

void pg_prepared_done(struct pg_prepared *prepared)
{
    for (uint32_t i = 0; prepared->slots != NULL && i < PG_PREPARED_SLOTS; i++) {
        free(prepared->slots[i].text);
    }
    free(prepared->slots);
    *prepared = (struct pg_prepared){0};
}

const char *pg_prepared_name(const struct pg_prepared_text *entry, char out[PG_PREPARED_NAME_MAX])
{
    (void)snprintf(out, PG_PREPARED_NAME_MAX, "s%u", entry->number);
    return out;
}
