#include "scheduler/reply.h"

#include <string.h>

#include "base/crash.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "scheduler/scheduler.h"

void reply_send(struct scheduler *scheduler, const char *reply_to, const char *command_id,
                const char *verdict)
{
    struct cache_key key = cache_key_reply(command_id);
    struct bytes text = {(const uint8_t *)verdict, strlen(verdict)};

    crash_point("scheduler", "before.reply");
    cache_set(scheduler->cache, key.text, text, CACHE_REPLY_TTL_MS, NULL, NULL);
    if (reply_to != NULL) {
        struct cache_key channel = cache_channel_replies(reply_to);

        cache_publish(scheduler->cache, channel.text, text, NULL, NULL);
    }
}
