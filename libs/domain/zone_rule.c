#include "domain/zone_rule.h"

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "domain/civil.h"

/* Each reader moves *@at over what it took and returns false when that is not what it wants. */

static bool read_number(const char **at, int max, int *out)
{
    const char *p = *at;
    int value = 0;

    while (*p >= '0' && *p <= '9' && value <= max) {
        value = value * 10 + (*p - '0');
        p++;
    }
    if (p == *at || value > max) {
        return false;
    }
    *at = p;
    *out = value;
    return true;
}

static bool take(const char **at, char c)
{
    if (**at != c) {
        return false;
    }
    (*at)++;
    return true;
}

/* [+-]hh[:mm[:ss]], hours up to @max_hours */
static bool read_time(const char **at, int max_hours, int32_t *out)
{
    bool negative = take(at, '-');
    int hours = 0;
    int minutes = 0;
    int seconds = 0;

    if (!negative) {
        (void)take(at, '+');
    }
    if (!read_number(at, max_hours, &hours)) {
        return false;
    }
    if (take(at, ':')) {
        if (!read_number(at, 59, &minutes) || (take(at, ':') && !read_number(at, 59, &seconds))) {
            return false;
        }
    }
    *out = hours * 3600 + minutes * 60 + seconds;
    *out = negative ? -*out : *out;
    return true;
}

/* Three letters or more, or anything between < and >. */
static bool read_name(const char **at)
{
    const char *p = *at;
    size_t n = 0;

    if (*p == '<') {
        p = strchr(p, '>');
        if (p == NULL) {
            return false;
        }
        *at = p + 1;
        return true;
    }
    while ((p[n] >= 'A' && p[n] <= 'Z') || (p[n] >= 'a' && p[n] <= 'z')) {
        n++;
    }
    *at = p + n;
    return n >= 3;
}

static bool read_day(const char **at, struct zone_day *out)
{
    *out = (struct zone_day){.time_s = 2 * 3600};
    if (take(at, 'M')) {
        out->kind = ZONE_DAY_OF_MONTH;
        if (!read_number(at, 12, &out->month) || out->month < 1 || !take(at, '.') ||
            !read_number(at, 5, &out->week) || out->week < 1 || !take(at, '.') ||
            !read_number(at, 6, &out->day)) {
            return false;
        }
    } else if (take(at, 'J')) {
        out->kind = ZONE_DAY_JULIAN;
        if (!read_number(at, 365, &out->day) || out->day < 1) {
            return false;
        }
    } else {
        out->kind = ZONE_DAY_OF_YEAR;
        if (!read_number(at, 365, &out->day)) {
            return false;
        }
    }
    return !take(at, '/') || read_time(at, 167, &out->time_s);
}

int zone_rule_parse(const char *text, struct zone_rule *out)
{
    struct zone_rule rule = {0};
    const char *at = text;
    int32_t west = 0;

    if (!read_name(&at) || !read_time(&at, 24, &west)) {
        return -ERR_INVALID;
    }
    rule.standard_s = -west; /* POSIX counts to the west */
    if (*at != '\0') {
        rule.has_summer = true;
        rule.summer_s = rule.standard_s + 3600;
        if (!read_name(&at)) {
            return -ERR_INVALID;
        }
        if (*at != ',') {
            if (!read_time(&at, 24, &west)) {
                return -ERR_INVALID;
            }
            rule.summer_s = -west;
        }
        if (!take(&at, ',') || !read_day(&at, &rule.begins) || !take(&at, ',') ||
            !read_day(&at, &rule.ends) || *at != '\0') {
            return -ERR_INVALID;
        }
    }
    *out = rule;
    return 0;
}

static bool is_leap(int64_t year)
{
    return civil_mod(year, 4) == 0 && (civil_mod(year, 100) != 0 || civil_mod(year, 400) == 0);
}

/* The day of @year, since 1970-01-01. */
static int64_t day_in(const struct zone_day *day, int64_t year)
{
    switch (day->kind) {
    case ZONE_DAY_OF_YEAR:
        return civil_to_days(year, 1, 1) + day->day;
    case ZONE_DAY_JULIAN:
        return civil_to_days(year, 1, 1) + day->day - 1 + (is_leap(year) && day->day >= 60 ? 1 : 0);
    case ZONE_DAY_OF_MONTH:
        break;
    }
    int64_t first = civil_to_days(year, day->month, 1);
    int64_t next =
        day->month == 12 ? civil_to_days(year + 1, 1, 1) : civil_to_days(year, day->month + 1, 1);
    int64_t weekday = civil_mod(first + 4, 7); /* 1970-01-01 was a Thursday */
    int64_t found = first + civil_mod(day->day - weekday, 7) + (int64_t)(day->week - 1) * 7;

    return found < next ? found : found - 7;
}

/* A change of the clock: from here on @seconds hold. */
struct change {
    int64_t at_s;
    int32_t seconds;
};

static struct change begins(const struct zone_rule *rule, int64_t year)
{
    return (struct change){day_in(&rule->begins, year) * CIVIL_DAY_S + rule->begins.time_s -
                               rule->standard_s,
                           rule->summer_s};
}

static struct change ends(const struct zone_rule *rule, int64_t year)
{
    return (struct change){day_in(&rule->ends, year) * CIVIL_DAY_S + rule->ends.time_s -
                               rule->summer_s,
                           rule->standard_s};
}

int32_t zone_rule_offset(const struct zone_rule *rule, int64_t at_s, int64_t *until_s)
{
    int64_t year = civil_of_days(civil_div(at_s, CIVIL_DAY_S)).year;
    struct change last = {INT64_MIN, rule->standard_s};

    *until_s = INT64_MAX;
    if (!rule->has_summer) {
        return rule->standard_s;
    }
    /* The year of UTC may be the one before or after that of local time. */
    for (int64_t y = year - 1; y <= year + 1; y++) {
        struct change both[2] = {begins(rule, y), ends(rule, y)};

        for (int i = 0; i < 2; i++) {
            if (both[i].at_s <= at_s && both[i].at_s >= last.at_s) {
                last = both[i];
            } else if (both[i].at_s > at_s && both[i].at_s < *until_s) {
                *until_s = both[i].at_s;
            }
        }
    }
    return last.seconds;
}
