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

int crash_setup(const char *at, struct err *err)
{
    const char *count = at != NULL ? strchr(at, '@') : NULL;
    size_t n = at == NULL ? 0 : count != NULL ? (size_t)(count - at) : strlen(at);
    int64_t times = 1;

    if (n >= sizeof(crash_name) || (n == 0 && count != NULL) ||
        (count != NULL && !text_to_int(count + 1, 1, INT32_MAX, &times))) {
        return err_set(err, ERR_INVALID, "crash point \"%.80s\" is no name, nor name@count", at);
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
