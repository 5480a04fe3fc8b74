#include "ingress/watch.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/log.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "ingress/ingress.h"
#include "ingress/session_query.h"

void watch_session(struct ingress *ingress, const char *session_uuid, struct arena *arena)
{
    const struct cache_key key = cache_key_watch(session_uuid);
    struct cache_reply reply = {0};
    char ttl[24];
    const char *parts[] = {"SET", key.text, "1", "PX", ttl, NULL};

    (void)snprintf(ttl, sizeof(ttl), "%d", CACHE_WATCH_TTL_MS);
    if (cache_pool_command_text(ingress->cache, parts, arena, &reply, NULL) < 0) {
        log_debug("a look at a session is not noted", LOG_STR("session", session_uuid));
    }
}

void watch_row(struct ingress *ingress, const struct session_row *row, struct arena *arena)
{
    enum session_phase phase = session_phase_now(row);

    if (phase == SESSION_CONNECTING || phase == SESSION_WAITING_FOR_SCAN) {
        watch_session(ingress, row->uuid, arena);
    }
}
