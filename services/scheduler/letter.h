/* letter: one recipient's message as it will be handed over. Pure. */
#ifndef SCHEDULER_LETTER_H
#define SCHEDULER_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/records.h"

struct letter {
    struct letter *next;
    int32_t index;
    bool is_again;            /* it was handed over before and came back */
    unsigned blanks;          /* variables without a value, which became nothing */
    const char *reason;       /* why it is left out; NULL: it is not */
    const char *recipient;    /* digits, or a group's JID */
    const char *contact_name; /* may be NULL */
    const char *text;
    size_t bytes; /* of memory, about */
};

/* Give the letter of @recipient, number @index (letter_free). The recipient's own template goes
 * before @template. */
struct letter *letter_new(const struct recipient *recipient, const char *template, int32_t index);
void letter_free(struct letter **letter); /* sets *@letter to NULL; NULL is fine */

#endif
