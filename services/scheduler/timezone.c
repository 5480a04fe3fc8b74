#include "scheduler/timezone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "domain/zone.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"

/* Letters, digits and "_+-/", and nothing that leaves the folder. */
static bool is_name(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");

    return n > 0 && name[n] == '\0' && name[0] != '/';
}

int timezone_read(const char *name, struct zone **out, struct err *err)
{
    char path[128];
    uint8_t *file = mem_new0(ZONE_FILE_MAX + 1);
    size_t n = 0;
    int rc = 0;

    if (strcmp(name, "UTC") == 0) {
        *out = NULL;
    } else if (!is_name(name)) {
        rc = err_set(err, ERR_INVALID, "%s is no name of a time zone", name);
    } else {
        (void)snprintf(path, sizeof(path), "%s/%s", ZONE_FOLDER, name);
        FILE *stream = fopen(path, "re");

        if (stream != NULL) {
            n = fread(file, 1, ZONE_FILE_MAX + 1, stream);
            (void)fclose(stream);
        }
        rc = n == 0 ? err_set(err, ERR_INVALID, "%s cannot be read (package tzdata)", path)
                    : zone_parse((struct bytes){file, n}, out, err);
    }
    free(file);
    return rc;
}
