/* session_query: sessions as the projections and Redis show them. Any thread; rows live in the
 * arena. */
#ifndef INGRESS_SESSION_QUERY_H
#define INGRESS_SESSION_QUERY_H

#include <stddef.h>

#include "base/attr.h"
#include "ingress/ingress.h"
#include "ingress/view.h"

struct arena;
struct err;
struct pg_rows;

/* What a path or body may name a session by: its key, its uuid with or without dashes, or its
 * number. -ERR_NOT_FOUND: none of @user_id's that lives; else as pg_pool_run. */
NODISCARD int session_find(struct ingress *ingress, int64_t user_id, const char *name,
                           struct arena *arena, struct session_row *out, struct err *err);

/* The live session of @user_id that is linked to the phone (digits). Errors as session_find. */
NODISCARD int session_find_phone(struct ingress *ingress, int64_t user_id, const char *phone,
                                 struct arena *arena, struct session_row *out, struct err *err);

/* All live ones of a user by position; at most SESSIONS_MAX. Gives *@out, an array of the arena. */
enum { SESSIONS_MAX = 10000 };
NODISCARD int session_list(struct ingress *ingress, int64_t user_id, struct arena *arena,
                           struct session_row **out, size_t *n, struct err *err);

/* Fill @row->runtime from Redis; unknown where Redis has nothing, or is away. */
void session_runtime(struct ingress *ingress, struct arena *arena, struct session_row *row);

/* What @row does now: as Redis says where that is newer than the projection. */
enum session_phase session_phase_now(const struct session_row *row);

/* The columns that session_from_row reads, for queries that join sessions as s. */
#define SESSION_COLUMNS                                                                         \
    "s.uuid, s.id, s.session_key, s.user_id, s.name, s.position, s.phone, s.jid, s.push_name, " \
    "s.display_name::text, s.profile_picture, s.metadata->'operatorInfo'->>'provider', "        \
    "s.metadata->'operatorInfo'->>'type', s.state, s.linked, s.webhook_url, "                   \
    "s.webhook_secret_enc IS NOT NULL, s.disconnect_reason, "                                   \
    "coalesce(s.last_seen, s.last_activity), s.applied_seq"

/* The row at @at, whose session columns begin at @column. Copies into the arena. */
void session_from_row(const struct pg_rows *rows, size_t at, int column, struct arena *arena,
                      struct session_row *out);

#endif
