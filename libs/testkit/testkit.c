#include "testkit/testkit.h"

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
