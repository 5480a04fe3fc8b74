#include "base/crash.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"

enum { CRASH_NAME_MAX = 64, CRASH_STATUS = 137 };

static char crash_name[CRASH_NAME_MAX];
static atomic_llong crash_left;

/* "<service>.<before|after>.<what>", perhaps with "@count" behind it. */
static int parse(const char *at, size_t *out_n, int64_t *out_times, struct err *err)
{
    const char *count = strchr(at, '@');
    size_t n = count != NULL ? (size_t)(count - at) : strlen(at);
    const char *side = memchr(at, '.', n);
    bool is_name = side != NULL && side > at && n < CRASH_NAME_MAX &&
                   (strncmp(side, ".before.", 8) == 0 || strncmp(side, ".after.", 7) == 0);

    *out_n = n;
    *out_times = 1;
    if (!is_name || (count != NULL && !text_to_int(count + 1, 1, INT32_MAX, out_times))) {
        return err_set(err, ERR_INVALID,
                       "\"%.80s\" is no crash point, such as tracker.after.commit or "
                       "tracker.after.commit@3",
                       at);
    }
    return 0;
}

int crash_check(const char *at, struct err *err)
{
    size_t n;
    int64_t times;

    return parse(at, &n, &times, err);
}

int crash_setup(const char *at, struct err *err)
{
    size_t n = 0;
    int64_t times = 1;
    int rc = at == NULL || at[0] == '\0' ? 0 : parse(at, &n, &times, err);

    if (rc < 0) {
        return rc;
    }
    if (n > 0) {
        memcpy(crash_name, at, n);
    }
    crash_name[n] = '\0';
    atomic_store(&crash_left, times);
    return 0;
}

void crash_point(const char *service, const char *point)
{
    char name[CRASH_NAME_MAX];

    if (crash_name[0] == '\0') {
        return;
    }
    (void)snprintf(name, sizeof(name), "%s.%s", service, point);
    if (strcmp(name, crash_name) == 0 && atomic_fetch_sub(&crash_left, 1) == 1) {
        _exit(CRASH_STATUS);
    }
}
