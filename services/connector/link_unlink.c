/* Removing the device at WhatsApp: asked for by a logout, which waits for the answer. (A session
 * that is removed does not: farewell.h.) */
#include "connector/link.h"
#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"

/* What the session waits to hear. @detail NULL: the device is gone. */
static void tell(struct account *account, const char *detail)
{
    struct seen *seen;

    if (!account->state.logging_out) {
        return; /* it ended otherwise meanwhile */
    }
    seen =
        account_seen_new(detail == NULL ? SESSION_SAW_LOGOUT_CONFIRMED : SESSION_SAW_LOGOUT_FAILED);
    seen->saw.detail = arena_strdup(&seen->arena, detail);
    account_see(account, seen);
}

static void over(struct link *link, const char *detail)
{
    struct account *account = link->account;

    loop_timer_stop(&link->unlink_timer);
    tell(account, detail);
    if (detail == NULL || link->is_only_unlinking) {
        link_close(account);
    } else {
        link->unlinking = LINK_STAYS; /* still linked, and of use */
        account_ready(account);
    }
}

static void on_timeout(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    over(ctx, "WhatsApp did not answer");
}

static void on_answer(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct err err = {0};

    (void)reply;
    if (rc == -ERR_CLOSED) {
        return; /* the end of the connection says the rest */
    }
    if (rc < 0) {
        (void)err_set(&err, ERR_REFUSED, "WhatsApp refused with code %d", code);
    }
    over(ctx, rc < 0 ? err.text : NULL);
}

struct wa_node *link_unlink_iq(struct arena *arena, const struct wa_creds *device)
{
    struct wa_node *iq = wa_node_iq(arena, "set", "md", NULL);
    struct wa_node *remove = wa_node_child(iq, "remove-companion-device");

    wa_node_set_jid(remove, "jid", &device->pn);
    wa_node_set(remove, "reason", "user_initiated");
    return iq;
}

static void ask(struct link *link)
{
    struct account *account = link->account;
    struct arena arena = {0};

    link->unlinking = LINK_UNLINKS;
    loop_timer_start(account->connector->loop, &link->unlink_timer, LINK_UNLINK_MS, on_timeout,
                     link);
    link_request(account, link_unlink_iq(&arena, &account->credentials->device), on_answer, link);
    arena_done(&arena);
}

void link_unlink_start(struct link *link)
{
    struct account *account = link->account;

    if (link->unlinking == LINK_UNLINKS) {
        return;
    }
    if (link_is_ready(account)) {
        ask(link);
        return;
    }
    link->unlinking = LINK_UNLINKS_SOON;
    loop_timer_start(account->connector->loop, &link->unlink_timer, LINK_UNLINK_CONNECT_MS,
                     on_timeout, link);
}

void link_unlink_ready(struct link *link)
{
    if (link->unlinking == LINK_UNLINKS_SOON) {
        ask(link);
    }
}

bool link_unlink_ended(struct link *link, enum wa_end end)
{
    if (link->unlinking != LINK_STAYS) {
        link->unlinking = LINK_STAYS;
        tell(link->account, end == WA_END_LOGGED_OUT ? NULL : "the connection was lost");
    }
    return link->is_only_unlinking;
}
