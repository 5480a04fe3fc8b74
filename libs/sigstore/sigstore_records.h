/* sigstore_records: the record cache of one account, with two layers of changes above it.
 *
 *     operation   what the running operation wrote; kept or dropped as a whole
 *     staged      what operations since sigstore_begin left
 *     cached      what is stored, as far as it was loaded
 *
 * A read sees the topmost layer that has the record, then asks the backend. */
#ifndef SIGSTORE_SIGSTORE_RECORDS_H
#define SIGSTORE_SIGSTORE_RECORDS_H

#include "sigstore/sigstore.h"

struct sigstore_record;

/* Records in the order they were first written to. */
struct sigstore_list {
    struct sigstore_record **at;
    size_t n, cap;
};

struct sigstore_records {
    const struct sigstore_backend *backend; /* borrowed; NULL: the cache is all there is */
    struct sigstore_record **buckets;       /* a power of two of them, or none yet */
    size_t bucket_count;
    size_t count;
    struct sigstore_record *newest, *oldest; /* by last use */
    struct sigstore_list staged;
    struct sigstore_list touched; /* by the running operation */
    bool is_begun;
};

void sigstore_records_done(struct sigstore_records *records); /* wipes */

/* The bytes as the running operation sees them, borrowed until the next write or trim.
 * 1 found, 0 there is none, -ERR_* from the backend. */
NODISCARD int sigstore_records_get(struct sigstore_records *records, enum sigstore_kind kind,
                                   const char *key, struct bytes *out);

/* Write (copied) or remove in the operation's layer. A record never loaded counts as not stored. */
void sigstore_records_put(struct sigstore_records *records, enum sigstore_kind kind,
                          const char *key, struct bytes bytes);
void sigstore_records_remove(struct sigstore_records *records, enum sigstore_kind kind,
                             const char *key);

/* End the running operation: its layer goes into the staged one, or away. */
void sigstore_records_keep(struct sigstore_records *records);
void sigstore_records_drop(struct sigstore_records *records);

void sigstore_records_fill(struct sigstore_records *records, const struct sigstore_ref *ref,
                           struct bytes stored, uint64_t version);
bool sigstore_records_has(const struct sigstore_records *records, const struct sigstore_ref *ref);
size_t sigstore_records_change_count(const struct sigstore_records *records);
bool sigstore_records_change_next(const struct sigstore_records *records, size_t *at,
                                  struct sigstore_change *out);
void sigstore_records_commit(struct sigstore_records *records);
void sigstore_records_rollback(struct sigstore_records *records);
void sigstore_records_trim(struct sigstore_records *records, size_t keep);

#endif
