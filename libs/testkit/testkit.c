#include "testkit/testkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t testkit_next(struct testkit_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint32_t testkit_below(struct testkit_random *random, uint32_t limit)
{
    return (uint32_t)(testkit_next(random) % limit);
}

const char *testkit_env(const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */

    if (value == NULL || value[0] == '\0') {
        (void)fprintf(stderr, "%s is not set: this test needs servers, see tests/run\n", name);
        _exit(1);
    }
    return value;
}

void testkit_reach(struct testkit_reached *reached, unsigned state)
{
    assert_true(state < reached->n && reached->n <= TESTKIT_REACHED_MAX);
    reached->times[state]++;
}

void testkit_all_reached(const struct testkit_reached *reached)
{
    unsigned missing = 0;

    print_message("%s:\n", reached->what);
    for (unsigned i = 0; i < reached->n; i++) {
        print_message("%8lu  %s\n", reached->times[i], reached->names[i]);
    }
    for (unsigned i = 0; i < reached->n; i++) {
        if (reached->times[i] == 0) {
            print_error("no run reached %s\n", reached->names[i]);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}
