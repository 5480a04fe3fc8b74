#include <stdlib.h>
#include <string.h>

#include "bus/bus_codec.h"
#include "ledger/ledger_internal.h"
#include "ledger/ledger_position.h"

enum { SLOT_BYTES_MAX = 1 << 20, TURN_BYTES_MAX = 4 << 20 };

static enum topic topic_of(const struct ledger *ledger, const struct ledger_slot *slot)
{
    return ledger->inputs[slot->input].topic;
}

static bool is_full(const struct ledger *ledger, const struct ledger_slot *slot)
{
    return slot->n >= ledger->config.buffer_records_max || slot->bytes >= SLOT_BYTES_MAX;
}

void ledger_input_resume(struct ledger *ledger, struct ledger_slot *slot)
{
    if (slot->is_paused && slot->n <= ledger->config.buffer_records_max / 2 &&
        slot->bytes <= SLOT_BYTES_MAX / 2) {
        slot->is_paused = false;
        bus_consumer_resume(ledger->consumer, topic_of(ledger, slot), slot->partition);
    }
}

static struct ledger_box *take_first(struct ledger_slot *slot)
{
    struct ledger_box *box = slot->first;

    slot->first = box->next;
    if (slot->first == NULL) {
        slot->last = NULL;
    }
    slot->n--;
    slot->bytes -= box->raw->value.n;
    box->next = NULL;
    return box;
}

static void free_box(struct ledger_box *box)
{
    bus_record_free(&box->raw);
    free(box);
}

void ledger_input_add(struct ledger *ledger, struct bus_record *record)
{
    struct ledger_slot *slot = NULL;
    struct ledger_box *box;

    for (size_t i = 0; i < ledger->n_inputs; i++) {
        if (ledger->inputs[i].topic == record->topic && record->partition < LEDGER_PARTITIONS) {
            slot = &ledger->slots[i][record->partition];
        }
    }
    if (slot == NULL || !ledger->parts[record->partition].is_assigned ||
        ledger->parts[record->partition].phase == LEDGER_FENCED) {
        bus_record_free(&record);
        return;
    }
    box = mem_new0(sizeof(*box));
    box->raw = record;
    box->life = slot->life;
    if (slot->last != NULL) {
        slot->last->next = box;
    } else {
        slot->first = box;
    }
    slot->last = box;
    slot->n++;
    slot->bytes += record->value.n;
    slot->is_stuck = false; /* perhaps this one tells what the unreadable one is */
    if (is_full(ledger, slot) && !slot->is_paused) {
        slot->is_paused = true;
        bus_consumer_pause(ledger->consumer, record->topic, record->partition);
    }
    ledger->has_news = true;
    ledger_kick(ledger);
}

void ledger_input_put_back(struct ledger *ledger, struct ledger_slot *slot, struct ledger_box *box)
{
    if (box->life != slot->life || !ledger->parts[slot->partition].is_assigned ||
        ledger->parts[slot->partition].phase == LEDGER_FENCED) {
        free_box(box);
        return;
    }
    box->next = slot->first;
    slot->first = box;
    if (slot->last == NULL) {
        slot->last = box;
    }
    slot->n++;
    slot->bytes += box->raw->value.n;
}

void ledger_input_drop_before(struct ledger *ledger, struct ledger_slot *slot, int64_t offset)
{
    while (slot->first != NULL && slot->first->raw->offset < offset) {
        free_box(take_first(slot));
    }
    ledger_input_resume(ledger, slot);
}

void ledger_input_drop(struct ledger *ledger, int partition)
{
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        struct ledger_slot *slot = &ledger->slots[i][partition];

        while (slot->first != NULL) {
            free_box(take_first(slot));
        }
        slot->life++;
        slot->is_paused = false; /* the consumer forgets too */
        slot->is_stuck = false;
        slot->waiting_since_ms = 0;
    }
}

static bool is_takable(const struct ledger *ledger, const struct ledger_slot *slot)
{
    return slot->first != NULL && !slot->is_stuck &&
           ledger->parts[slot->partition].phase == LEDGER_LIVE;
}

bool ledger_input_is_waiting(const struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            if (is_takable(ledger, &ledger->slots[i][p])) {
                return true;
            }
        }
    }
    return false;
}

void ledger_input_begin(const struct ledger *ledger, struct ledger_slot *slot)
{
    (void)ledger;
    slot->tx_offset = slot->next_offset;
    slot->tx_position = slot->last_position;
}

/* ---- taking records for a turn ---- */

static int64_t number_at(const void *data, int offset)
{
    int64_t v;

    memcpy(&v, (const char *)data + offset, sizeof(v));
    return v;
}

static const char *text_at(const void *data, int offset)
{
    const char *v;

    memcpy(&v, (const char *)data + offset, sizeof(v));
    return v;
}

/* Whether the event that follows @last waits behind the first records of @slot. */
static bool next_is_behind(struct ledger_tx *tx, const struct ledger_slot *slot, int64_t last)
{
    const struct ledger_kind *kind = &tx->ledger->inputs[slot->input];
    struct arena arena = {0};
    bool is_found = false;

    for (const struct ledger_box *box = slot->first; box != NULL && !is_found; box = box->next) {
        void *data = arena_new0(&arena, topics[kind->topic].type->size);

        is_found = bus_decode(kind->topic, box->raw->value, &arena, data, NULL) == 0 &&
                   ledger_place_of(last, number_at(data, kind->at.position),
                                   kind->begins_anywhere) == LEDGER_PLACE_NEXT;
        arena_reset(&arena);
    }
    arena_done(&arena);
    return is_found;
}

