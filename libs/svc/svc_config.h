/* svc_config: the configuration of a service: one table, read from the environment.
 *
 *     struct config { struct svc_common common; int64_t port; const char *secret; };
 *     static const struct svc_config_entry entries[] = {
 *         SVC_COMMON(struct config, common, cache_url_check),
 *         SVC_INT(struct config, port, "PORT", "8080", 1, 65535, "port of the API"),
 *         SVC_TEXT(struct config, secret, "JWT_SECRET", NULL, "signs tokens", .min = 16,
 *                  SVC_SECRET),
 *     };
 *     static const struct svc_config_table table =
 *         SVC_CONFIG_TABLE("ingress", "...", entries, NULL);
 *
 *     struct config config = {0};
 *     return svc_main(&table, argc, argv, &config.common, run, &config); // svc_main.h
 *
 * The same table makes --help, --check-config and --print-config (secrets masked). A secret that is
 * not set is also taken from the file that NAME_FILE names. */
#ifndef SVC_SVC_CONFIG_H
#define SVC_SVC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/crash.h"

struct buf;
struct err;

enum svc_config_kind {
    SVC_CONFIG_TEXT,  /* const char *, never NULL after loading; min and max are bytes */
    SVC_CONFIG_INT,   /* int64_t */
    SVC_CONFIG_BOOL,  /* bool: 1 0 true false yes no */
    SVC_CONFIG_KEY,   /* struct svc_key: 64 hex digits, or 32 bytes in base64 */
    SVC_CONFIG_RANGE, /* struct svc_range: "1000-3000", or "1000" for both ends */
    SVC_CONFIG_FLAG   /* bool: an argument, such as --rebuild, instead of a variable */
};

enum svc_config_mask {
    SVC_MASK_NONE,
    SVC_MASK_ALL,     /* printed as *** */
    SVC_MASK_USERINFO /* of a URL: name and password before the @ */
};

enum { SVC_CONFIG_TEXT_MAX = 4096, SVC_KEY_SIZE = 32 };

struct svc_key {
    bool is_set;
    uint8_t bytes[SVC_KEY_SIZE];
};

struct svc_range {
    int64_t min;
    int64_t max;
};

/* What bounds and choices cannot say of a text. -ERR_INVALID says what is wrong, never the text of
 * a secret; the name of the variable is put before it. */
typedef int svc_check_fn(const char *text, struct err *err);

struct svc_config_entry {
    const char *name;
    const char *fallback; /* NULL: must be set; "" for a text or key: may be empty */
    int64_t min;          /* numbers: bounds; text: bytes */
    int64_t max;          /* text: 0 stands for SVC_CONFIG_TEXT_MAX */
    const char *choices;  /* text: "debug info warn error", or NULL for any */
    const char *doc;      /* one line */
    svc_check_fn *check;  /* of a text that is not empty, or NULL */
    size_t offset;
    enum svc_config_kind kind;
    enum svc_config_mask mask;
};

struct svc_config_table {
    const char *service;
    const char *purpose; /* one line for --help */
    const struct svc_config_entry *entries;
    size_t n;
    /* More checks on the loaded struct, or NULL: returns -ERR_INVALID naming the variable. */
    int (*check)(const void *config, struct err *err);
};

#define SVC_SECRET .mask = SVC_MASK_ALL

#define SVC_ENTRY(type, member, env, of_kind, def, docs, ...)               \
    {                                                                       \
        .name = (env), .kind = (of_kind), .fallback = (def), .doc = (docs), \
        .offset = offsetof(type, member), __VA_ARGS__                       \
    }
/* The dots take more of the entry: .min, .max, .choices, .check, SVC_SECRET. */
#define SVC_TEXT(type, member, env, def, docs, ...) \
    SVC_ENTRY(type, member, env, SVC_CONFIG_TEXT, def, docs, __VA_ARGS__)
#define SVC_INT(type, member, env, def, lowest, highest, docs) \
    SVC_ENTRY(type, member, env, SVC_CONFIG_INT, def, docs, .min = (lowest), .max = (highest))
#define SVC_BOOL(type, member, env, def, docs) \
    SVC_ENTRY(type, member, env, SVC_CONFIG_BOOL, def, docs, .min = 0)
#define SVC_KEY(type, member, env, def, docs) \
    SVC_ENTRY(type, member, env, SVC_CONFIG_KEY, def, docs, SVC_SECRET)
#define SVC_RANGE(type, member, env, def, lowest, highest, docs) \
    SVC_ENTRY(type, member, env, SVC_CONFIG_RANGE, def, docs, .min = (lowest), .max = (highest))
#define SVC_FLAG(type, member, argument, docs) \
    SVC_ENTRY(type, member, argument, SVC_CONFIG_FLAG, NULL, docs, .min = 0)

