/* inbox_needs: what the first stanzas of an inbox need to be handled, all at once. Inside of
 * inbox_needs.c, which looks, and inbox_load.c, which reads. */
#ifndef CONNECTOR_INBOX_NEEDS_H
#define CONNECTOR_INBOX_NEEDS_H

#include "base/arena.h"
#include "connector/inbox.h"
#include "sigstore/sigstore.h"
#include "wa/wa_jid.h"

enum {
    NEEDS_REFS_MAX = INBOX_AHEAD_MAX * SIGSTORE_REFS_MAX + 2,
    NEEDS_USERS_MAX = INBOX_AHEAD_MAX,
    NEEDS_RETRIES_MAX = 2 * INBOX_AHEAD_MAX, /* a device has two addresses */
};

/* What is missing, of all stanzas looked at. */
struct needs {
    struct account *account;
    struct arena arena;
    struct sigstore_ref *refs;
    size_t n_refs;
    struct wa_jid *users;
    size_t n_users;
    const char **ids; /* of messages whose rows are to be in memory */
    size_t n_ids;
    const char **retry_ids; /* of messages that are asked for again, and by whom */
    const char **retry_devices;
    size_t n_retries;
    uint64_t tag;
};

/* Read what is missing; the account becomes ready when all of it has come. */
void inbox_load(struct needs *needs);

#endif
