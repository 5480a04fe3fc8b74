/* What waits for a device: first in, first out, until it is acked. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_internal.h"

static const char *const queued_classes[] = {"message", "receipt", "notification"};

static const char *class_of(const struct wa_node *stanza)
{
    for (size_t i = 0; i < sizeof(queued_classes) / sizeof(queued_classes[0]); i++) {
        if (wa_node_is(stanza, queued_classes[i])) {
            return queued_classes[i];
        }
    }
    return NULL;
}

static void free_queued(struct sandbox_queued *entry)
{
    buf_done(&entry->packed);
    free(entry->id);
    free(entry);
}

static void unlink_at(struct sandbox_device *device, struct sandbox_queued **at)
{
    struct sandbox_queued *gone = *at;

    *at = gone->next;
    if (gone->next == NULL) {
        device->queue.last = at;
    }
    device->queue.n--;
    device->account->world->totals.queued--;
    free_queued(gone);
}

void sandbox_queue_drop(struct sandbox_device *device)
{
    while (device->queue.first != NULL) {
        unlink_at(device, &device->queue.first);
    }
}

/* ---- missing acks ---- */

static void watch(struct sandbox_device *device);

static void on_overdue(void *ctx)
{
    struct sandbox_device *device = ctx;
    struct sandbox_world *world = device->account->world;

    for (struct sandbox_queued *entry = device->queue.first; entry != NULL; entry = entry->next) {
        if (device->conn != NULL && entry->conn == device->conn->serial && !entry->was_told &&
            entry->sent_ms + world->options.ack_grace_ms <= world->now_ms) {
            entry->was_told = true;
            sandbox_violate_device(device, SANDBOX_VIOLATION_MISSING_ACK, "%s %s", entry->class,
                                   entry->id);
        }
    }
    watch(device);
}

/* Wake up when the ack of the oldest one that went out is overdue. */
static void watch(struct sandbox_device *device)
{
    struct sandbox_world *world = device->account->world;

    if (device->conn == NULL || device->queue.overdue.place != 0) {
        return;
    }
    for (struct sandbox_queued *entry = device->queue.first; entry != NULL; entry = entry->next) {
        if (entry->conn == device->conn->serial && !entry->was_told) {
            sandbox_agenda_put(&world->agenda, &device->queue.overdue,
                               entry->sent_ms + world->options.ack_grace_ms, on_overdue, device);
            return;
        }
    }
}

/* ---- routing ---- */

static struct sandbox_queued *enqueue(struct sandbox_device *device, const char *class,
                                      const struct wa_node *stanza)
{
    struct sandbox_queued *entry = mem_new0(sizeof(*entry));
    const char *id = wa_node_attr(stanza, "id");

    if (device->queue.n == SANDBOX_QUEUE_MAX) {
        device->account->world->totals.dropped++;
        unlink_at(device, &device->queue.first);
    }
    if (wa_node_encode(stanza, &entry->packed, NULL) < 0) {
        abort(); /* made here, of what was decoded here: it fits */
    }
    entry->class = class;
    entry->id = mem_strdup(id == NULL ? "" : id);
    if (!wa_node_attr_jid(stanza, "from", &entry->from)) {
        entry->from = wa_jid_of_server(WA_SERVER_PN);
    }
    *device->queue.last = entry;
    device->queue.last = &entry->next;
    device->queue.n++;
    device->account->world->totals.queued++;
    return entry;
}

static void send_queued(struct sandbox_device *device, struct sandbox_queued *entry,
                        const struct wa_node *stanza)
{
    entry->conn = device->conn->serial;
    entry->sent_ms = device->account->world->now_ms;
    sandbox_conn_send(device->conn, stanza);
    watch(device);
}

void sandbox_route(struct sandbox_device *device, const struct wa_node *stanza)
{
    const char *class = class_of(stanza);
    bool is_there = device->number == 0 ? !device->account->is_offline
                                        : device->conn != NULL && device->is_active;
    struct sandbox_queued *entry;

    if (device->number == 0 && is_there) {
        sandbox_phone_take(device->account, stanza);
    } else if (class != NULL) {
        entry = enqueue(device, class, stanza);
        if (is_there) {
            send_queued(device, entry, stanza);
        }
    } else if (is_there) {
        sandbox_conn_send(device->conn, stanza);
    }
}

/* ---- acks ---- */

