/* scheduler_config: the settings of the scheduler, from the environment. */
#ifndef SCHEDULER_SCHEDULER_CONFIG_H
#define SCHEDULER_SCHEDULER_CONFIG_H

#include "svc/svc_config.h"

struct scheduler_config {
    struct svc_common common;
    int64_t send_window;
    int64_t rate_per_min; /* of an account; 0: no limit */
    int64_t rate_burst;
    const char *timezone;
    struct svc_range message_delay_ms; /* where a blast's own config says nothing */
    struct svc_range contact_delay_ms;
    int64_t recipients_max;
    int64_t chunk_keep_s;
};

extern const struct svc_config_table scheduler_config_table;

#endif
