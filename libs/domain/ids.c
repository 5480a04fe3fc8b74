#include "domain/ids.h"

#include <inttypes.h>
#include <stdio.h>

#include "domain/civil.h"

struct uuid session_uuid(int64_t user_id, const char *session_key)
{
    return uuid_v5("session:%" PRId64 ":%s", user_id, session_key);
}

struct uuid blast_message_uuid(const char *blast_uuid, int32_t index)
{
    return uuid_v5("message:%s:%" PRId32, blast_uuid, index);
}

struct uuid inbound_message_uuid(const char *session_uuid, const char *sender,
                                 const char *wa_message_id)
{
    return uuid_v5("inbound:%s:%s:%s", session_uuid, sender, wa_message_id);
}

struct uuid event_uuid(const char *aggregate_id, int64_t sequence)
{
    return uuid_v5("event:%s:%" PRId64, aggregate_id, sequence);
}

struct uuid idempotent_uuid(int64_t user_id, const char *kind, const char *scope, const char *key)
{
    return uuid_v5("key:%" PRId64 ":%s:%s:%s", user_id, kind, scope, key);
}

void blast_key_format(int64_t now_ms, int64_t number, char out[BLAST_KEY_MAX])
{
    struct civil_date date = civil_of_days(civil_div(now_ms, CIVIL_DAY_MS));

    /* a year of up to four digits and a number of at most nine: both are checked where they are
     * made */
    (void)snprintf(out, BLAST_KEY_MAX, "blast_%04d%02d%02d_%03" PRId64, (int)(date.year % 10000),
                   date.month, date.day, number % 1000000000);
}
