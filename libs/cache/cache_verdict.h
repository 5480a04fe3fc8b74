/* cache_verdict: a decider tells what became of a command, after the commit. */
#ifndef CACHE_CACHE_VERDICT_H
#define CACHE_CACHE_VERDICT_H

#include "cache/cache.h"

/* Set the key of @command_id to @verdict, and publish it on the channel of @reply_to, which may be
 * NULL: nobody waits. Borrows all for the call. @fn(@ctx) hears how the last of the two ended, as
 * of cache_command; it may be NULL. */
void cache_tell_verdict(struct cache *cache, const char *reply_to, const char *command_id,
                        const char *verdict, cache_reply_cb *fn, void *ctx);

#endif
