#include "wa/wa_usync.h"

#include <string.h>

#include "base/err.h"
#include "wa/wa_iq.h"
#include "wa/wa_optional.h"

enum { DIGITS_MIN = 5, DIGITS_MAX = 20 };

static const struct {
    const char *tag;
    enum wa_usync_protocol protocol;
} protocols[] = {
    {"contact", WA_USYNC_CONTACT},   {"devices", WA_USYNC_DEVICES},
    {"lid", WA_USYNC_LID},           {"business", WA_USYNC_BUSINESS},
    {"status", WA_USYNC_STATUS},     {"picture", WA_USYNC_PICTURE},
    {"username", WA_USYNC_USERNAME}, {"disappearing_mode", WA_USYNC_DISAPPEARING},
    {"bot", WA_USYNC_BOT},
};

enum { PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]) };

/* ---- query ---- */

static void add_protocol(struct wa_node *query, size_t i)
{
    struct wa_node *node = wa_node_child(query, protocols[i].tag);

    switch (protocols[i].protocol) {
    case WA_USYNC_DEVICES:
        wa_node_set(node, "version", "2");
        break;
    case WA_USYNC_BUSINESS:
        (void)wa_node_child(node, "verified_name");
        break;
    case WA_USYNC_BOT:
        wa_node_set(wa_node_child(node, "profile"), "v", "1");
        break;
    default:
        break;
    }
}

struct wa_node *wa_usync_query(struct arena *arena, const char *id,
                               const struct wa_usync_query *query)
{
    struct wa_node *iq = wa_node_iq(arena, "get", "usync", id);
    struct wa_node *usync = wa_node_child(iq, "usync");
    struct wa_node *asked = wa_node_child(usync, "query");
    struct wa_node *list = wa_node_child(usync, "list");

    wa_node_set(usync, "sid", query->sid);
    wa_node_set(usync, "mode", query->mode);
    wa_node_set(usync, "last", "true");
    wa_node_set(usync, "index", "0");
    wa_node_set(usync, "context", query->context);
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if ((query->protocols & protocols[i].protocol) != 0) {
            add_protocol(asked, i);
        }
    }
    for (size_t i = 0; i < query->n; i++) {
        struct wa_node *user = wa_node_child(list, "user");

        if (query->users[i].contact != NULL) {
            wa_node_set_text(wa_node_child(user, "contact"), query->users[i].contact);
        } else {
            wa_node_set_jid(user, "jid", &query->users[i].jid);
        }
    }
    return iq;
}

static unsigned asked_protocols(const struct wa_node *query)
{
    unsigned set = 0;

    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (wa_node_find(query, protocols[i].tag) != NULL) {
            set |= protocols[i].protocol;
        }
    }
    return set;
}

int wa_usync_query_parse(const struct wa_node *iq, struct arena *arena, struct wa_usync_query *out,
                         struct err *err)
{
    const struct wa_node *usync = wa_node_find(iq, "usync");
    const struct wa_node *query = wa_node_find(usync, "query");
    const struct wa_node *list = wa_node_find(usync, "list");
    struct wa_usync_asked *users;
    size_t n = wa_node_count(list, "user");
    size_t at = 0;

    if (query == NULL || list == NULL) {
        return err_set(err, ERR_INVALID, "a usync request without query or list");
    }
    if (n > WA_USYNC_USERS_MAX) {
        return err_set(err, ERR_LIMIT, "%zu users in one usync, at most %d", n, WA_USYNC_USERS_MAX);
    }
    users = arena_array0(arena, n, sizeof(*users));
    WA_NODE_EACH(user, list)
    {
        if (!wa_node_is(user, "user")) {
            continue;
        }
        users[at].contact = wa_node_text(wa_node_find(user, "contact"));
        if (!wa_node_attr_jid(user, "jid", &users[at].jid) && users[at].contact == NULL) {
            return err_set(err, ERR_INVALID, "user %zu of a usync has neither address nor number",
                           at + 1);
        }
        at++;
    }
    *out = (struct wa_usync_query){.protocols = asked_protocols(query),
                                   .sid = wa_node_attr(usync, "sid"),
                                   .mode = wa_node_attr(usync, "mode"),
                                   .context = wa_node_attr(usync, "context"),
                                   .users = users,
                                   .n = n};
    return 0;
}

const char *wa_usync_digits(struct arena *arena, const char *contact)
{
    size_t n;

    if (contact[0] == '+') {
        contact++;
    }
    n = strspn(contact, "0123456789");
    if (n < DIGITS_MIN || n > DIGITS_MAX || (contact[n] != '\0' && contact[n] != '@')) {
        return NULL;
    }
    return arena_strndup(arena, contact, n);
}

/* ---- answer ---- */

struct wa_node *wa_usync_answer(struct arena *arena, const struct wa_node *request,
                                struct wa_node **iq)
{
    const struct wa_node *asked = wa_node_find(request, "usync");
    struct wa_node *usync;
    struct wa_node *result;

    *iq = wa_iq_result(arena, request);
    usync = wa_node_child(*iq, "usync");
    wa_node_set(usync, "sid", wa_node_attr(asked, "sid"));
    wa_node_set(usync, "mode", wa_node_attr(asked, "mode"));
    wa_node_set(usync, "index", "0");
    wa_node_set(usync, "last", "true");
    wa_node_set(usync, "context", wa_node_attr(asked, "context"));
    result = wa_node_child(usync, "result");
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (wa_node_find(wa_node_find(asked, "query"), protocols[i].tag) != NULL) {
            (void)wa_node_child(result, protocols[i].tag);
        }
    }
    return wa_node_child(usync, "list");
}

