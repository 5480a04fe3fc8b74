/* testkit: what every unit test includes: cmocka with the headers it wants, and a seeded generator.
 */
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

#endif
