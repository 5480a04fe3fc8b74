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

enum { UNLINK_TIMEOUT_MS = 3000 };

static int64_t now_ms(const struct link *link)
{
    return loop_now_ms(link->account->connector->loop);
}

static void set_ws(struct account *account, const char *ws)
{
    (void)strncpy(account->ws, ws, sizeof(account->ws) - 1);
    presence_state(account);
}

/* ---- life ---- */

/* The socket and the client end; the account hears nothing. */
static void link_free(struct link **link)
{
    struct link *gone = *link;

    gone->account->link = NULL;
    loop_timer_stop(&gone->timer);
    wa_client_free(&gone->client);
    ws_close(&gone->ws, WS_CODE_NORMAL);
    credentials_free(&gone->fresh);
    link_prekeys_drop(gone);
    wa_creds_wipe(&gone->paired);
    if (gone->drops_credentials) {
        credentials_drop(gone->account);
    }
    loop_free_later(gone->account->connector->loop, gone);
    *link = NULL;
}

static void on_deadline(struct loop_timer *timer, void *ctx);

static void arm(struct link *link)
{
    int64_t deadline = wa_client_deadline(link->client);

    if (deadline == INT64_MAX || link->is_muted) {
        loop_timer_stop(&link->timer);
    } else if (!link->is_unlinking) {
        int64_t wait = deadline - now_ms(link);

        loop_timer_start(link->account->connector->loop, &link->timer, wait > 0 ? wait : 0,
                         on_deadline, link);
    }
}

