/* zone_rule: the rule at the end of a TZif file, as in POSIX's TZ, such as
 * "CET-1CEST,M3.5.0,M10.5.0/3". */
#ifndef DOMAIN_ZONE_RULE_H
#define DOMAIN_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum { ZONE_RULE_TEXT_MAX = 128, ZONE_OFFSET_MAX_S = 26 * 3600 };

enum zone_day_kind {
    ZONE_DAY_OF_YEAR,  /* n: 0 to 365, leap days count */
    ZONE_DAY_JULIAN,   /* Jn: 1 to 365, 29 February never counts */
    ZONE_DAY_OF_MONTH, /* Mm.w.d: the w-th weekday d of month m, 5 is the last */
};

struct zone_day {
    enum zone_day_kind kind;
    int day; /* of the year, or the weekday from Sunday 0 */
    int month;
    int week;
    int32_t time_s; /* of local time; may lie outside of the day */
};

struct zone_rule {
    int32_t standard_s; /* east of UTC */
    bool has_summer;
    int32_t summer_s;
    struct zone_day begins; /* in standard time */
    struct zone_day ends;   /* in summer time */
};

/* -ERR_INVALID leaves @out as it was. */
NODISCARD int zone_rule_parse(const char *text, struct zone_rule *out);

/* Seconds east at @at_s since the epoch; *@until_s is the next change, INT64_MAX when there is
 * none. */
int32_t zone_rule_offset(const struct zone_rule *rule, int64_t at_s, int64_t *until_s);

#endif
