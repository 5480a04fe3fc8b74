/* What the client of a connection tells. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/idle.h"
#include "connector/link.h"
#include "connector/link_prekeys.h"
#include "connector/mailbox.h"
#include "connector/presence.h"
#include "wa/wa_ack.h"

static void saw_qr(struct link *link, const struct wa_event *event)
{
    struct account *account = link->account;
    struct seen *seen = account_seen_new(SESSION_SAW_QR_ISSUED);
    int64_t expires_at_ms = clock_wall_ms() + event->qr.lifetime_ms;

    seen->saw.qr.ordinal = event->qr.ordinal;
    seen->saw.qr.expires_at = expires_at_ms;
    account_see(account, seen);
    idle_code(account, event->qr.lifetime_ms);
    presence_qr(account, event->qr.text, event->qr.ordinal, expires_at_ms);
}

static void saw_paired(struct link *link, const struct wa_event *event)
{
    struct seen *seen = account_seen_new(SESSION_SAW_PAIRED);
    char text[WA_JID_TEXT_MAX];

    link->paired = mem_dup(event->paired.creds, sizeof(*link->paired));
    link->pairing = LINK_PAIRING_ASKED;
    seen->saw.paired = (struct session_paired){
        .jid = arena_strdup(&seen->arena, wa_jid_format(&link->paired->pn, text)),
        .phone = arena_strdup(&seen->arena, link->paired->pn.user),
        .platform = arena_strdup(&seen->arena, link->paired->platform),
        .registered = true,
    };
    seen->saw.paired.lid = arena_strdup(&seen->arena, wa_jid_format(&link->paired->lid, text));
    account_see(link->account, seen);
}

static void saw_ready(struct link *link)
{
    struct account *account = link->account;
    struct seen *seen;
    const struct credentials *own = account->credentials;
    const char *name = own->push_name[0] != '\0' ? own->push_name : own->device.business_name;
    char text[WA_JID_TEXT_MAX];

    if (link->is_only_unlinking) {
        link_unlink_ready(link);
        return;
    }
    seen = account_seen_new(SESSION_SAW_LOGGED_IN);
    account->tries = 0;
    seen->saw.login.jid = arena_strdup(&seen->arena, wa_jid_format(&own->device.pn, text));
    seen->saw.login.lid = arena_strdup(&seen->arena, wa_jid_format(&own->device.lid, text));
    seen->saw.login.push_name = arena_strdup(&seen->arena, name[0] == '\0' ? NULL : name);
    seen->saw.login.at = clock_wall_ms();
    account_see(account, seen);
    mailbox_online(account);
    link_unlink_ready(link);
}

/* It is given back, or the server would give it again on every connection. */
static void skip(struct link *link, const struct wa_node *node, const struct err *why)
{
    log_warn("stanza skipped", LOG_STR("session", link->account->state.uuid),
             LOG_STR("why", why->text));
    if (!wa_node_is(node, "ack") &&
        wa_client_ack(link->client, node, WA_NACK_UNHANDLED, NULL) < 0) {
        log_debug("not given back", LOG_STR("session", link->account->state.uuid));
    }
}

static void saw_stanza(struct link *link, const struct wa_node *node)
{
    struct err err = {0};
    int rc;

    if (link->is_only_unlinking) {
        return; /* there is nobody any more to read it */
    }
    rc = mailbox_take(link->account, node, &err);
    if (rc == -ERR_INVALID) {
        skip(link, node, &err);
    } else if (rc < 0) {
        /* not acked, so the server gives it again on the next connection */
        log_warn("too many stanzas wait", LOG_STR("session", link->account->state.uuid),
                 LOG_STR("why", err.text));
        link_ended(link, WA_END_SOCKET, 0, "too many stanzas wait");
    }
}

static void want_prekeys(struct link *link, const struct wa_event *event)
{
    if (link->is_only_unlinking) {
        wa_client_proceed(link->client, loop_now_ms(link->account->connector->loop));
    } else {
        link_prekeys_want(link, event->prekeys.at_server);
    }
}

static void keep_routing(struct account *account, struct bytes routing)
{
    buf_clear(&account->routing);
    buf_add(&account->routing, routing.p, routing.n);
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
        want_prekeys(link, event);
        break;
    case WA_EVENT_READY:
        saw_ready(link);
        break;
    case WA_EVENT_STANZA:
    case WA_EVENT_ACK:
        saw_stanza(link, event->node);
        break;
    case WA_EVENT_ROUTING:
        keep_routing(link->account, event->routing);
        break;
    case WA_EVENT_DROPPED:
        log_info("frame skipped", LOG_STR("session", link->account->state.uuid),
                 LOG_STR("why", event->dropped));
        break;
    case WA_EVENT_ENDED:
        link_ended(link, event->ended.end, event->ended.code,
                   event->ended.detail != NULL ? event->ended.detail
                                               : wa_end_text(event->ended.end));
        break;
    case WA_EVENT_PAIR_CODE:
    case WA_EVENT_PAIR_CODE_REFUSED:
    case WA_EVENT_LOGGED_IN:
    case WA_EVENT_OFFLINE_PREVIEW:
    case WA_EVENT_OFFLINE_DONE:
    case WA_EVENT_OTHER:
        break;
    }
}

static void hold(struct link *link, struct bytes message)
{
    struct link_held *held = mem_new0(sizeof(*held));
    struct link_held **end = &link->held;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    buf_add(&held->frame, message.p, message.n);
    *end = held;
    link->n_held++;
}

static void on_too_much(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    link_ended(ctx, WA_END_SOCKET, 0, "too much to send while the partition is away");
}

static void on_send(void *ctx, struct bytes message)
{
    struct link *link = ctx;

    if (link->ws == NULL) {
        return;
    }
    if (!link->is_muted) {
        if (ws_send(link->ws, message, NULL) < 0) {
            log_debug("not sent", LOG_STR("session", link->account->state.uuid));
        } /* a socket that is gone says so by itself */
    } else if (link->n_held < LINK_HELD_MAX) {
        hold(link, message);
    } else { /* the client is on the stack */
        loop_timer_start(link->account->connector->loop, &link->overflow, 0, on_too_much, link);
    }
}

const struct wa_client_ops link_client_ops = {on_send, on_event};