static void on_deadline(struct loop_timer *timer, void *ctx)
{
    struct link *link = ctx;
    struct account *account = link->account;

    (void)timer;
    wa_client_tick(link->client, now_ms(link));
    if (account->link == link) {
        arm(link);
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

/* The connection is over: the account goes offline and hears why. */
static void ended(struct link *link, enum wa_end end, int code, const char *detail)
{
    struct account *account = link->account;
    bool was_unlinking = link->is_unlinking;

    log_info("connection ended", LOG_STR("session", account->state.uuid),
             LOG_STR("end", wa_end_name(end)), LOG_INT("code", code), LOG_STR("detail", detail));
    link_free(&link);
    set_ws(account, "CLOSED");
    if (account->mailbox != NULL) {
        mailbox_offline(account);
    }
    if (was_unlinking) {
        account_see(account, account_seen_new(SESSION_SAW_LOGOUT_CONFIRMED));
    } else if (end == WA_END_QR_USED_UP) {
        account_see(account, account_seen_new(SESSION_SAW_QR_USED_UP));
    } else {
        see_closed(account, close_of(end), code, detail);
    }
}

/* ---- events of the client ---- */

static void saw_qr(struct link *link, const struct wa_event *event)
{
    struct account *account = link->account;
    struct seen *seen = account_seen_new(SESSION_SAW_QR_ISSUED);
    int64_t expires_at_ms = clock_wall_ms() + event->qr.lifetime_ms;

    seen->saw.qr.ordinal = event->qr.ordinal;
    seen->saw.qr.expires_at = expires_at_ms;
    account_see(account, seen);
    presence_qr(account, event->qr.text, event->qr.ordinal, expires_at_ms);
}

static void saw_paired(struct link *link, const struct wa_event *event)
{
    struct seen *seen = account_seen_new(SESSION_SAW_PAIRED);
    char text[WA_JID_TEXT_MAX];

    link->paired = *event->paired.creds;
    link->pairing = LINK_PAIRING_ASKED;
    seen->saw.paired = (struct session_paired){
        .jid = arena_strdup(&seen->arena, wa_jid_format(&link->paired.pn, text)),
        .phone = arena_strdup(&seen->arena, link->paired.pn.user),
        .platform = arena_strdup(&seen->arena, link->paired.platform),
        .registered = true,
    };
    seen->saw.paired.lid = arena_strdup(&seen->arena, wa_jid_format(&link->paired.lid, text));
    account_see(link->account, seen);
}

static void saw_ready(struct link *link)
{
    struct account *account = link->account;
    struct seen *seen = account_seen_new(SESSION_SAW_LOGGED_IN);
    const struct wa_creds *device = &account->credentials->device;
    char text[WA_JID_TEXT_MAX];

    account->tries = 0;
    seen->saw.login.jid = arena_strdup(&seen->arena, wa_jid_format(&device->pn, text));
    seen->saw.login.lid = arena_strdup(&seen->arena, wa_jid_format(&device->lid, text));
    seen->saw.login.push_name =
        arena_strdup(&seen->arena, device->business_name[0] == '\0' ? NULL : device->business_name);
    seen->saw.login.at = clock_wall_ms();
    account_see(account, seen);
    mailbox_online(account);
}

static void saw_stanza(struct link *link, const struct wa_node *node)
{
    struct err err = {0};

    if (mailbox_take(link->account, node, &err) < 0) {
        /* not acked, so the server gives it again on the next connection */
        log_warn("too many stanzas wait", LOG_STR("session", link->account->state.uuid),
                 LOG_STR("why", err.text));
        ended(link, WA_END_SOCKET, 0, "too many stanzas wait");
    }
}

static void on_event(void *ctx, const struct wa_event *event)
{
    struct link *link = ctx;

    switch (event->kind) {
    case WA_EVENT_QR:
        saw_qr(link, event);
        break;
    case WA_EVENT_PAIRED:
        saw_paired(link, event);
        break;
    case WA_EVENT_PAIR_REFUSED:
        log_warn("pairing refused", LOG_STR("session", link->account->state.uuid),
                 LOG_STR("why", wa_adv_verdict_text(event->pair_refused)));
        break;
    case WA_EVENT_PREKEYS_WANTED:
        link_prekeys_want(link, event->prekeys.at_server);
        break;
    case WA_EVENT_READY:
        saw_ready(link);
        break;
    case WA_EVENT_STANZA:
    case WA_EVENT_ACK:
        saw_stanza(link, event->node);
        break;
    case WA_EVENT_ENDED:
        ended(link, event->ended.end, event->ended.code,
              event->ended.detail != NULL ? event->ended.detail : wa_end_text(event->ended.end));
        break;
    case WA_EVENT_PAIR_CODE:
    case WA_EVENT_PAIR_CODE_REFUSED:
    case WA_EVENT_LOGGED_IN:
    case WA_EVENT_OFFLINE_PREVIEW:
    case WA_EVENT_OFFLINE_DONE:
    case WA_EVENT_OTHER:
    case WA_EVENT_DROPPED:
    case WA_EVENT_ROUTING:
        break;
    }
}

static void on_send(void *ctx, struct bytes message)
{
    struct link *link = ctx;

    if (link->ws != NULL && !link->is_muted) {
        if (ws_send(link->ws, message, NULL) < 0) {
            log_debug("not sent", LOG_STR("session", link->account->state.uuid));
        } /* a socket that is gone says so by itself */
    }
}

/* ---- the socket ---- */

static void on_open(struct ws *ws, void *ctx)
{
    struct link *link = ctx;
    struct account *account = link->account;
    struct seen *seen = account_seen_new(SESSION_SAW_SOCKET_OPENED);

    (void)ws;
    seen->saw.connector_id = account->connector->config.common.instance_id;
    account_see(account, seen);
    set_ws(account, "OPEN");
    wa_client_open(link->client, now_ms(link), clock_wall_ms());
    if (account->link == link) {
        arm(link);
    }
}

static void on_message(struct ws *ws, struct bytes message, void *ctx)
{
    struct link *link = ctx;
    struct account *account = link->account;

    (void)ws;
    wa_client_feed(link->client, message, now_ms(link));
    if (account->link == link) {
        arm(link);
    }
}

static void on_closed(struct ws *ws, const struct err *why, void *ctx)
{
    (void)ws;
    ended(ctx, WA_END_SOCKET, 0, why->text);
}

static const struct ws_handlers ws_handlers = {on_open, on_message, on_closed};
static const struct wa_client_ops client_ops = {on_send, on_event};

void link_open(struct account *account)
{
    struct connector *connector = account->connector;
    struct ws_client_config ws = {.url = connector->config.server_url,
                                  .origin = "https://web.whatsapp.com",
                                  .tls = connector->tls};
    struct wa_client_config client = {.profile = &wa_profile_default,
                                      .root_key = connector->root_key};
    struct link *link;
    struct err err = {0};

    if (account->link != NULL || connector->draining) {
        return;
    }
    link = mem_new0(sizeof(*link));
    link->account = account;
    account->link = link;
    if (account->credentials == NULL) {
        link->fresh = credentials_make();
    }
    client.creds = link->fresh != NULL ? &link->fresh->device : &account->credentials->device;
    client.seed = ((uint64_t)randombytes_random() << 32) | randombytes_random();
    link->client = wa_client_new(&client, &client_ops, link);
    account->start_time_ms = clock_wall_ms();
    account->tries++;
    metric_add(metrics.connections, 1);
    if (ws_connect(connector->loop, &ws, &ws_handlers, link, &link->ws, &err) < 0) {
        ended(link, WA_END_SOCKET, 0, err.text);
        return;
    }
    set_ws(account, "CONNECTING");
}

void link_lose(struct account *account, const char *why)
{
    if (account->link != NULL) {
        ended(account->link, WA_END_TIMEOUT, 0, why);
    }
}

void link_close(struct account *account)
{
    if (account->link != NULL) {
        link_free(&account->link);
        (void)strncpy(account->ws, "CLOSED", sizeof(account->ws) - 1);
        if (account->mailbox != NULL) {
            mailbox_offline(account);
        }
    }
}

void link_mute(struct account *account)
{
    struct link *link = account->link;

    if (link != NULL && !link->is_muted) {
        link->is_muted = true;
        loop_timer_stop(&link->timer);
        ws_pause(link->ws);
    }
}

void link_unmute(struct account *account)
{
    struct link *link = account->link;

    if (link != NULL && link->is_muted) {
        link->is_muted = false;
        ws_resume(link->ws);
        arm(link);
    }
}

bool link_is_ready(const struct account *account)
{
    const struct link *link = account->link;

    return link != NULL && !link->is_muted && !link->is_unlinking &&
           wa_client_phase(link->client) == WA_PHASE_READY;
}

/* ---- unlinking ---- */

static void on_unlink_timeout(struct loop_timer *timer, void *ctx)
{
    struct link *link = ctx;
    struct account *account = link->account;
    struct seen *seen = account_seen_new(SESSION_SAW_LOGOUT_FAILED);

    (void)timer;
    seen->saw.detail = "WhatsApp did not answer";
    link_close(account);
    account_see(account, seen);
}

static void on_unlinked(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct link *link = ctx;
    struct account *account = link->account;
    struct seen *seen =
        account_seen_new(rc == 0 ? SESSION_SAW_LOGOUT_CONFIRMED : SESSION_SAW_LOGOUT_FAILED);

    (void)reply;
    if (rc < 0) {
        seen->saw.detail = arena_printf(&seen->arena, "WhatsApp refused with code %d", code);
    }
    link_close(account);
    account_see(account, seen);
}

void link_unlink(struct account *account)
{
    struct link *link = account->link;
    struct arena arena = {0};
    struct wa_node *iq;
    struct wa_node *remove;

    if (!link_is_ready(account)) {
        link_close(account);
        return;
    }
    iq = wa_node_iq(&arena, "set", "md", NULL);
    remove = wa_node_child(iq, "remove-companion-device");
    wa_node_set_jid(remove, "jid", &account->credentials->device.pn);
    wa_node_set(remove, "reason", "user_initiated");
    link_request(account, iq, on_unlinked, link);
    arena_done(&arena);
    if (account->link == link) {
        link->is_unlinking = true;
        loop_timer_start(account->connector->loop, &link->timer, UNLINK_TIMEOUT_MS,
                         on_unlink_timeout, link);
    }
}

/* ---- sending ---- */

void link_send(struct account *account, const struct wa_node *node)
{
    if (link_is_ready(account)) {
        struct err err = {0};

        if (wa_client_send(account->link->client, node, &err) < 0) {
            log_warn("stanza not sent", LOG_STR("session", account->state.uuid),
                     LOG_STR("why", err.text));
        }
    }
}

void link_send_packed(struct account *account, struct bytes packed)
{
    if (link_is_ready(account)) {
        crash_point("connector", "before.write");
        if (wa_client_send_packed(account->link->client, packed, NULL) < 0) {
            log_warn("stanza not sent", LOG_STR("session", account->state.uuid));
        }
    }
}

void link_request(struct account *account, struct wa_node *iq, wa_client_reply_cb *fn, void *ctx)
{
    struct link *link = account->link;

    if (link == NULL || wa_client_request(link->client, iq, now_ms(link), fn, ctx, NULL) < 0) {
        fn(ctx, -ERR_CLOSED, 0, NULL);
        return;
    }
    arm(link);
}

/* ---- turns ---- */

void link_run(struct turn *turn, struct account *account)
{
    if (account->link != NULL) {
        link_prekeys_stage(turn, account->link);
    }
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
    if ((pairing == LINK_PAIRING_YES &&
         wa_client_confirm_pairing(link->client, now_ms(link), NULL) < 0) ||
        (pairing == LINK_PAIRING_NO && wa_client_refuse_pairing(link->client, NULL) < 0)) {
        log_info("pairing came too late", LOG_STR("session", link->account->state.uuid));
    }
    link_prekeys_committed(link);
}
