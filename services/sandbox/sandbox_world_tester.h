/* sandbox_world_tester: a world with two phones and a tester that one of them may link: what each
 * test of the world begins with. */
#ifndef SANDBOX_SANDBOX_WORLD_TESTER_H
#define SANDBOX_SANDBOX_WORLD_TESTER_H

#include "sandbox/sandbox_tester.h"

#define WORLD_ALICE "4915111111111"
#define WORLD_BOB   "4915122222222"

struct world_tester {
    struct sandbox_world *world;
    struct sandbox_account *alice; /* whose companion the tester becomes */
    struct sandbox_account *bob;
    struct tester tester; /* not connected yet */
};

int world_tester_set_up(void **state); /* cmocka's: *@state is a struct world_tester */
int world_tester_tear_down(void **state);

/* Fail with the last one unless there was none. */
void world_tester_no_violations(const struct world_tester *f);
/* Fail unless there were @n so far, all of them @what. */
void world_tester_violations(const struct world_tester *f, enum sandbox_violation what, unsigned n);

#endif
