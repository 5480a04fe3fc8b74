/* kept: what comes back from Redis, read with distrust: any of it may be cut, of another version,
 * or somebody else's. Pure, any thread. What is read as false leaves *@out as it was. */
#ifndef INGRESS_KEPT_H
#define INGRESS_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "ingress/idempotency.h"
#include "ingress/token.h"
#include "ingress/view.h"

struct buf;
struct cache_reply;
struct crypto_keyring;
struct json_t;

enum { KEPT_CODE_MAX = 48, KEPT_TEXT_MAX = 256, KEPT_TYPE_MAX = 16, KEPT_QR_MAX = 1024 };

/* What a decider said of a command (domain/answer.h). Longer texts are cut. */
struct kept_verdict {
    char command_id[UUID_TEXT_MAX];
    char aggregate_type[KEPT_TYPE_MAX];
    bool is_ok;
    int64_t sequence; /* of the aggregate once it is applied; 0: nothing to apply */
    char code[KEPT_CODE_MAX];
    char message[KEPT_TEXT_MAX];
};
bool kept_read_verdict(struct bytes text, struct kept_verdict *out);

/* What the tracker said: the next line "{aggregate_id} {sequence}" that is one, taken off @rest.
 * False: there is none. */
struct kept_applied {
    char aggregate_id[UUID_TEXT_MAX];
    int64_t sequence;
};
bool kept_next_applied(struct bytes *rest, struct kept_applied *out);

/* What ingress keeps for itself is sealed, so that whoever reads Redis learns no secret from it and
 * whoever writes it makes nobody an admin. @key is the name that it is kept under, and no other
 * opens it. Both append to @out; kept_seal takes @json. False: it is not ours, or sealed under a
 * key that is lost. */
void kept_seal(const struct crypto_keyring *ring, const char *key, struct json_t *json,
               struct buf *out);
bool kept_unseal(const struct crypto_keyring *ring, const char *key, struct bytes text,
                 struct buf *out);

/* Who an API key belongs to. */
struct kept_key {
    int64_t user_id;
    int64_t key_id;
    char username[TOKEN_USERNAME_MAX];
    bool is_admin;
};
bool kept_read_key(struct bytes text, struct kept_key *out);
struct json_t *kept_key_json(const struct kept_key *key);

/* The code of a session that waits for a scan, unless it has expired at @now_ms. */
bool kept_read_qr(struct bytes text, int64_t now_ms, char out[KEPT_QR_MAX]);

/* The first answer to a request. */
struct kept_answer {
    char fingerprint[IDEMPOTENCY_FINGERPRINT_MAX];
    int status;
    struct json_t *body; /* json_decref */
};
bool kept_read_answer(struct bytes text, struct kept_answer *out);
struct json_t *kept_answer_json(const struct kept_answer *answer);

/* What a session is doing now, out of what HGETALL gives; members that make no sense are as if they
 * were not there. False: nothing is known. */
bool kept_read_runtime(const struct cache_reply *hash, struct session_runtime *out);

#endif
