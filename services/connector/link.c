#include "connector/link.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/link_prekeys.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/presence.h"

enum { LINK_READ_FIRST_MS = 20 };

static int64_t now_ms(const struct link *link)
{
    return loop_now_ms(link->account->connector->loop);
}

static bool is_ours(const struct account *account)
{
    return ledger_is_live(account->connector->ledger, account->partition);
}

void link_set_ws(struct account *account, const char *ws)
{
    (void)strncpy(account->ws, ws, sizeof(account->ws) - 1);
    presence_state(account);
}

/* ---- life ---- */

static void drop_held(struct link *link)
{
    while (link->held != NULL) {
        struct link_held *held = link->held;

        link->held = held->next;
        buf_done(&held->frame);
        free(held);
    }
    link->n_held = 0;
}

/* The socket and the client end; the account hears nothing. */
static void link_free(struct link **link)
{
    struct link *gone = *link;
    struct account *account = gone->account;

    *link = NULL;
    account->link = NULL;
    loop_timer_stop(&gone->timer);
    loop_timer_stop(&gone->unlink_timer);
    loop_timer_stop(&gone->overflow);
    wa_client_free(&gone->client);
    ws_close(&gone->ws, WS_CODE_NORMAL);
    credentials_free(&gone->fresh);
    link_prekeys_drop(gone);
    drop_held(gone);
    if (gone->paired != NULL) {
        wa_creds_wipe(gone->paired);
        free(gone->paired);
    }
    loop_free_later(account->connector->loop, gone);
    if (account->wants_open && is_ours(account)) {
        link_open(account);
    }
}

static void on_deadline(struct loop_timer *timer, void *ctx)
{
    struct link *link = ctx;
    struct account *account = link->account;

    (void)timer;
    if (link_has_unread(account)) { /* we were away, not the server */
        loop_timer_start(account->connector->loop, &link->timer, LINK_READ_FIRST_MS, on_deadline,
                         link);
        return;
    }
    wa_client_tick(link->client, now_ms(link));
    if (account->link == link) {
        link_arm(link);
    }
}

void link_arm(struct link *link)
{
    int64_t deadline = wa_client_deadline(link->client);
    int64_t wait = deadline - now_ms(link);

    if (deadline == INT64_MAX || link->is_muted) {
        loop_timer_stop(&link->timer);
    } else {
        loop_timer_start(link->account->connector->loop, &link->timer, wait > 0 ? wait : 0,
                         on_deadline, link);
    }
}

/* ---- what ends a connection ---- */

static enum session_close close_of(enum wa_end end)
{
    switch (end) {
    case WA_END_LOGGED_OUT:
        return SESSION_CLOSE_LOGGED_OUT;
    case WA_END_REPLACED:
        return SESSION_CLOSE_REPLACED;
    case WA_END_BANNED:
        return SESSION_CLOSE_BANNED;
    case WA_END_OUTDATED:
        return SESSION_CLOSE_OUTDATED;
    case WA_END_REFUSED:
    case WA_END_BANNED_FOR_NOW:
        return SESSION_CLOSE_REFUSED;
    default:
        return SESSION_CLOSE_LOST;
    }
}

static void see_closed(struct account *account, enum session_close close, int code,
                       const char *reason)
{
    struct seen *seen = account_seen_new(SESSION_SAW_CLOSED);

    seen->closed = (struct session_closed){
        .has_code = code != 0, .code = code, .reason = arena_strdup(&seen->arena, reason)};
    seen->saw.close = close;
    seen->saw.closed = &seen->closed;
    account_see(account, seen);
}

void link_ended(struct link *link, enum wa_end end, int code, const char *detail)
{
    struct account *account = link->account;
    bool was_only_unlinking = link_unlink_ended(link, end);

    if (end == WA_END_RESTART) {
        crash_point("connector", "after.restart");
    }
    log_info("connection ended", LOG_STR("session", account->state.uuid),
             LOG_STR("end", wa_end_name(end)), LOG_INT("code", code), LOG_STR("detail", detail));
    if (was_only_unlinking) {
    } else if (end == WA_END_QR_USED_UP) {
        account_see(account, account_seen_new(SESSION_SAW_QR_USED_UP));
    } else {
        see_closed(account, close_of(end), code, detail);
    }
    if (account->mailbox != NULL) {
        mailbox_offline(account);
    }
    link_free(&link);
    if (account->link == NULL) {
        link_set_ws(account, "CLOSED");
    }
}

