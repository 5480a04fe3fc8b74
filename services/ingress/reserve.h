/* reserve: what must be unique over all partitions is written down here before a command goes out:
 * numbers, keys, positions. Any thread. */
#ifndef INGRESS_RESERVE_H
#define INGRESS_RESERVE_H

#include "base/attr.h"
#include "base/uuid.h"
#include "domain/ids.h"
#include "domain/phone.h"
#include "ingress/ingress.h"

struct err;

struct session_names {
    int64_t id;
    char session_key[SESSION_KEY_MAX];
    struct uuid uuid;
    int64_t position;
};

/* Names for a session of @user_id. @key NULL: ten random digits. The same @idempotency_key (may be
 * NULL) gives the same names again; so does a @key that this user has reserved before (whether the
 * session exists is the decider's to say). -ERR_REFUSED: the key is another user's; else as
 * pg_pool_run. */
NODISCARD int reserve_session(struct ingress *ingress, int64_t user_id, const char *key,
                              const char *idempotency_key, struct session_names *out,
                              struct err *err);

/* Whose key it is: 0 for nobody's. */
NODISCARD int reserve_owner(struct ingress *ingress, const char *key, int64_t *user_id,
                            struct err *err);

struct blast_names {
    int64_t id;
    char blast_key[BLAST_KEY_MAX];
};

/* Names for the blast @uuid: the same ones when asked again. Errors as pg_pool_run. */
NODISCARD int reserve_blast(struct ingress *ingress, int64_t user_id, const char *uuid,
                            int64_t now_ms, struct blast_names *out, struct err *err);

#endif
