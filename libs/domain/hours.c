#include "domain/hours.h"

#include <stddef.h>

#include "domain/civil.h"
#include "domain/zone.h"

enum {
    HOUR_MS = 3600000,
    DAYS_MAX = 5000, /* of an estimate; beyond it nobody counts hours */
};

bool hours_are_valid(const struct hours *hours)
{
    if (!hours->has_hours) {
        return !hours->enabled;
    }
    return hours->start_hour >= 0 && hours->start_hour <= 23 && hours->end_hour >= 1 &&
           hours->end_hour <= 24 && hours->start_hour != hours->end_hour;
}

/* The end may be 24: of_day never reaches it, so such hours end at midnight. */
static bool is_open_at(const struct hours *hours, int64_t local_ms)
{
    int64_t of_day = civil_mod(local_ms, CIVIL_DAY_MS);
    int64_t start = (int64_t)hours->start_hour * HOUR_MS;
    int64_t end = (int64_t)hours->end_hour * HOUR_MS;

    return start < end ? of_day >= start && of_day < end : of_day >= start || of_day < end;
}

static bool never_close(const struct hours *hours)
{
    return !hours->enabled || (hours->start_hour == 0 && hours->end_hour == 24);
}

bool hours_are_open(const struct hours *hours, const struct zone *zone, int64_t now_ms)
{
    return never_close(hours) ||
           is_open_at(hours, now_ms + (int64_t)zone_offset_at(zone, now_ms).seconds * 1000);
}

/* The first moment from @now_ms on that is open, or not. Between two changes of the clock local
 * time runs evenly, so the next edge is found by arithmetic; where the clock changes first, look
 * again from there. */
static int64_t next_edge(const struct hours *hours, const struct zone *zone, int64_t now_ms,
                         bool open)
{
    int64_t edge = (int64_t)(open ? hours->start_hour : hours->end_hour % 24) * HOUR_MS;

    for (;;) {
        struct zone_offset offset = zone_offset_at(zone, now_ms);
        int64_t local = now_ms + (int64_t)offset.seconds * 1000;

        if (is_open_at(hours, local) == open) {
            return now_ms;
        }
        int64_t next = now_ms + civil_mod(edge - local, CIVIL_DAY_MS);

        if (next < offset.until_ms) {
            return next;
        }
        now_ms = offset.until_ms;
    }
}

int64_t hours_next_open(const struct hours *hours, const struct zone *zone, int64_t now_ms)
{
    return never_close(hours) ? now_ms : next_edge(hours, zone, now_ms, true);
}

int64_t hours_next_close(const struct hours *hours, const struct zone *zone, int64_t now_ms)
{
    return never_close(hours) ? INT64_MAX : next_edge(hours, zone, now_ms, false);
}

int64_t hours_after(const struct hours *hours, const struct zone *zone, int64_t now_ms,
                    int64_t work_ms)
{
    if (never_close(hours)) {
        return now_ms + work_ms;
    }
    for (int day = 0; day < DAYS_MAX; day++) {
        int64_t open = hours_next_open(hours, zone, now_ms);
        int64_t close = hours_next_close(hours, zone, open);

        if (work_ms <= close - open) {
            return open + work_ms;
        }
        work_ms -= close - open;
        now_ms = close;
    }
    return now_ms + work_ms;
}

int64_t hours_open_between(const struct hours *hours, const struct zone *zone, int64_t from_ms,
                           int64_t to_ms)
{
    int64_t sum = 0;

    if (never_close(hours)) {
        return to_ms > from_ms ? to_ms - from_ms : 0;
    }
    for (int day = 0; day < DAYS_MAX; day++) {
        int64_t open = hours_next_open(hours, zone, from_ms);

        if (open >= to_ms) {
            break;
        }
        int64_t close = hours_next_close(hours, zone, open);

        sum += (close < to_ms ? close : to_ms) - open;
        from_ms = close;
    }
    return sum;
}