/* ---- the socket ---- */

static void on_open(struct ws *ws, void *ctx)
{
    struct link *link = ctx;
    struct account *account = link->account;

    (void)ws;
    if (!link->is_only_unlinking) {
        struct seen *seen = account_seen_new(SESSION_SAW_SOCKET_OPENED);

        seen->saw.connector_id = account->connector->config.common.instance_id;
        account_see(account, seen);
    }
    link_set_ws(account, "OPEN");
    wa_client_open(link->client, now_ms(link), clock_wall_ms());
    if (account->link == link) {
        link_arm(link);
    }
}

static void on_message(struct ws *ws, struct bytes message, void *ctx)
{
    struct link *link = ctx;
    struct account *account = link->account;

    (void)ws;
    wa_client_feed(link->client, message, now_ms(link));
    if (account->link == link) {
        link_arm(link);
    }
}

static void on_closed(struct ws *ws, const struct err *why, void *ctx)
{
    (void)ws;
    link_ended(ctx, WA_END_SOCKET, 0, why->text);
}

static const struct ws_handlers ws_handlers = {on_open, on_message, on_closed};

void link_client_config(struct connector *connector, const struct wa_creds *device,
                        struct wa_client_config *out)
{
    *out = (struct wa_client_config){
        .creds = device,
        .profile = &wa_profile_default,
        .root_key = connector->root_key,
        .seed = ((uint64_t)randombytes_random() << 32) | randombytes_random(),
    };
}

static struct wa_client *make_client(struct link *link, bool is_passive)
{
    struct account *account = link->account;
    struct wa_client_config config;

    if (account->credentials == NULL) {
        link->fresh = credentials_make();
    }
    link_client_config(account->connector,
                       link->fresh != NULL ? &link->fresh->device : &account->credentials->device,
                       &config);
    config.routing = buf_bytes(&account->routing);
    config.stay_passive = is_passive;
    return wa_client_new(&config, &link_client_ops, link);
}

int link_dial(struct connector *connector, const struct ws_handlers *handlers, void *ctx,
              struct ws **out, struct err *err)
{
    struct ws_client_config config = {.url = connector->config.server_url,
                                      .origin = "https://web.whatsapp.com",
                                      .tls = connector->tls};

    metric_add(metrics.connections, 1);
    return ws_connect(connector->loop, &config, handlers, ctx, out, err);
}

/* @unlinks: only to remove the device at WhatsApp. */
static void open_link(struct account *account, bool unlinks)
{
    struct link *link = mem_new0(sizeof(*link));
    struct err err = {0};

    link->account = account;
    link->is_only_unlinking = unlinks;
    link->unlinking = unlinks ? LINK_UNLINKS_SOON : LINK_STAYS;
    account->link = link;
    account->wants_open = false;
    account->start_time_ms = clock_wall_ms();
    account->tries++;
    link->client = make_client(link, unlinks);
    if (link_dial(account->connector, &ws_handlers, link, &link->ws, &err) < 0) {
        link_ended(link, WA_END_SOCKET, 0, err.text);
        return;
    }
    link_set_ws(account, "CONNECTING");
}

void link_open(struct account *account)
{
    if (account->connector->draining) {
        return;
    }
    if (!is_ours(account) || (account->link != NULL && account->link->is_only_unlinking)) {
        account->wants_open = true;
    } else if (account->link == NULL) {
        open_link(account, false);
    }
}

void link_unlink(struct account *account)
{
    if (account->credentials == NULL || account->connector->draining || !is_ours(account)) {
        link_close(account); /* a logout that waits is tried again after the next take-over */
        return;
    }
    if (account->link == NULL) {
        open_link(account, true);
    }
    if (account->link != NULL) {
        link_unlink_start(account->link);
    }
}

