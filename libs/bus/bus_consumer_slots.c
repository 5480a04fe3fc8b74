#include <stdlib.h>

#include "base/mem.h"
#include "bus/bus_consumer_internal.h"
#include "bus/bus_key.h"

enum { SLOT_BYTES_MAX = 1 << 20 }; /* of unread records of a paused partition, and one record */

struct bus_slot *bus_slot_find(const struct bus_consumer *consumer, enum topic topic,
                               int32_t number)
{
    for (size_t i = 0; i < consumer->n_slots; i++) {
        if (consumer->slots[i].topic == topic && consumer->slots[i].number == number) {
            return &consumer->slots[i];
        }
    }
    return NULL;
}

void bus_slot_add(struct bus_slot *slot, struct bus_record_box *box)
{
    if (slot->last == NULL) {
        slot->first = box;
    } else {
        slot->last->next = box;
    }
    slot->last = box;
    slot->n++;
    slot->bytes += box->record.value.n;
}

struct bus_record_box *bus_slot_take(struct bus_slot *slot)
{
    struct bus_record_box *box = slot->first;

    slot->first = box->next;
    if (slot->first == NULL) {
        slot->last = NULL;
    }
    slot->n--;
    slot->bytes -= box->record.value.n;
    box->next = NULL;
    return box;
}

static rd_kafka_topic_partition_list_t *list_of_slot(const struct bus_slot *slot)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    (void)rd_kafka_topic_partition_list_add(list, bus_topic_name(slot->topic), slot->number);
    return list;
}

static void unchoke(struct bus_consumer *consumer, struct bus_slot *slot)
{
    rd_kafka_topic_partition_list_t *list;

    if (slot->is_choked) { /* resuming one that is not paused would read records twice */
        list = list_of_slot(slot);
        (void)rd_kafka_resume_partitions(consumer->client, list);
        rd_kafka_topic_partition_list_destroy(list);
        slot->is_choked = false;
    }
}

void bus_slot_choke(struct bus_consumer *consumer, struct bus_slot *slot)
{
    rd_kafka_topic_partition_list_t *list;

    if (slot->is_paused && !slot->is_choked &&
        (slot->n > consumer->prefetch || slot->bytes > SLOT_BYTES_MAX)) {
        list = list_of_slot(slot);
        (void)rd_kafka_pause_partitions(consumer->client, list);
        rd_kafka_topic_partition_list_destroy(list);
        slot->is_choked = true;
    } else if (!slot->is_paused && slot->n <= consumer->prefetch / 2 &&
               slot->bytes <= SLOT_BYTES_MAX / 2) {
        unchoke(consumer, slot);
    }
}

void bus_slots_drop(struct bus_consumer *consumer)
{
    for (size_t i = 0; i < consumer->n_slots; i++) {
        while (consumer->slots[i].first != NULL) {
            free(bus_slot_take(&consumer->slots[i]));
        }
        unchoke(consumer, &consumer->slots[i]);
    }
    free(consumer->slots);
    consumer->slots = NULL;
    consumer->n_slots = 0;
    consumer->generation++;
}

void bus_slots_set(struct bus_consumer *consumer, const struct bus_partition *partitions, size_t n)
{
    bus_slots_drop(consumer);
    consumer->slots = mem_array0(n + 1, sizeof(*consumer->slots));
    consumer->n_slots = n;
    for (size_t i = 0; i < n; i++) {
        consumer->slots[i].topic = partitions[i].topic;
        consumer->slots[i].number = partitions[i].number;
        consumer->slots[i].next_offset = partitions[i].offset;
    }
}
