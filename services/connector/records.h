/* records: Signal records between an account's cache and the table signal_record, where they are
 * sealed. What an operation will need is loaded ahead; an operation that misses a record waits for
 * it and is done again. */
#ifndef CONNECTOR_RECORDS_H
#define CONNECTOR_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "sigstore/sigstore.h"

struct account;
struct turn;

enum {
    RECORDS_PREKEYS_MAX = 2000, /* one-time keys that are kept; older ones go, used or not */
    RECORDS_PREKEYS_SLACK = 64  /* ... where they are made one by one, every so many */
};

/* Says "not now" for every record that is not cached. */
extern const struct sigstore_backend records_backend;

/* @tag is what the load was given: a number by which the caller knows whether it still cares. Not
 * called when the account was taken away meanwhile. */
typedef void records_loaded_fn(struct account *account, int rc, uint64_t tag);

/* True: all @n records are in the cache, those that there are. Else they will be when @fn is
 * called, which is never before this returns. */
NODISCARD bool records_load(struct account *account, const struct sigstore_ref *refs, size_t n,
                            records_loaded_fn *fn, uint64_t tag);

/* People with their numbers and LIDs, both as users. */
struct records_people {
    const char **numbers;
    const char **lids;
    size_t n;
};

/* Of one device that has a record under its number. */
struct records_kept {
    char number[SIGSTORE_NAME_MAX];
    uint8_t device;
};

typedef void records_people_fn(struct account *account, int rc, const struct records_kept *kept,
                               size_t n, const void *data);

/* Bring what is kept under the numbers of @people into the cache, and what is kept for the same
 * devices under their LIDs; then call @fn with the former and a copy of the @data_n bytes at @data,
 * never before this returns. */
void records_load_people(struct account *account, const struct records_people *people,
                         records_people_fn *fn, const void *data, size_t data_n);

/* Open the account's staging for this turn, once. */
void records_begin(struct turn *turn, struct account *account);
/* The turn ends: stage what changed as rows. */
void records_stage(struct turn *turn, struct account *account);
void records_committed(struct account *account);

/* One-time keys up to that before @next were made in this turn: those from long ago go. */
void records_drop_prekeys(struct turn *turn, const struct account *account, uint32_t next);
void records_failed(struct account *account);

#endif
