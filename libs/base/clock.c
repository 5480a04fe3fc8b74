#include "base/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts) != 0) {
        assert(false && "clock_gettime cannot fail for a valid clock");
    }
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_cpu_us(void)
{
    return read_us(CLOCK_PROCESS_CPUTIME_ID);
}

static size_t format_seconds(int64_t ms, char out[CLOCK_TEXT_MAX])
{
    time_t seconds = (time_t)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm);
    return strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
}

const char *clock_format_s(int64_t ms, char out[CLOCK_TEXT_MAX])
{
    size_t n = format_seconds(ms, out);

    (void)snprintf(out + n, CLOCK_TEXT_MAX - n, "Z");
    return out;
}

const char *clock_format_ms(int64_t ms, char out[CLOCK_TEXT_MAX])
{
    size_t n = format_seconds(ms, out);
    int part = (int)(ms % 1000);

    (void)snprintf(out + n, CLOCK_TEXT_MAX - n, ".%03dZ", part < 0 ? part + 1000 : part);
    return out;
}
