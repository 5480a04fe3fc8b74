/* config: what ingress is told by its environment. */
#ifndef INGRESS_CONFIG_H
#define INGRESS_CONFIG_H

#include "svc/svc_config.h"

struct config {
    struct svc_common common;
    const char *bind_address;
    int64_t port;
    int64_t http_threads;
    const char *cors_origin;
    const char *db_type;
    int64_t db_connections;
    bool dev_mode;
    const char *jwt_secret; /* in dev mode a random one when it was left out */
    int64_t jwt_ttl_s;
    const char *admin_username;
    const char *admin_password;
    const char *api_key;
    const char *webhook_key; /* a keyring: crypto_seal.h */
    int64_t api_rate_per_min;
    int64_t login_rate_per_min;
    int64_t credential_rate_per_min;
    int64_t login_hashes;
    const char *trusted_proxies;
    int64_t command_timeout_ms;
    int64_t send_timeout_ms;
    int64_t blast_recipients_max;
    struct svc_range message_delay_ms;
    struct svc_range contact_delay_ms;
};

extern const struct svc_config_table config_table;

#endif
