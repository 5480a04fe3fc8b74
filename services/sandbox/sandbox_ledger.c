#include "sandbox/sandbox_ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { KEY_MAX = 160 };

static char present; /* a value for by_id, which only tells that a key is there */

void sandbox_ledger_done(struct sandbox_ledger *ledger)
{
    for (size_t i = 0; i < ledger->n; i++) {
        free(ledger->entries[i]->text);
        free(ledger->entries[i]);
    }
    free(ledger->entries);
    sandbox_map_done(&ledger->by_key);
    sandbox_map_done(&ledger->by_id);
    free(ledger->violations);
    *ledger = (struct sandbox_ledger){0};
}

void sandbox_ledger_clear(struct sandbox_ledger *ledger)
{
    sandbox_ledger_done(ledger);
}

struct sandbox_entry *sandbox_ledger_entry(struct sandbox_ledger *ledger,
                                           const struct sandbox_entry *like)
{
    char key[KEY_MAX];
    struct sandbox_entry *entry;

    (void)snprintf(key, sizeof(key), "%s.%u/%s/%s", like->by, (unsigned)like->device, like->from,
                   like->id);
    entry = sandbox_map_find(&ledger->by_key, key);
    if (entry != NULL) {
        return entry;
    }
    if (ledger->n == SANDBOX_LEDGER_ENTRIES_MAX) {
        ledger->not_kept++;
        return NULL;
    }
    ledger->entries =
        mem_room(ledger->entries, ledger->n, &ledger->cap, sizeof(struct sandbox_entry *));
    entry = mem_new0(sizeof(*entry));
    *entry = *like;
    ledger->entries[ledger->n++] = entry;
    sandbox_map_put(&ledger->by_key, key, entry);
    return entry;
}

bool sandbox_ledger_decrypted(struct sandbox_ledger *ledger, struct sandbox_entry *entry,
                              const char *text, int64_t at_ms)
{
    char key[KEY_MAX];

    entry->decrypted++;
    if (entry->from_device == 0) {
        ledger->from_phones++;
    } else if (entry->is_own_copy) {
        ledger->own_copies++;
    } else {
        ledger->decrypted++;
    }
    if (entry->decrypted > 1) {
        ledger->duplicates++;
        return false;
    }
    entry->first_ms = at_ms;
    if (text != NULL) {
        entry->text = mem_strndup(text, strnlen(text, SANDBOX_LEDGER_TEXT_MAX));
    }
    if (!entry->is_own_copy && entry->from_device != 0) {
        (void)snprintf(key, sizeof(key), "%s/%s", entry->from, entry->id);
        sandbox_map_put(&ledger->by_id, key, &present);
    }
    return true;
}

size_t sandbox_ledger_distinct(const struct sandbox_ledger *ledger)
{
    return ledger->by_id.n;
}

void sandbox_ledger_violation(struct sandbox_ledger *ledger,
                              const struct sandbox_violation_record *record)
{
    struct sandbox_violation_record *kept;

    if (ledger->violations == NULL) {
        ledger->violations = mem_array0(SANDBOX_VIOLATIONS_KEPT, sizeof(*ledger->violations));
    }
    kept = &ledger->violations[ledger->n_violations % SANDBOX_VIOLATIONS_KEPT];
    *kept = *record;
    kept->serial = ++ledger->n_violations;
    ledger->by_reason[record->what]++;
}

const struct sandbox_violation_record *sandbox_ledger_last(const struct sandbox_ledger *ledger,
                                                           uint64_t back)
{
    if (back >= ledger->n_violations || back >= SANDBOX_VIOLATIONS_KEPT) {
        return NULL;
    }
    return &ledger->violations[(ledger->n_violations - 1 - back) % SANDBOX_VIOLATIONS_KEPT];
}

static const struct {
    const char *name;
    const char *text;
} violations[] = {
#define SANDBOX_VIOLATION_ROW(upper, name, text) {name, text},
    SANDBOX_VIOLATION_LIST(SANDBOX_VIOLATION_ROW)
#undef SANDBOX_VIOLATION_ROW
};

const char *sandbox_violation_name(enum sandbox_violation what)
{
    return violations[what].name;
}

const char *sandbox_violation_text(enum sandbox_violation what)
{
    return violations[what].text;
}
