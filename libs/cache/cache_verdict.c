#include "cache/cache_verdict.h"

#include <string.h>

#include "cache/cache_keys.h"

void cache_tell_verdict(struct cache *cache, const char *reply_to, const char *command_id,
                        const char *verdict, cache_reply_cb *fn, void *ctx)
{
    const struct cache_key key = cache_key_reply(command_id);
    const struct bytes text = {(const uint8_t *)verdict, strlen(verdict)};

    if (reply_to == NULL) {
        cache_set(cache, key.text, text, CACHE_REPLY_TTL_MS, fn, ctx);
    } else {
        const struct cache_key channel = cache_channel_replies(reply_to);

        cache_set(cache, key.text, text, CACHE_REPLY_TTL_MS, NULL, NULL);
        cache_publish(cache, channel.text, text, fn, ctx);
    }
}
