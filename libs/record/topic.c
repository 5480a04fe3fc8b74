#include "record/topic.h"

#include <string.h>

static bool holds(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0) {
        names++;
    }
    return *names != NULL;
}

bool topic_is_read_by(enum topic topic, const char *service)
{
    return holds(topics[topic].read_by, service);
}

bool topic_is_written_by(enum topic topic, const char *service)
{
    return holds(topics[topic].written_by, service);
}
