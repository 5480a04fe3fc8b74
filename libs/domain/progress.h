/* progress: how far a blast is and when it will be done. */
#ifndef DOMAIN_PROGRESS_H
#define DOMAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/blast.h"
#include "domain/hours.h"

enum { PROGRESS_TEXT_MAX = 16 };
/* what takes longer has no estimate */
#define PROGRESS_ESTIMATE_MAX_MS (INT64_C(3650) * 86400000)

/* Tenths of a percent, rounded down, with two decimals: 320 of 850 is "37.60". */
void progress_percentage(int32_t current_index, int32_t total, char out[PROGRESS_TEXT_MAX]);

/* Now + messages left x mean open time per settled one since the last start or resume, closed hours
 * left out. False unless RUNNING with at least one settled since then, and for more than ten years.
 * A NULL @zone is UTC. */
bool progress_estimate(const struct blast *blast, const struct blast_counts *counts,
                       const struct hours *hours, const struct zone *zone, int64_t now_ms,
                       int64_t *out_ms);

#endif
