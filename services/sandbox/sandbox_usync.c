/* usync: who is there, with which devices and which hidden id. */
#include <string.h>

#include "sandbox/sandbox_internal.h"
#include "wa/wa_iq.h"
#include "wa/wa_usync.h"

/* One query while it is answered. */
struct query {
    struct sandbox_conn *conn;
    struct wa_usync_query parsed;
    bool contact_by_lid; /* a number is answered with the LID */
    struct wa_node *list;
};

/* What the sender is told now it must not forget when it writes. */
static void note_listed(struct sandbox_device *asker, struct sandbox_account *account)
{
    struct sandbox_listed *listed = sandbox_map_find(&asker->listed, account->number);

    if (listed == NULL) {
        listed = mem_new0(sizeof(*listed));
        sandbox_map_put(&asker->listed, account->number, listed);
    }
    memset(listed, 0, sizeof(*listed));
    listed->devices[0] |= 1;
    for (size_t i = 0; i < account->n_companions; i++) {
        unsigned number = account->companions[i]->number;

        listed->devices[number / 8] |= (uint8_t)(1U << (number % 8));
    }
}

static void set_devices(const struct query *query, struct sandbox_account *account,
                        struct wa_usync_found *found)
{
    struct arena *arena = &query->conn->world->arena;
    struct wa_usync_device *devices =
        arena_array0(arena, account->n_companions + 1, sizeof(*devices));
    struct buf list = {0};

    for (size_t i = 0; i < account->n_companions; i++) {
        devices[i + 1] = (struct wa_usync_device){.id = account->companions[i]->number,
                                                  .key_index = account->companions[i]->key_index};
    }
    sandbox_account_index_list(account, &list);
    found->has_devices = true;
    found->devices = devices;
    found->n_devices = account->n_companions + 1;
    found->key_index_list = arena_bytes(arena, buf_bytes(&list));
    found->key_index_time = account->list_changed_s;
    buf_done(&list);
    note_listed(query->conn->device, account);
}

static bool is_unlisted(struct sandbox_account *account)
{
    struct sandbox_behaviour *behaviour = &account->behaviour;

    if (behaviour->unlisted == 0) {
        return false;
    }
    behaviour->unlisted--;
    return true;
}

static void refuse_devices(struct wa_node *user)
{
    struct wa_node *error = wa_node_child(wa_node_child(user, "devices"), "error");

    wa_node_set(error, "code", "500");
    wa_node_set(error, "text", "internal-server-error");
}

/* Facts that no phone here has. */
static void add_absent(const struct query *query, struct wa_node *user)
{
    if ((query->parsed.protocols & WA_USYNC_STATUS) != 0) {
        struct wa_node *status = wa_node_child(user, "status");

        wa_node_set(status, "code", "404");
        wa_node_set(status, "type", "fail");
    }
    if ((query->parsed.protocols & WA_USYNC_PICTURE) != 0) {
        wa_node_set(wa_node_child(wa_node_child(user, "picture"), "error"), "code", "404");
    }
    if ((query->parsed.protocols & WA_USYNC_DISAPPEARING) != 0) {
        struct wa_node *timer = wa_node_child(user, "disappearing_mode");

        wa_node_set(timer, "duration", "0");
        wa_node_set(timer, "t", "0");
    }
}

static void add_user(const struct query *query, const struct wa_usync_asked *asked,
                     struct sandbox_account *account)
{
    struct wa_usync_found found = {.jid = asked->jid};
    struct wa_jid pn = sandbox_account_jid(account, WA_SERVER_PN, 0);
    bool lists = (query->parsed.protocols & WA_USYNC_DEVICES) != 0;
    bool is_told = lists && !is_unlisted(account);
    struct wa_node *user;

    if (asked->contact != NULL) {
        found.jid = query->contact_by_lid ? sandbox_account_jid(account, WA_SERVER_LID, 0) : pn;
    }
    found.jid.device = 0;
    if ((query->parsed.protocols & WA_USYNC_CONTACT) != 0) {
        found.has_contact = true;
        found.is_in = true;
        found.contact = asked->contact;
    }
    if (is_told) {
        set_devices(query, account, &found);
    }
    if ((query->parsed.protocols & WA_USYNC_LID) != 0 && !wa_jid_is_lid(&found.jid) &&
        !account->behaviour.is_hidden) {
        found.has_lid = true; /* who asks by LID is not told it: one client takes it for a change */
        found.lid = sandbox_account_jid(account, WA_SERVER_LID, 0);
    }
    user = wa_usync_answer_add(query->list, &found);
    if (lists && !is_told) {
        refuse_devices(user);
    }
    if (asked->contact != NULL && query->contact_by_lid) {
        wa_node_set_jid(user, "pn_jid", &pn);
    }
    add_absent(query, user);
}

static void add_unknown(const struct query *query, const struct wa_usync_asked *asked,
                        const char *digits)
{
    struct wa_usync_found found = {.has_contact = true, .contact = asked->contact};

    if (digits != NULL && strlen(digits) <= WA_JID_USER_MAX) {
        found.jid = wa_jid_make(WA_SERVER_PN, digits, 0);
        (void)wa_usync_answer_add(query->list, &found);
    }
}

static struct sandbox_account *find_asked(const struct query *query,
                                          const struct wa_usync_asked *asked, const char *digits)
{
    if (asked->contact == NULL) {
        return sandbox_account_of(query->conn->world, &asked->jid);
    }
    return digits == NULL ? NULL : sandbox_world_account(query->conn->world, digits);
}

/* Is somebody in @query for whom all of it is refused? */
static bool is_refused(const struct query *query)
{
    for (size_t i = 0; i < query->parsed.n; i++) {
        struct sandbox_account *account = find_asked(query, &query->parsed.users[i], NULL);

        if (account != NULL && account->behaviour.unlisted_all && is_unlisted(account)) {
            return true;
        }
    }
    return false;
}

void sandbox_usync_handle(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct arena *arena = &conn->world->arena;
    struct query query = {.conn = conn};
    struct wa_node *out = NULL;
    struct err err = {0};

    conn->world->totals.usyncs++;
    if (wa_usync_query_parse(iq, arena, &query.parsed, &err) < 0) {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_STANZA, "usync: %s", err.text);
        sandbox_iq_fail(conn, iq, 400, "bad-request");
        return;
    }
    if (is_refused(&query)) {
        sandbox_iq_fail(conn, iq, 400, "bad-request");
        return;
    }
    query.contact_by_lid =
        wa_node_attr_is(wa_node_path(iq, "usync/query/contact"), "addressing_mode", "lid");
    query.list = wa_usync_answer(arena, iq, &out);
    for (size_t i = 0; i < query.parsed.n; i++) {
        const struct wa_usync_asked *asked = &query.parsed.users[i];
        const char *digits = asked->contact == NULL ? NULL : wa_usync_digits(arena, asked->contact);
        struct sandbox_account *account = find_asked(&query, asked, digits);

        if (account != NULL) {
            add_user(&query, asked, account);
        } else if (asked->contact != NULL) {
            add_unknown(&query, asked, digits);
        }
    }
    sandbox_conn_send(conn, out);
}
