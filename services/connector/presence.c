#include "connector/presence.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "cache/cache_verdict.h"
#include "connector/account.h"
#include "connector/connector.h"

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void tell(struct account *account, const char *what)
{
    struct cache_key channel = cache_channel_session(account->state.uuid);

    cache_publish(account->connector->cache, channel.text, text_bytes(what), NULL, NULL);
}

static void write_runtime(struct account *account)
{
    struct connector *connector = account->connector;
    struct cache_key key = cache_key_runtime(account->state.uuid);
    char sequence[24];
    char now[24];
    char start[24];
    char ttl[24];
    const char *const set[] = {"HSET",
                               key.text,
                               CACHE_RUNTIME_CONNECTOR,
                               connector->config.common.instance_id,
                               CACHE_RUNTIME_WS,
                               account->ws,
                               CACHE_RUNTIME_STATE,
                               session_phase_name(account->state.phase),
                               CACHE_RUNTIME_SEQUENCE,
                               sequence,
                               CACHE_RUNTIME_LAST_SEEN_MS,
                               now,
                               CACHE_RUNTIME_START_TIME_MS,
                               start,
                               NULL};
    const char *const expire[] = {"PEXPIRE", key.text, ttl, NULL};

    (void)snprintf(sequence, sizeof(sequence), "%lld", (long long)account->state.sequence);
    (void)snprintf(now, sizeof(now), "%lld", (long long)clock_wall_ms());
    (void)snprintf(start, sizeof(start), "%lld", (long long)account->start_time_ms);
    (void)snprintf(ttl, sizeof(ttl), "%d", CACHE_RUNTIME_TTL_MS);
    cache_command_text(connector->cache, set, NULL, NULL);
    cache_command_text(connector->cache, expire, NULL, NULL);
}

void presence_state(struct account *account)
{
    if (account->state.phase == SESSION_DELETED) {
        presence_gone(account);
    } else {
        write_runtime(account);
    }
    if (account->state.linked) { /* a process that died may have left a code */
        presence_drop_qr(account);
    }
    tell(account, "state");
}

void presence_qr(struct account *account, const char *text, int ordinal, int64_t expires_at_ms)
{
    struct cache_key key = cache_key_qr(account->state.uuid);
    int64_t ttl_ms = expires_at_ms - clock_wall_ms();
    json_t *json = json_pack("{ss si sI}", "text", text, "ordinal", ordinal, "expires_at",
                             (json_int_t)expires_at_ms);
    char *line = json_dumps(json, JSON_COMPACT);

    if (line != NULL && ttl_ms > 0) {
        cache_set(account->connector->cache, key.text, text_bytes(line), ttl_ms, NULL, NULL);
        tell(account, "qr");
    }
    free(line);
    json_decref(json);
}

void presence_drop_qr(struct account *account)
{
    struct cache_key key = cache_key_qr(account->state.uuid);

    cache_del(account->connector->cache, key.text, NULL, NULL);
}

void presence_refresh(struct connector *connector)
{
    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = map_next(at)) {
        struct account *account = map_value(at);

        if (session_is_online(account->state.phase)) {
            write_runtime(account);
        }
    }
}

void presence_gone(struct account *account)
{
    struct cache_key key = cache_key_runtime(account->state.uuid);

    presence_drop_qr(account);
    cache_del(account->connector->cache, key.text, NULL, NULL);
}

static void on_told(int rc, const struct cache_reply *reply, void *ctx)
{
    (void)reply;
    (void)ctx;
    if (rc == 0) {
        crash_point("connector", "after.reply");
    }
}

void presence_reply(struct connector *connector, const char *reply_to, const char *command_id,
                    const char *verdict)
{
    crash_point("connector", "before.reply");
    cache_tell_verdict(connector->cache, reply_to, command_id, verdict, on_told, NULL);
}
