/* tracker_config: the settings of the tracker, from the environment and its arguments. */
#ifndef TRACKER_TRACKER_CONFIG_H
#define TRACKER_TRACKER_CONFIG_H

#include "svc/svc_config.h"

struct tracker_config {
    struct svc_common common;
    const char *topic_prefix;
    bool rebuild;
    bool compare;
    int64_t catch_up_timeout_ms;
};

extern const struct svc_config_table tracker_config_table;

#endif
