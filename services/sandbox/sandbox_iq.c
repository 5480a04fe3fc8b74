/* Requests: each gets its answer at once, an error where there is nothing better. */
#include <string.h>

#include "sandbox/sandbox_internal.h"
#include "wa/wa_iq.h"

typedef void iq_cb(struct sandbox_conn *conn, const struct wa_node *iq);

static struct wa_node *result(struct sandbox_conn *conn, const struct wa_node *iq)
{
    return wa_iq_result(&conn->world->arena, iq);
}

void sandbox_iq_fail(struct sandbox_conn *conn, const struct wa_node *iq, int code,
                     const char *text)
{
    sandbox_conn_send(conn, wa_iq_error(&conn->world->arena, iq, code, text));
}

static void answer_empty(struct sandbox_conn *conn, const struct wa_node *iq)
{
    sandbox_conn_send(conn, result(conn, iq));
}

static void answer_ping(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_node *out = result(conn, iq);

    wa_node_set_int(out, "t", sandbox_now_s(conn->world));
    sandbox_conn_send(conn, out);
}

static void answer_passive(struct sandbox_conn *conn, const struct wa_node *iq)
{
    answer_empty(conn, iq);
    if (wa_node_find(iq, "active") != NULL) {
        sandbox_login_active(conn);
    } else if (conn->device != NULL) {
        conn->device->is_active = false;
    }
}

static void answer_props(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_node *out = result(conn, iq);
    struct wa_node *props = wa_node_child(out, "props");

    wa_node_set(props, "protocol", "1");
    wa_node_set(props, "hash", "1");
    wa_node_set(props, "refresh", "86400");
    sandbox_conn_send(conn, out);
}

/* Nobody is blocked, and nobody can be. */
static void answer_blocklist(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_node *out = result(conn, iq);

    if (wa_node_attr_is(iq, "type", "set")) {
        sandbox_iq_fail(conn, iq, 501, "feature-not-implemented");
        return;
    }
    wa_node_set(wa_node_child(out, "list"), "dhash", "2:00000000");
    sandbox_conn_send(conn, out);
}

static void answer_categories(struct sandbox_conn *conn, const struct wa_node *iq)
{
    static const char *const names[] = {"last",         "online",  "profile",  "status", "groupadd",
                                        "readreceipts", "calladd", "messages", "defense"};
    struct wa_node *out = result(conn, iq);
    struct wa_node *privacy = wa_node_child(out, "privacy");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct wa_node *category = wa_node_child(privacy, "category");

        wa_node_set(category, "name", names[i]);
        wa_node_set(category, "value", strcmp(names[i], "defense") == 0 ? "off" : "all");
    }
    sandbox_conn_send(conn, out);
}

/* Trusted-contact tokens: given out here, handed to whom they are for. */
static void answer_tokens(struct sandbox_conn *conn, const struct wa_node *iq)
{
    WA_NODE_EACH(token, wa_node_find(iq, "tokens"))
    {
        struct sandbox_account *to = NULL;
        struct wa_jid jid;
        uint8_t bytes[16];

        if (wa_node_attr_jid(token, "jid", &jid)) {
            to = sandbox_account_of(conn->world, &jid);
        }
        if (to != NULL && to != conn->device->account) {
            crypto_random(bytes, sizeof(bytes));
            sandbox_notify_token(conn->device->account, to, (struct bytes){bytes, sizeof(bytes)});
        }
    }
    answer_empty(conn, iq);
}

static void answer_privacy(struct sandbox_conn *conn, const struct wa_node *iq)
{
    if (wa_node_find(iq, "tokens") != NULL) {
        answer_tokens(conn, iq);
    } else if (wa_node_attr_is(iq, "type", "get")) {
        answer_categories(conn, iq);
    } else {
        sandbox_iq_fail(conn, iq, 501, "feature-not-implemented");
    }
}

static void answer_groups(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_node *out = result(conn, iq);

    if (wa_node_find(iq, "participating") == NULL) {
        sandbox_iq_fail(conn, iq, 404, "item-not-found");
        return;
    }
    (void)wa_node_child(out, "groups");
    sandbox_conn_send(conn, out);
}

static void answer_business(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_node *out = result(conn, iq);

    (void)wa_node_child(out, "business_profile"); /* without a profile: no business */
    sandbox_conn_send(conn, out);
}

static void answer_not_found(struct sandbox_conn *conn, const struct wa_node *iq)
{
    sandbox_iq_fail(conn, iq, 404, "item-not-found");
}

/* A companion removes itself. */
static void answer_md(struct sandbox_conn *conn, const struct wa_node *iq)
{
    struct wa_jid jid;

    if (!wa_node_attr_jid(wa_node_find(iq, "remove-companion-device"), "jid", &jid) ||
        sandbox_device_of(conn->world, &jid) != conn->device) {
        sandbox_iq_fail(conn, iq, 501, "feature-not-implemented");
        return;
    }
    answer_empty(conn, iq);
    sandbox_login_part(conn);
}

/* xmlns, and who answers. Only the first two may be asked before a login. */
static const struct {
    const char *xmlns;
    iq_cb *fn;
} requests[] = {
    {"w:p", answer_ping},
    {"urn:xmpp:ping", answer_ping},
    {"encrypt", sandbox_keys_handle},
    {"passive", answer_passive},
    {"usync", sandbox_usync_handle},
    {"w:sync:app:state", sandbox_appstate_handle},
    {"abt", answer_props},
    {"blocklist", answer_blocklist},
    {"privacy", answer_privacy},
    {"urn:xmpp:whatsapp:dirty", answer_empty},
    {"md", answer_md},
    {"w:g2", answer_groups},
    {"w:biz", answer_business},
    {"w:profile:picture", answer_not_found},
};
enum { BEFORE_LOGIN = 2 };

static void answer(struct sandbox_conn *conn, const struct wa_node *iq)
{
    const char *xmlns = wa_node_attr(iq, "xmlns");

    for (size_t i = 0; xmlns != NULL && i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (strcmp(requests[i].xmlns, xmlns) == 0) {
            if (conn->device == NULL && i >= BEFORE_LOGIN) {
                break;
            }
            requests[i].fn(conn, iq);
            return;
        }
    }
    if (conn->device == NULL) {
        sandbox_violate(conn, SANDBOX_VIOLATION_NOT_LOGGED_IN, "iq %.40s",
                        xmlns == NULL ? "without xmlns" : xmlns);
    }
    sandbox_iq_fail(conn, iq, 501, "feature-not-implemented");
}

void sandbox_iq_handle(struct sandbox_conn *conn, const struct wa_node *iq)
{
    const char *type = wa_node_attr(iq, "type");

    if (wa_node_attr(iq, "id") == NULL) {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_STANZA, "an iq without an id");
    } else if (wa_node_attr_is(iq, "type", "get") || wa_node_attr_is(iq, "type", "set")) {
        answer(conn, iq);
    } else if (wa_node_attr_is(iq, "type", "result") || wa_node_attr_is(iq, "type", "error")) {
        sandbox_pair_handle(conn, iq);
    } else {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_STANZA, "an iq of type %.40s",
                        type == NULL ? "none" : type);
        sandbox_iq_fail(conn, iq, 400, "bad-request");
    }
}
