/* log_tester: logs made by hand, for the tests of this folder. Not part of the product. */
#ifndef TRACKER_LOG_TESTER_H
#define TRACKER_LOG_TESTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "record/records.h"

enum { LOG_MAX = 4000, LOG_RANDOM_MESSAGES = 60 };

struct log_record {
    enum topic topic;
    void *data; /* the struct of the topic */
};

/* One session, one blast, messages and deliveries: records in the order in which they were made. */
struct log {
    const char *session, *blast;
    int64_t clock_us;
    int64_t began_ms;
    struct arena arena;
    struct log_record at[LOG_MAX];
    size_t n;
};

/* Empty it, then make the log of @session and @blast, from @clock_us on. */
void log_make(struct log *log, const char *session, const char *blast, int64_t clock_us);

/* Lives of direct messages, by chance: the same for the same @seed. */
void log_add_random(struct log *log, uint64_t seed);

void log_add_rename(struct log *log, int64_t sequence, const char *name);
void log_done(struct log *log);

#endif