#define SVC_CONFIG_TABLE(name, what, list, checks)                \
    {                                                             \
        .service = (name), .purpose = (what), .entries = (list),  \
        .n = sizeof(list) / sizeof((list)[0]), .check = (checks), \
    }

/* ---- what every service needs ---- */

struct svc_common {
    const char *db_host;
    int64_t db_port;
    const char *db_name;
    const char *db_user;
    const char *db_pass;
    const char *kafka_brokers;
    int64_t kafka_session_timeout_ms;
    const char *redis_url;
    const char *instance_id; /* "<service>-1" unless set */
    int64_t health_port;     /* 0: none */
    const char *log_level;
    bool log_pretty;
    int64_t drain_timeout_ms;
    const char *crash_at;
};

/* NOLINTBEGIN(bugprone-macro-parentheses): a member cannot stand in parentheses */
/* @check_redis is a svc_check_fn: what a Redis URL is, libs/cache knows. */
#define SVC_COMMON(type, m, check_redis)                                                           \
    SVC_TEXT(type, m.db_host, "DB_HOST", "localhost", "PostgreSQL host, or a socket's folder",     \
             .min = 1),                                                                            \
        SVC_INT(type, m.db_port, "DB_PORT", "5432", 1, 65535, "PostgreSQL port"),                  \
        SVC_TEXT(type, m.db_name, "DB_NAME", "whatsapp_sessions", "PostgreSQL database",           \
                 .min = 1),                                                                        \
        SVC_TEXT(type, m.db_user, "DB_USER", "", "PostgreSQL role; empty: the service's name",     \
                 .min = 0),                                                                        \
        SVC_TEXT(type, m.db_pass, "DB_PASS", "", "its password", SVC_SECRET),                      \
        SVC_TEXT(type, m.kafka_brokers, "KAFKA_BROKERS", "localhost:9092",                         \
                 "host:port list of brokers", .min = 1),                                           \
        SVC_INT(type, m.kafka_session_timeout_ms, "KAFKA_SESSION_TIMEOUT_MS", "10000", 1000,       \
                600000, "a consumer unheard for so long loses its partitions"),                    \
        SVC_TEXT(type, m.redis_url, "REDIS_URL", "redis://localhost:6379", "Redis",                \
                 .mask = SVC_MASK_USERINFO, .min = 1, .check = (check_redis)),                     \
        SVC_TEXT(type, m.instance_id, "INSTANCE_ID", "",                                           \
                 "name of this process among its kind; empty: <service>-1", .max = 64),            \
        SVC_INT(type, m.health_port, "HEALTH_PORT", "0", 0, 65535,                                 \
                "port of /healthz, /readyz and /metrics on loopback; 0: none"),                    \
        SVC_TEXT(type, m.log_level, "LOG_LEVEL", "info", "lowest level that is logged",            \
                 .choices = "debug info warn error"),                                              \
        SVC_BOOL(type, m.log_pretty, "LOG_PRETTY", "0", "log for people instead of JSON"),         \
        SVC_INT(type, m.drain_timeout_ms, "DRAIN_TIMEOUT_MS", "10000", 100, 600000,                \
                "after SIGTERM, the longest wait for work to finish"),                             \
        SVC_TEXT(type, m.crash_at, "KENTONGAN_CRASH_AT", "", "for tests: end at this named point", \
                 .max = 96, .check = crash_check)
/* NOLINTEND(bugprone-macro-parentheses) */

/* ---- calls ---- */

/* Fill *@config (all-zero before) from @argv and the environment. Returns 0 to go on; 1 when an
 * argument asked for output only, which was written: end with SVC_EXIT_OK; -ERR_INVALID naming the
 * variable or argument (never a secret's value). Strings are owned by *@config: svc_config_done. */
NODISCARD int svc_config_load(const struct svc_config_table *table, int argc, char **argv,
                              void *config, struct err *err);

/* The same with a given environment ("NAME=value", ended by NULL) and place for output. */
struct svc_config_source {
    int argc;
    char **argv;
    char **env;
    FILE *out;
};
NODISCARD int svc_config_load_from(const struct svc_config_table *table,
                                   const struct svc_config_source *source, void *config,
                                   struct err *err);

/* A svc_check_fn: a file that can be read. */
NODISCARD int svc_check_file(const char *path, struct err *err);

void svc_config_done(const struct svc_config_table *table, void *config); /* wipes secrets */

/* One "NAME=value" line for each entry, secrets masked. */
void svc_config_print(const struct svc_config_table *table, const void *config, struct buf *out);

/* Set up logging and the crash point, ignore SIGPIPE, and log what this process is in one line.
 * -ERR_INVALID: KENTONGAN_CRASH_AT has no such form. */
NODISCARD int svc_start(const struct svc_config_table *table, const struct svc_common *common,
                        struct err *err);

#endif
