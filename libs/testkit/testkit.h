/* testkit: what every unit test includes: cmocka with the headers it wants, a seeded generator,
 * where servers are, and what tells whether a random run went everywhere. */
#ifndef TESTKIT_TESTKIT_H
#define TESTKIT_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* after the four above */

/* Deterministic numbers for property tests (splitmix64): the same seed, the same run. */
struct testkit_random {
    uint64_t state;
};

uint64_t testkit_next(struct testkit_random *random);
uint32_t testkit_below(struct testkit_random *random, uint32_t limit); /* 0 .. limit - 1 */

/* The environment's variable @name, as tests/run sets it for tests with servers. Without it the
 * program ends. */
const char *testkit_env(const char *name);

/* Which of @n states a random run came to, and how often. */
enum { TESTKIT_REACHED_MAX = 32 };

struct testkit_reached {
    const char *what; /* "session" */
    const char *const *names;
    unsigned n; /* at most TESTKIT_REACHED_MAX */
    unsigned long times[TESTKIT_REACHED_MAX];
};

void testkit_reach(struct testkit_reached *reached, unsigned state);
/* Prints how often each was reached; fails with the names of those that never were. */
void testkit_all_reached(const struct testkit_reached *reached);

#endif
