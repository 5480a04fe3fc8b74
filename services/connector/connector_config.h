/* connector_config: the settings of the connector, from the environment. */
#ifndef CONNECTOR_CONNECTOR_CONFIG_H
#define CONNECTOR_CONNECTOR_CONFIG_H

#include "svc/svc_config.h"

struct connector_config {
    struct svc_common common;
    const char *credentials_key; /* crypto_keyring_parse */
    const char *server_url;
    const char *root_key; /* 64 hex digits */
    const char *ca_file;  /* "": the machine's own authorities */
    int64_t send_window;
    int64_t ack_timeout_ms;
    int64_t max_attempts;
    int64_t keep_days;
    int64_t connects_per_s;
    int64_t idle_s;
};

extern const struct svc_config_table connector_config_table;

#endif
