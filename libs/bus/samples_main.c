/* bus-samples: records of every topic and kind as libs/bus writes them, for tests that read them
 * with other programs. One line each: topic, a blank, the bytes in hex. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_tester.h"

enum { SEEDS = 3 };

static int print_sample(enum topic topic, int kind, uint64_t seed)
{
    struct arena arena = {0};
    struct buf record = {0};
    struct buf hex = {0};
    struct err err = {0};
    int rc = bus_encode(topic, bus_any_record(topic, &arena, seed, kind), &record, &err);

    if (rc < 0) {
        (void)fprintf(stderr, "bus-samples: %s\n", err.text);
    } else {
        text_hex(&hex, buf_bytes(&record));
        (void)printf("%s %s\n", topics[topic].name, buf_text(&hex));
    }
    buf_done(&hex);
    buf_done(&record);
    arena_done(&arena);
    return rc;
}

static int print_topic(enum topic topic)
{
    int kinds = (int)topics[topic].type->cases_n;
    int rc = 0;

    for (int kind = kinds > 0; kind <= kinds; kind++) {
        for (uint64_t seed = 1; seed <= SEEDS && rc == 0; seed++) {
            rc = print_sample(topic, kind, seed);
        }
    }
    return rc;
}

int main(void)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        if (print_topic((enum topic)topic) < 0) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}
