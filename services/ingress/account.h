/* account: users and API keys, ordinary rows of schema ingress; and from a credential to the one
 * who asks. Any thread. */
#ifndef INGRESS_ACCOUNT_H
#define INGRESS_ACCOUNT_H

#include "ingress/ingress.h"

/* At start: make the first user (id 1, role admin) where there is none, with ADMIN_PASSWORD; set
 * its password when that changed; make the preset API key. Safe from several instances at once.
 * Errors as pg_pool_run. */
NODISCARD int account_prepare(struct ingress *ingress, struct err *err);

/* -ERR_REFUSED: no such user, or another password (takes as long in both cases); else as
 * pg_pool_run. */
NODISCARD int account_log_in(struct ingress *ingress, const char *username, const char *password,
                             struct actor *out, struct err *err);

/* A JWT or an API key, out of the hands of @client. -ERR_REFUSED: neither, or over the limit of
 * those (guard.h): *@wait_s are the seconds after which to try again, 0 for the former. Else as
 * pg_pool_run. */
NODISCARD int account_resolve(struct ingress *ingress, const char *credential, const char *client,
                              struct actor *out, int *wait_s, struct err *err);

/* True when a credential that account_resolve took is none any more: expired, revoked. False when
 * nobody can tell. */
bool account_is_over(struct ingress *ingress, const char *credential);

/* The owner of the API key with this SHA-256 (64 hex digits), whoever asks. -ERR_REFUSED: none;
 * else as pg_pool_run. */
NODISCARD int account_resolve_key(struct ingress *ingress, const char *key_sha256,
                                  struct actor *out, struct err *err);

/* The same of a key that may have been revoked, which gives no right to anything new. */
NODISCARD int account_find_owner(struct ingress *ingress, const char *key_sha256, struct actor *out,
                                 struct err *err);

#endif
