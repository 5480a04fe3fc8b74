/* Time zones: a file that is read gives offsets at any time, and changes of them only ahead. */
#include <stdint.h>
#include <stdlib.h>

#include "domain/hours.h"
#include "domain/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hours hours = {.enabled = true, .has_hours = true, .start_hour = 9, .end_hour = 17};
    struct zone *zone = NULL;

    if (zone_parse((struct bytes){data, size}, &zone, NULL) < 0) {
        return 0;
    }
    for (int64_t at_ms = -4000000000000; at_ms < 4000000000000; at_ms += 123456789012) {
        if (zone_offset_at(zone, at_ms).until_ms <= at_ms) {
            abort();
        }
        int64_t open = hours_next_open(&hours, zone, at_ms);

        if (open < at_ms || !hours_are_open(&hours, zone, open)) {
            abort();
        }
    }
    zone_free(&zone);
    return 0;
}
