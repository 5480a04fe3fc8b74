/* cache_keys: every key, channel and time to live in Redis. There are no others.
 *
 * All of it can be lost at any moment: what is kept here is seen again from the log or the tables,
 * or is gone without harm (presence, QR codes). Every key has a time to live. */
#ifndef CACHE_CACHE_KEYS_H
#define CACHE_CACHE_KEYS_H

#include <stdint.h>

enum { CACHE_KEY_MAX = 256 }; /* bytes with the NUL; what is longer is cut and gets a hash */

struct cache_key {
    char text[CACHE_KEY_MAX];
};

enum {
    CACHE_RUNTIME_TTL_MS = 30 * 1000, /* written again every CACHE_RUNTIME_REFRESH_MS */
    CACHE_RUNTIME_REFRESH_MS = 10 * 1000,
    CACHE_WATCH_TTL_MS = 600 * 1000,
    CACHE_REPLY_TTL_MS = 60 * 1000,
    CACHE_APPLIED_TTL_MS = 60 * 1000,
    CACHE_IDEMPOTENCY_TTL_MS = 24 * 3600 * 1000,
    CACHE_API_KEY_TTL_MS = 60 * 1000,
    CACHE_RATE_TTL_MS = 120 * 1000
};
#define CACHE_KNOWN_TTL_MS (INT64_C(30) * 24 * 3600 * 1000)

/* Hash, TTL CACHE_RUNTIME_TTL_MS: what one session is doing now. Written by connector. */
struct cache_key cache_key_runtime(const char *session_uuid);
#define CACHE_RUNTIME_CONNECTOR     "connector"     /* instance id */
#define CACHE_RUNTIME_WS            "ws"            /* OPEN CONNECTING CLOSING CLOSED */
#define CACHE_RUNTIME_STATE         "state"         /* a phase, as session_phase_name says it */
#define CACHE_RUNTIME_SEQUENCE      "sequence"      /* last committed one of the session */
#define CACHE_RUNTIME_LAST_SEEN_MS  "last_seen_ms"  /* wall clock */
#define CACHE_RUNTIME_START_TIME_MS "start_time_ms" /* wall clock */

/* JSON {"text","ordinal","expires_at"}, until the code expires. Written by connector. */
struct cache_key cache_key_qr(const char *session_uuid);

/* "1", TTL CACHE_WATCH_TTL_MS, set anew each time that somebody asks for the status or code of a
 * session that waits to be linked: what is left of the time says how long ago. Written by ingress.
 */
struct cache_key cache_key_watch(const char *session_uuid);

/* Channel: a line "qr" or "state" when either of the two above changed. */
struct cache_key cache_channel_session(const char *session_uuid);

/* JSON verdict of a command, TTL CACHE_REPLY_TTL_MS. Written by the deciders. */
struct cache_key cache_key_reply(const char *command_id);

/* Channel of one ingress instance: the same JSON with "command_id". */
struct cache_key cache_channel_replies(const char *instance_id);

/* Last sequence of an aggregate that the projections hold, TTL CACHE_APPLIED_TTL_MS. By tracker. */
struct cache_key cache_key_applied(const char *aggregate_id);

/* Channel: lines "{aggregate_id} {sequence}". By tracker. */
struct cache_key cache_channel_applied(void);

/* Of ingress alone: answers by idempotency key, rate buckets, the look-up of API keys, and who gave
 * a right credential (a keyed hash; TTL CACHE_KNOWN_TTL_MS). */
struct cache_key cache_key_idempotency(int64_t user_id, const char *key);
struct cache_key cache_key_rate(const char *principal);
struct cache_key cache_key_api_key(const char *sha256_hex);
struct cache_key cache_key_known(uint64_t who);

#endif
