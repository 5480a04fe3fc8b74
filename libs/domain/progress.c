#include "domain/progress.h"

#include <stdio.h>

void progress_percentage(int32_t current_index, int32_t total, char out[PROGRESS_TEXT_MAX])
{
    int64_t tenths = total > 0 ? INT64_C(1000) * current_index / total : 0;

    tenths = tenths < 0 ? 0 : tenths > 1000 ? 1000 : tenths;
    (void)snprintf(out, PROGRESS_TEXT_MAX, "%d.%d0", (int)(tenths / 10), (int)(tenths % 10));
}

bool progress_estimate(const struct blast *blast, const struct blast_counts *counts,
                       const struct hours *hours, const struct zone *zone, int64_t now_ms,
                       int64_t *out_ms)
{
    int64_t settled = (int64_t)counts->current_index - blast->run_from_index;
    int64_t left = (int64_t)blast->total - counts->current_index;
    int64_t took_ms = hours_open_between(hours, zone, blast->run_from_ms, now_ms);

    if (blast->status != BLAST_RUNNING || settled <= 0 || left < 0) {
        return false;
    }
    /* In double: milliseconds of weeks times a million recipients leave 63 bits. */
    double work_ms = (double)took_ms * (double)left / (double)settled;

    if (work_ms > (double)PROGRESS_ESTIMATE_MAX_MS) {
        return false;
    }
    *out_ms = hours_after(hours, zone, now_ms, (int64_t)work_ms);
    return true;
}
