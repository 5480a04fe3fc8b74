#include "scheduler/reply.h"

#include <stddef.h>

#include "base/crash.h"
#include "cache/cache_verdict.h"
#include "scheduler/scheduler.h"

static void on_told(int rc, const struct cache_reply *reply, void *ctx)
{
    (void)reply;
    (void)ctx;
    if (rc == 0) {
        crash_point("scheduler", "after.reply");
    }
}

void reply_send(struct scheduler *scheduler, const char *reply_to, const char *command_id,
                const char *verdict)
{
    crash_point("scheduler", "before.reply");
    cache_tell_verdict(scheduler->cache, reply_to, command_id, verdict, on_told, NULL);
}
