#include "ingress/config.h"

#include <string.h>

#include "base/err.h"
#include "base/net.h"
#include "cache/cache_url.h"
#include "crypto/crypto_seal.h"
#include "http/http.h"
#include "ingress/token.h"

#define TEXT(m, env, def, doc, ...)    SVC_TEXT(struct config, m, env, def, doc, __VA_ARGS__)
#define INT(m, env, def, low, hi, doc) SVC_INT(struct config, m, env, def, low, hi, doc)

static const struct svc_config_entry entries[] = {
    INT(port, "PORT", "8080", 0, 65535, "port of the API; 0: any free one"),
    TEXT(bind_address, "BIND_ADDRESS", "127.0.0.1", "address to listen on; TLS is for a proxy",
         .min = 7, .max = 15),
    INT(http_threads, "HTTP_THREADS", "96", 4, HTTP_THREADS_MAX,
        "requests served at once; an open WebSocket holds one"),
    TEXT(cors_origin, "CORS_ORIGIN", "*", "origin that browsers may call from; empty: none",
         .max = 200),
    TEXT(db_type, "DB_TYPE", "postgres", "only postgres is supported", .choices = "postgres"),
    INT(db_connections, "DB_CONNECTIONS", "8", 1, 200, "most connections to PostgreSQL"),
    SVC_BOOL(struct config, dev_mode, "DEV_MODE", "0",
             "run without JWT_SECRET and WEBHOOK_KEY: both are made up at start"),
    TEXT(jwt_secret, "JWT_SECRET", "", "signs tokens, at least 16 bytes", .max = 512, SVC_SECRET),
    INT(jwt_ttl_s, "JWT_TTL_SECONDS", "86400", 60, 31536000, "life of a token"),
    TEXT(admin_username, "ADMIN_USERNAME", "admin", "the first user", .min = 1, .max = 100),
    TEXT(admin_password, "ADMIN_PASSWORD", "", "its password; empty: \"admin\", on loopback only",
         .max = 256, SVC_SECRET),
    TEXT(api_key, "API_KEY", "", "a preset API key of the first user", .max = 256, SVC_SECRET),
    TEXT(webhook_key, "WEBHOOK_KEY", "", "64 hex digits, then retired keys; seals webhook secrets",
         .max = 1024, .check = crypto_keyring_check, SVC_SECRET),
    INT(api_rate_per_min, "API_RATE_PER_MIN", "600", 0, 10000000,
        "requests of one user or key; 0: no limit"),
    INT(login_rate_per_min, "LOGIN_RATE_PER_MIN", "30", 0, 1000000,
        "wrong logins from one address, and for one username; 0: no limit"),
    INT(credential_rate_per_min, "CREDENTIAL_RATE_PER_MIN", "300", 0, 1000000,
        "wrong tokens and API keys from one address; 0: no limit"),
    INT(login_hashes, "LOGIN_HASHES", "2", 1, 64,
        "passwords hashed at once; each takes a processor and 19 MiB for a moment"),
    TEXT(trusted_proxies, "TRUSTED_PROXIES", "127.0.0.0/8",
         "networks of proxies whose X-Forwarded-For names the client; empty: none", .max = 1024),
    INT(command_timeout_ms, "COMMAND_TIMEOUT_MS", "5000", 100, 60000,
        "wait for the outcome of a command"),
    INT(send_timeout_ms, "SEND_TIMEOUT_MS", "10000", 100, 60000,
        "wait for WhatsApp to take a message"),
    INT(blast_recipients_max, "BLAST_RECIPIENTS_MAX", "1000000", 1, 100000000,
        "recipients of one blast"),
    SVC_RANGE(struct config, message_delay_ms, "BLAST_MESSAGE_DELAY_MS", "1000-3000", 0, 86400000,
              "messageDelay of blasts that name none"),
    SVC_RANGE(struct config, contact_delay_ms, "BLAST_CONTACT_DELAY_MS", "2000-5000", 0, 86400000,
              "contactDelay of blasts that name none"),
    SVC_COMMON(struct config, common, cache_url_check),
};

static int check(const void *of, struct err *err)
{
    const struct config *c = of;
    bool is_loopback = strncmp(c->bind_address, "127.", 4) == 0;
    size_t secret_n = strlen(c->jwt_secret);
    struct net_blocks proxies;
    int rc = net_blocks_parse(c->trusted_proxies, &proxies, err);

    if (rc < 0) {
        return err_wrap(err, rc, "TRUSTED_PROXIES");
    }
    if (secret_n < 16 && !(c->dev_mode && secret_n == 0)) {
        return err_set(err, ERR_INVALID,
                       "JWT_SECRET must have at least 16 bytes (or be left out with DEV_MODE=1)");
    }
    if (c->webhook_key[0] == 0 && !c->dev_mode) {
        return err_set(err, ERR_INVALID,
                       "WEBHOOK_KEY is not set: 64 hex digits (or leave it out with DEV_MODE=1)");
    }
    if (token_is_one(c->api_key)) {
        return err_set(err, ERR_INVALID,
                       "API_KEY looks like a token (three parts with dots) and would be taken for "
                       "one: choose another");
    }
    if (!is_loopback && (c->admin_password[0] == 0 || strcmp(c->admin_password, "admin") == 0)) {
        return err_set(err, ERR_INVALID,
                       "ADMIN_PASSWORD must be set to another than the default when BIND_ADDRESS "
                       "is not on loopback");
    }
    return 0;
}

const struct svc_config_table config_table = {
    .service = "ingress",
    .purpose = "the API: REST, WebSocket and schema registry; turns requests into commands",
    .entries = entries,
    .n = sizeof(entries) / sizeof(entries[0]),
    .check = check,
};
