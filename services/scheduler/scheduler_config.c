#include "scheduler/scheduler_config.h"

#include "cache/cache_url.h"
#include "domain/blast_config.h"
#include "domain/zone.h"
#include "scheduler/timezone.h"

#define S struct scheduler_config

static int check_timezone(const char *name, struct err *err)
{
    struct zone *zone = NULL;
    int rc = timezone_read(name, &zone, err);

    zone_free(&zone);
    return rc;
}

static const struct svc_config_entry entries[] = {
    SVC_COMMON(S, common, cache_url_check),
    SVC_INT(S, send_window, "SEND_WINDOW", "64", 1, 1000,
            "messages of a session that are handed over and not yet settled"),
    SVC_INT(S, rate_per_min, "ACCOUNT_RATE_PER_MIN", "30", 0, 1000000,
            "messages a minute that an account's blasts may send; 0: no limit"),
    SVC_INT(S, rate_burst, "ACCOUNT_RATE_BURST", "5", 1, 1000000,
            "messages that may go at once after a pause"),
    SVC_TEXT(S, timezone, "BLAST_TIMEZONE", "UTC",
             "time zone of business hours, such as Asia/Jakarta", .min = 1, .max = 64,
             .check = check_timezone),
    SVC_RANGE(S, message_delay_ms, "BLAST_MESSAGE_DELAY_MS", "1000-3000", 0, BLAST_DELAY_MAX_MS,
              "wait before a message, where the blast does not say"),
    SVC_RANGE(S, contact_delay_ms, "BLAST_CONTACT_DELAY_MS", "2000-5000", 0, BLAST_DELAY_MAX_MS,
              "wait between two recipients, where the blast does not say"),
    SVC_INT(S, recipients_max, "BLAST_RECIPIENTS_MAX", "1000000", 1, 100000000,
            "recipients of one blast"),
    SVC_INT(S, chunk_keep_s, "BLAST_UPLOAD_KEEP_S", "86400", 1, 8640000,
            "seconds that recipients wait for the command that names them"),
};

const struct svc_config_table scheduler_config_table = SVC_CONFIG_TABLE(
    "scheduler", "runs blasts: decides them and hands their messages over", entries, NULL);