/* Do both name one person, whichever form they use? */
static bool same_person(const struct sandbox_world *world, const struct wa_jid *a,
                        const struct wa_jid *b)
{
    const struct sandbox_account *account = sandbox_account_of(world, a);

    return wa_jid_same_user(a, b) || (account != NULL && account == sandbox_account_of(world, b));
}

/* Take off what has @class and @id, of @from where that is known. */
static void take_off(struct sandbox_device *device, const char *class, const char *id,
                     const struct wa_jid *from)
{
    for (struct sandbox_queued **at = &device->queue.first; *at != NULL; at = &(*at)->next) {
        if ((*at)->conn != 0 && strcmp((*at)->class, class) == 0 && strcmp((*at)->id, id) == 0 &&
            (wa_jid_is_none(from) || same_person(device->account->world, &(*at)->from, from))) {
            unlink_at(device, at);
            return;
        }
    }
}

void sandbox_queue_ack(struct sandbox_device *device, const struct wa_node *ack)
{
    const char *class = wa_node_attr(ack, "class");
    const char *id = wa_node_attr(ack, "id");
    struct wa_jid to = {0};

    if (class == NULL || id == NULL || !wa_node_attr_jid(ack, "to", &to)) {
        sandbox_violate_device(device, SANDBOX_VIOLATION_BAD_STANZA,
                               "an ack without class, id or to");
        return;
    }
    take_off(device, class, id, &to);
}

void sandbox_queue_receipt(struct sandbox_device *device, const struct wa_node *receipt)
{
    struct wa_jid none = {0};
    const char *id = wa_node_attr(receipt, "id");

    if (id == NULL || wa_node_attr_is(receipt, "type", "retry")) {
        return;
    }
    /* Of several forms in use for `to`, some name the chat, some nobody: the id has to do. */
    take_off(device, "message", id, &none);
    WA_NODE_EACH(item, wa_node_find(receipt, "list"))
    {
        const char *more = wa_node_attr(item, "id");

        if (more != NULL) {
            take_off(device, "message", more, &none);
        }
    }
}

/* ---- after a time away ---- */

static void drain_phone(struct sandbox_account *account)
{
    struct sandbox_device *device = &account->phone_device;

    while (device->queue.first != NULL) {
        struct sandbox_queued *entry = device->queue.first;
        struct wa_node *stanza = NULL;

        if (wa_node_decode(buf_bytes(&entry->packed), &account->world->arena, &stanza, NULL) < 0) {
            abort(); /* encoded here */
        }
        stanza = wa_node_copy(&account->world->arena, stanza); /* it borrows from the entry */
        unlink_at(device, &device->queue.first);
        sandbox_phone_take(account, stanza);
    }
}

static void count_classes(const struct sandbox_queue *queue, struct wa_node *preview)
{
    size_t counts[3] = {0};

    for (const struct sandbox_queued *entry = queue->first; entry != NULL; entry = entry->next) {
        for (size_t i = 0; i < 3; i++) {
            counts[i] += entry->class == queued_classes[i] ? 1 : 0;
        }
    }
    wa_node_set_int(preview, "count", (int64_t)queue->n);
    for (size_t i = 0; i < 3; i++) {
        wa_node_set_int(preview, queued_classes[i], (int64_t)counts[i]);
    }
    wa_node_set_int(preview, "appdata", 0);
}

static void send_ib(struct sandbox_device *device, struct wa_node *ib)
{
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);

    wa_node_set_jid(ib, "from", &server);
    sandbox_conn_send(device->conn, ib);
}

static void drain_companion(struct sandbox_device *device)
{
    struct arena *arena = &device->account->world->arena;
    struct wa_node *ib = wa_node_new(arena, "ib");
    size_t n = 0;

    count_classes(&device->queue, wa_node_child(ib, "offline_preview"));
    send_ib(device, ib);
    for (struct sandbox_queued *entry = device->queue.first; entry != NULL; entry = entry->next) {
        struct wa_node *stanza = NULL;

        if (wa_node_decode(buf_bytes(&entry->packed), arena, &stanza, NULL) < 0) {
            abort(); /* encoded here */
        }
        wa_node_set_int(stanza, "offline", (int64_t)n++);
        entry->was_told = false;
        send_queued(device, entry, stanza);
    }
    ib = wa_node_new(arena, "ib");
    wa_node_set_int(wa_node_child(ib, "offline"), "count", (int64_t)n);
    send_ib(device, ib);
}

void sandbox_queue_drain(struct sandbox_device *device)
{
    if (device->number == 0) {
        drain_phone(device->account);
    } else {
        drain_companion(device);
    }
}
