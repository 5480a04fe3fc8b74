/* topic: who reads and writes which topic, as schemas/topics.json declares it. Pure. */
#ifndef RECORD_TOPIC_H
#define RECORD_TOPIC_H

#include <stdbool.h>

#include "record/records.h"

/* @service: the name of its folder, such as "tracker". */
bool topic_is_read_by(enum topic topic, const char *service);
bool topic_is_written_by(enum topic topic, const char *service);

#endif
