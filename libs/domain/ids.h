/* ids: every id that is made from other ids, so that the same thing has the same id for ever. */
#ifndef DOMAIN_IDS_H
#define DOMAIN_IDS_H

#include <stdint.h>

#include "base/uuid.h"

enum { BLAST_KEY_MAX = 32 }; /* bytes with the NUL */

struct uuid session_uuid(int64_t user_id, const char *session_key);
struct uuid blast_message_uuid(const char *blast_uuid, int32_t index); /* @index from 0 */
struct uuid inbound_message_uuid(const char *session_uuid, const char *sender,
                                 const char *wa_message_id);
struct uuid event_uuid(const char *aggregate_id, int64_t sequence);

/* An id from an idempotency key: @kind is "message", "blast", ...; @scope the session or "". */
struct uuid idempotent_uuid(int64_t user_id, const char *kind, const char *scope, const char *key);

/* "blast_20250907_001": the UTC day of @now_ms, and a number of at least three digits. */
void blast_key_format(int64_t now_ms, int64_t number, char out[BLAST_KEY_MAX]);

#endif
