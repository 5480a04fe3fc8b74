/* config: the settings of webhooks. */
#ifndef WEBHOOKS_CONFIG_H
#define WEBHOOKS_CONFIG_H

#include "svc/svc_config.h"

struct config {
    struct svc_common common;
    const char *webhook_key; /* a keyring: crypto_seal.h */
    const char *allow_nets;
    const char *ca_file;
    int64_t timeout_ms;
    int64_t queue_max;
};

extern const struct svc_config_table config_table;

#endif