/* Read the record, and say what the turn does with it. @last: position applied before it. False: an
 * event of a schema that only newer builds know. It can neither be applied nor passed over, so its
 * partition of the topic stands still until a newer build runs here - unless the event that follows
 * @last comes behind it: then this one is none that the topic's writer numbered, but a stranger's.
 */
static bool read_entry(struct ledger_tx *tx, struct ledger_entry *entry, int64_t last)
{
    const struct ledger_kind *kind = &tx->ledger->inputs[entry->slot->input];
    const struct bus_record *raw = entry->box->raw;
    void *data = arena_new0(&tx->arena, topics[kind->topic].type->size);
    struct err err = {0};
    int rc;

    entry->record = (struct ledger_record){
        .topic = kind->topic,
        .partition = raw->partition,
        .offset = raw->offset,
        .timestamp_ms = raw->timestamp_ms,
        .data = data,
        .wire = raw->value,
    };
    rc = bus_decode(kind->topic, raw->value, &tx->arena, data, &err);
    if (rc == -ERR_NOT_FOUND && kind->at.position >= 0 && !next_is_behind(tx, entry->slot, last)) {
        return false;
    }
    if (rc < 0) {
        entry->kind = LEDGER_ENTRY_DEAD;
        entry->reason = arena_strdup(&tx->arena, err.text);
        return true;
    }
    if (kind->has_verdicts && strlen(text_at(data, kind->at.command_id)) > LEDGER_COMMAND_ID_MAX) {
        entry->kind = LEDGER_ENTRY_DEAD; /* no index has room for it */
        entry->reason = "command_id is too long";
        return true;
    }
    if (kind->has_verdicts) {
        entry->command_id = text_at(data, kind->at.command_id);
        entry->reply_to = text_at(data, kind->at.reply_to);
    }
    if (kind->at.position < 0) {
        return true;
    }
    entry->record.position = number_at(data, kind->at.position);
    entry->place = ledger_place_of(last, entry->record.position, kind->begins_anywhere);
    if (entry->place == LEDGER_PLACE_NONE) {
        entry->kind = LEDGER_ENTRY_DEAD;
        entry->reason = "an event without a position";
    } else if (entry->place != LEDGER_PLACE_NEXT) {
        entry->kind = LEDGER_ENTRY_SKIP;
    }
    return true;
}

/* The next slot after @at that has something for a turn; false when none has. */
static bool next_slot(const struct ledger *ledger, size_t *at)
{
    size_t total = ledger->n_inputs * LEDGER_PARTITIONS;

    for (size_t i = 1; i <= total; i++) {
        size_t k = (*at + i) % total;
        const struct ledger_slot *slot =
            &ledger->slots[k / LEDGER_PARTITIONS][k % LEDGER_PARTITIONS];

        if (is_takable(ledger, slot)) {
            *at = k;
            return true;
        }
    }
    return false;
}

void ledger_input_take(struct ledger_tx *tx, size_t max)
{
    struct ledger *ledger = tx->ledger;
    int64_t last[LEDGER_INPUTS_MAX][LEDGER_PARTITIONS];
    size_t bytes = 0;

    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            last[i][p] = ledger->slots[i][p].last_position;
        }
    }
    tx->entries = arena_array0(&tx->arena, max, sizeof(*tx->entries));
    while (tx->n_entries < max && bytes < TURN_BYTES_MAX &&
           next_slot(ledger, &ledger->first_slot)) {
        size_t at = ledger->first_slot;
        struct ledger_slot *slot = &ledger->slots[at / LEDGER_PARTITIONS][at % LEDGER_PARTITIONS];
        struct ledger_entry *entry = &tx->entries[tx->n_entries++];

        entry->slot = slot;
        entry->box = take_first(slot);
        bytes += entry->box->raw->value.n;
        if (!read_entry(tx, entry, last[slot->input][slot->partition])) {
            slot->is_stuck = true;
            if (slot->waiting_since_ms == 0) {
                slot->waiting_since_ms = loop_now_ms(ledger->loop);
            }
            ledger_input_put_back(ledger, slot, entry->box);
            tx->entries[--tx->n_entries] = (struct ledger_entry){0};
            continue;
        }
        if (entry->place == LEDGER_PLACE_NEXT && entry->kind == LEDGER_ENTRY_GIVE &&
            entry->record.position > 0) {
            last[slot->input][slot->partition] = entry->record.position;
        }
    }
}

void ledger_input_tell_kafka(struct ledger *ledger)
{
    struct bus_partition told[LEDGER_INPUTS_MAX * LEDGER_PARTITIONS];
    size_t n = 0;

    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            struct ledger_slot *slot = &ledger->slots[i][p];

            if (ledger->parts[p].phase == LEDGER_LIVE && slot->next_offset > slot->told_offset) {
                told[n++] = (struct bus_partition){ledger->inputs[i].topic, p, slot->next_offset};
                slot->told_offset = slot->next_offset;
            }
        }
    }
    if (n > 0) {
        bus_consumer_commit(ledger->consumer, told, n);
    }
}