void link_lose(struct account *account, const char *why)
{
    if (account->link != NULL) {
        link_ended(account->link, WA_END_TIMEOUT, 0, why);
    }
}

void link_close(struct account *account)
{
    if (account->link != NULL) {
        if (account->mailbox != NULL) {
            mailbox_offline(account);
        }
        (void)strncpy(account->ws, "CLOSED", sizeof(account->ws) - 1);
        link_free(&account->link);
    }
}

/* ---- muted, full ---- */

static void read_or_wait(struct link *link)
{
    if (link->is_muted || link->is_full) {
        ws_pause(link->ws);
    } else {
        ws_resume(link->ws);
    }
}

void link_listen(struct account *account, bool has_room)
{
    struct link *link = account->link;

    if (link != NULL && link->ws != NULL && link->is_full == has_room) {
        link->is_full = !has_room;
        read_or_wait(link);
    }
}

void link_mute(struct account *account)
{
    struct link *link = account->link;

    if (link != NULL && !link->is_muted) {
        link->is_muted = true;
        loop_timer_stop(&link->timer);
        read_or_wait(link);
    }
}

void link_unmute(struct account *account)
{
    struct link *link = account->link;

    if (link == NULL || !link->is_muted || loop_timer_is_running(&link->overflow)) {
        return; /* with a frame missing the server could open none that comes after it */
    }
    link->is_muted = false;
    read_or_wait(link);
    for (const struct link_held *held = link->held; held != NULL; held = held->next) {
        (void)(ws_send(link->ws, buf_bytes(&held->frame), NULL) < 0); /* the socket says it too */
    }
    drop_held(link);
    link_arm(link);
}

/* ---- sending ---- */

bool link_is_ready(const struct account *account)
{
    const struct link *link = account->link;

    return link != NULL && !link->is_muted && link->unlinking != LINK_UNLINKS &&
           !link->is_only_unlinking && wa_client_phase(link->client) == WA_PHASE_READY;
}

bool link_has_unread(const struct account *account)
{
    return account->link != NULL && account->link->ws != NULL && ws_has_unread(account->link->ws);
}

void link_send_packed(struct account *account, struct bytes packed)
{
    if (link_is_ready(account) && wa_client_send_packed(account->link->client, packed, NULL) < 0) {
        log_warn("stanza not sent", LOG_STR("session", account->state.uuid));
    }
}

void link_request(struct account *account, struct wa_node *iq, wa_client_reply_cb *fn, void *ctx)
{
    struct link *link = account->link;

    if (link == NULL || wa_client_request(link->client, iq, now_ms(link), fn, ctx, NULL) < 0) {
        fn(ctx, -ERR_CLOSED, 0, NULL);
        return;
    }
    link_arm(link);
}

/* ---- turns ---- */

void link_run(struct turn *turn, struct account *account)
{
    if (account->link != NULL) {
        link_prekeys_stage(turn, account->link);
    }
}

static void on_confirmed(void *ctx)
{
    (void)ctx;
    crash_point("connector", "after.confirm"); /* the sockets were flushed before this */
}

/* Its credentials are kept: only now may the server hear so. */
static int confirm_pairing(struct link *link)
{
    int rc;

    crash_point("connector", "before.confirm");
    rc = wa_client_confirm_pairing(link->client, now_ms(link), NULL);
    if (rc == 0) {
        loop_defer(link->account->connector->loop, on_confirmed, NULL);
    }
    return rc;
}

void link_committed(struct account *account)
{
    struct link *link = account->link;
    enum link_pairing pairing;

    if (link == NULL) {
        return;
    }
    pairing = link->pairing;
    link->pairing = pairing == LINK_PAIRING_ASKED ? pairing : LINK_PAIRING_NONE;
    if ((pairing == LINK_PAIRING_YES && confirm_pairing(link) < 0) ||
        (pairing == LINK_PAIRING_NO && wa_client_refuse_pairing(link->client, NULL) < 0)) {
        log_info("pairing came too late", LOG_STR("session", link->account->state.uuid));
    }
    link_prekeys_committed(link);
}