static void add_devices(struct wa_node *user, const struct wa_usync_found *found)
{
    struct wa_node *devices = wa_node_child(user, "devices");
    struct wa_node *list = wa_node_child(devices, "device-list");

    for (size_t i = 0; i < found->n_devices; i++) {
        struct wa_node *device = wa_node_child(list, "device");

        wa_node_set_int(device, "id", found->devices[i].id);
        if (found->devices[i].key_index > 0) {
            wa_node_set_int(device, "key-index", found->devices[i].key_index);
        }
        if (found->devices[i].is_hosted) {
            wa_node_set(device, "is_hosted", "true");
        }
    }
    if (found->key_index_list.n > 0) {
        struct wa_node *keys = wa_node_child(devices, "key-index-list");

        wa_node_set_int(keys, "ts", found->key_index_time);
        wa_node_set_bytes(keys, found->key_index_list);
    }
}

struct wa_node *wa_usync_answer_add(struct wa_node *list, const struct wa_usync_found *found)
{
    struct wa_node *user = wa_node_child(list, "user");

    wa_node_set_jid(user, "jid", &found->jid);
    if (found->has_devices) {
        add_devices(user, found);
    }
    if (found->has_lid) {
        wa_node_set_jid(wa_node_child(user, "lid"), "val", &found->lid);
    }
    if (found->has_contact) {
        struct wa_node *contact = wa_node_child(user, "contact");

        wa_node_set(contact, "type", found->is_in ? "in" : "out");
        if (found->contact != NULL) { /* some clients look for the very bytes they sent */
            wa_node_set_bytes(
                contact, (struct bytes){(const uint8_t *)found->contact, strlen(found->contact)});
        }
    }
    return user;
}

static int take_devices(const struct wa_node *node, struct arena *arena, struct wa_usync_found *out,
                        struct err *err)
{
    const struct wa_node *list = wa_node_find(node, "device-list");
    const struct wa_node *keys = wa_node_find(node, "key-index-list");
    size_t n = wa_node_count(list, "device");
    struct wa_usync_device *devices;

    if (n > WA_USYNC_DEVICES_MAX) {
        return err_set(err, ERR_LIMIT, "a user with %zu devices, at most %d", n,
                       WA_USYNC_DEVICES_MAX);
    }
    devices = arena_array0(arena, n, sizeof(*devices));
    WA_NODE_EACH(device, list)
    {
        struct wa_usync_device *to = &devices[out->n_devices];
        int64_t id;
        int64_t key_index = 0;

        if (wa_node_is(device, "device") && wa_node_attr_int(device, "id", 0, 255, &id)) {
            wa_optional_int(device, "key-index", UINT32_MAX, &key_index);
            *to = (struct wa_usync_device){
                .id = (uint16_t)id,
                .key_index = (uint32_t)key_index,
                .is_hosted = wa_node_attr_is(device, "is_hosted", "true"),
            };
            out->n_devices++;
        }
    }
    out->devices = devices;
    out->has_devices = list != NULL;
    out->key_index_list = wa_node_bytes(keys);
    wa_optional_int(keys, "ts", INT64_MAX, &out->key_index_time);
    return 0;
}

static int take_user(const struct wa_node *user, struct arena *arena, struct wa_usync_found *out,
                     struct err *err)
{
    const struct wa_node *contact = wa_node_find(user, "contact");
    const char *type = wa_node_attr(contact, "type");

    out->has_lid = wa_node_attr_jid(wa_node_find(user, "lid"), "val", &out->lid);
    out->has_contact = type != NULL;
    out->is_in = type != NULL && strcmp(type, "in") == 0;
    out->contact = wa_node_text(contact);
    return take_devices(wa_node_find(user, "devices"), arena, out, err);
}

int wa_usync_answer_parse(const struct wa_node *answer, struct arena *arena,
                          struct wa_usync_answer *out, struct err *err)
{
    const struct wa_node *list = wa_node_path(answer, "usync/list");
    size_t n = wa_node_count(list, "user");
    struct wa_usync_found *users;
    size_t at = 0;

    if (list == NULL) {
        return err_set(err, ERR_INVALID, "a usync answer has no list");
    }
    if (n > WA_USYNC_USERS_MAX) {
        return err_set(err, ERR_LIMIT, "%zu users in a usync answer, at most %d", n,
                       WA_USYNC_USERS_MAX);
    }
    users = arena_array0(arena, n, sizeof(*users));
    WA_NODE_EACH(user, list)
    {
        if (wa_node_is(user, "user") && wa_node_attr_jid(user, "jid", &users[at].jid)) {
            int rc = take_user(user, arena, &users[at], err);

            if (rc < 0) {
                return rc;
            }
            at++;
        }
    }
    *out = (struct wa_usync_answer){users, at};
    return 0;
}

struct wa_jid wa_usync_device_jid(const struct wa_jid *user, const struct wa_usync_device *device)
{
    struct wa_jid jid = wa_jid_with_device(user, device->id);

    if (device->is_hosted) {
        jid.server = wa_jid_is_lid(user) ? WA_SERVER_HOSTED_LID : WA_SERVER_HOSTED;
    }
    return jid;
}
