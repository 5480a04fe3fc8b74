/* clock: the only place that asks the machine for the time. Pure code takes times as arguments. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { CLOCK_TEXT_MAX = 32 }; /* bytes of a formatted time with its NUL */

int64_t clock_wall_ms(void); /* since the epoch, UTC */
int64_t clock_wall_us(void);
int64_t clock_mono_ms(void); /* for time-outs and durations */
int64_t clock_mono_us(void);
int64_t clock_cpu_us(void); /* used by this process; for benchmarks */

/* UTC text of @ms since the epoch: "2025-09-07T10:30:00Z" and "2025-09-07T10:30:00.123Z". */
const char *clock_format_s(int64_t ms, char out[CLOCK_TEXT_MAX]);
const char *clock_format_ms(int64_t ms, char out[CLOCK_TEXT_MAX]);

#endif
