/* records: Signal records between an account's cache and the table signal_record, where they are
 * sealed. What an operation will need is loaded ahead; an operation that misses a record waits for
 * it and is done again. */
#ifndef CONNECTOR_RECORDS_H
#define CONNECTOR_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "sigstore/sigstore.h"

struct account;
struct turn;

/* Says "not now" for every record that is not cached. Of all accounts, which borrow it. */
extern const struct sigstore_backend records_backend;

typedef void records_loaded_fn(struct account *account, int rc, void *ctx);

/* Bring @n records into the cache, those that there are; then call @fn. Those cached already cost
 * nothing; when all are, @fn is called before this returns. Not within a turn's commit. */
void records_load(struct account *account, const struct sigstore_ref *refs, size_t n,
                  records_loaded_fn *fn, void *ctx);

/* Open the account's staging for this turn, once. */
void records_begin(struct turn *turn, struct account *account);
/* The turn ends: stage what changed as rows. */
void records_stage(struct turn *turn, struct account *account);
void records_committed(struct account *account);
void records_failed(struct account *account);

#endif
