#include "sandbox/sandbox_agenda.h"

#include <stdlib.h>

#include "base/mem.h"

static bool before(const struct sandbox_due *a, const struct sandbox_due *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void put(struct sandbox_agenda *agenda, size_t at, struct sandbox_due *due)
{
    agenda->heap[at] = due;
    due->place = at + 1;
}

static void sift_up(struct sandbox_agenda *agenda, size_t at)
{
    struct sandbox_due *due = agenda->heap[at];

    while (at > 0 && before(due, agenda->heap[(at - 1) / 2])) {
        put(agenda, at, agenda->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(agenda, at, due);
}

static void sift_down(struct sandbox_agenda *agenda, size_t at)
{
    struct sandbox_due *due = agenda->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < agenda->n && before(agenda->heap[child + 1], agenda->heap[child])) {
            child++;
        }
        if (child >= agenda->n || !before(agenda->heap[child], due)) {
            break;
        }
        put(agenda, at, agenda->heap[child]);
        at = child;
    }
    put(agenda, at, due);
}

void sandbox_agenda_done(struct sandbox_agenda *agenda)
{
    for (size_t i = 0; i < agenda->n; i++) {
        agenda->heap[i]->place = 0;
    }
    free(agenda->heap);
    *agenda = (struct sandbox_agenda){0};
}

void sandbox_agenda_drop(struct sandbox_agenda *agenda, struct sandbox_due *due)
{
    struct sandbox_due *last;
    size_t at = due->place;

    if (at == 0) {
        return;
    }
    due->place = 0;
    last = agenda->heap[--agenda->n];
    if (last != due) {
        put(agenda, at - 1, last);
        sift_down(agenda, at - 1);
        sift_up(agenda, last->place - 1);
    }
}

void sandbox_agenda_put(struct sandbox_agenda *agenda, struct sandbox_due *due, int64_t at_ms,
                        sandbox_due_cb *fn, void *ctx)
{
    sandbox_agenda_drop(agenda, due);
    agenda->heap = mem_room(agenda->heap, agenda->n, &agenda->cap, sizeof(struct sandbox_due *));
    *due = (struct sandbox_due){.at_ms = at_ms, .order = agenda->order++, .fn = fn, .ctx = ctx};
    put(agenda, agenda->n++, due);
    sift_up(agenda, due->place - 1);
}

int64_t sandbox_agenda_next_ms(const struct sandbox_agenda *agenda)
{
    return agenda->n == 0 ? INT64_MAX : agenda->heap[0]->at_ms;
}

struct sandbox_due *sandbox_agenda_take(struct sandbox_agenda *agenda, int64_t now_ms)
{
    struct sandbox_due *due = agenda->n == 0 ? NULL : agenda->heap[0];

    if (due == NULL || due->at_ms > now_ms) {
        return NULL;
    }
    sandbox_agenda_drop(agenda, due);
    return due;
}
