/* ingress: what the parts of this service share: its connections, and who is asking. */
#ifndef INGRESS_INGRESS_H
#define INGRESS_INGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/net.h"
#include "crypto/crypto_seal.h"
#include "ingress/config.h"
#include "ingress/token.h"

struct bus_producer;
struct cache;
struct cache_pool;
struct guard;
struct loop;
struct loop_gate;
struct pg_pool;
struct rate;
struct replies;
struct svc_health;

/* One per process. Handlers run on threads of the HTTP server; the loop's thread hears Redis
 * channels and delivers to Kafka. Set up before the server starts; read-only afterwards. */
struct ingress {
    const struct config *config;
    struct loop *loop;
    struct loop_gate *gate; /* for threads that need the loop */
    struct pg_pool *pg;
    struct cache_pool *cache; /* commands, any thread */
    struct cache *channels;   /* subscriptions, the loop's */
    struct bus_producer *producer;
    struct replies *replies;
    struct rate *rate;
    struct guard *guard;
    struct net_blocks proxies; /* whose X-Forwarded-For counts */
    struct svc_health *health;
    const char *jwt_secret;
    struct crypto_keyring keys; /* WEBHOOK_KEY: webhook secrets, session tokens, Redis (kept.h) */
};

/* Who asks. */
enum actor_kind { ACTOR_USER, ACTOR_API_KEY, ACTOR_KAFKA };

struct actor {
    enum actor_kind kind;
    int64_t user_id;
    bool is_admin;
    char username[TOKEN_USERNAME_MAX];
    char id[24]; /* of the user, or of the API key: actor_id of commands */
};

const char *actor_kind_name(enum actor_kind kind); /* "user", "api_key", "kafka" */

/* What stops a use case, before a family words it. */
enum refusal_kind {
    REFUSED_INVALID,     /* 400 */
    REFUSED_NOT_FOUND,   /* 404 */
    REFUSED_CONFLICT,    /* 409 */
    REFUSED_LIMIT,       /* 429 */
    REFUSED_UNAVAILABLE, /* 503: Kafka or PostgreSQL is away; nothing was done */
    REFUSED_TIMEOUT,     /* 504: a command's outcome did not come in time; names the command id */
    REFUSED_INTERNAL     /* 500 */
};

struct refusal {
    enum refusal_kind kind;
    char code[48]; /* for programs, such as INVALID_STATE */
    char text[256];
};

/* Fill @why and return -1, so that `return refuse(...)` works. */
int refuse(struct refusal *why, enum refusal_kind kind, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* The refusal for a store that failed: @err says how and is logged, not told. */
struct err;
int refuse_store(struct refusal *why, const char *what, const struct err *err);

int refusal_status(enum refusal_kind kind); /* HTTP */

#endif
