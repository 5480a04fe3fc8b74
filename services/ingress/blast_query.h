/* blast_query: blasts and their messages as the projections show them. Any thread; rows live in the
 * arena. */
#ifndef INGRESS_BLAST_QUERY_H
#define INGRESS_BLAST_QUERY_H

#include <stddef.h>

#include "base/attr.h"
#include "ingress/ingress.h"
#include "ingress/view.h"

struct arena;
struct err;

struct blast_filter {
    const char *status; /* "RUNNING"; NULL: any */
    int64_t limit;
    int64_t offset;
};

/* A page of @user_id's blasts, newest first, each with its session, and how many there are in all.
 * When sessions cannot be read the blasts come without. Errors as pg_pool_run. */
NODISCARD int blast_list(struct ingress *ingress, int64_t user_id,
                         const struct blast_filter *filter, struct arena *arena,
                         struct blast_rows *out, struct err *err);

/* By public id ("blast_...") or number. -ERR_NOT_FOUND: none of @user_id's; else as pg_pool_run. */
NODISCARD int blast_find(struct ingress *ingress, int64_t user_id, const char *name,
                         struct arena *arena, struct blast_row *out, struct err *err);

struct message_filter {
    const char *status; /* one that F0 knows (view_f0_stored_statuses); NULL: any */
    int64_t limit;
    int64_t offset;
};

/* A page of a blast's messages by index; those not sent yet are rendered here. */
NODISCARD int message_list(struct ingress *ingress, const char *blast_uuid,
                           const struct message_filter *filter, struct arena *arena,
                           struct message_rows *out, struct err *err);

/* Where a message of the projections is. -ERR_NOT_FOUND: not there yet. */
struct message_progress {
    const char *state;         /* of message_states; RETRYING: failed, and to be tried again */
    const char *wa_message_id; /* NULL: not known yet */
    const char *last_error;
};
NODISCARD int message_progress(struct ingress *ingress, const char *uuid, struct arena *arena,
                               struct message_progress *out, struct err *err);

#endif
