/* hours: business hours in a time zone, right across changes of the clock. Times are ms since the
 * epoch. */
#ifndef DOMAIN_HOURS_H
#define DOMAIN_HOURS_H

#include <stdbool.h>
#include <stdint.h>

struct zone;

/* From @start_hour to before @end_hour; a start after the end goes over midnight. */
struct hours {
    bool enabled;   /* false: always open */
    bool has_hours; /* were they given? With enabled they must be */
    int start_hour; /* 0 to 23 */
    int end_hour;   /* 1 to 24, not equal to the start */
};

bool hours_are_valid(const struct hours *hours);

/* A NULL @zone is UTC. */
bool hours_are_open(const struct hours *hours, const struct zone *zone, int64_t now_ms);

/* The first moment from @now_ms on that is open, or closed; INT64_MAX when none comes (always
 * open). */
int64_t hours_next_open(const struct hours *hours, const struct zone *zone, int64_t now_ms);
int64_t hours_next_close(const struct hours *hours, const struct zone *zone, int64_t now_ms);

/* When @work_ms of open time have passed since @now_ms. */
int64_t hours_after(const struct hours *hours, const struct zone *zone, int64_t now_ms,
                    int64_t work_ms);

/* Milliseconds of open time from @from_ms to before @to_ms. */
int64_t hours_open_between(const struct hours *hours, const struct zone *zone, int64_t from_ms,
                           int64_t to_ms);

#endif
