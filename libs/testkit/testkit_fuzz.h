/* testkit_fuzz: what a fuzz target says of what it saw. */
#ifndef TESTKIT_TESTKIT_FUZZ_H
#define TESTKIT_TESTKIT_FUZZ_H

#include <stdbool.h>
#include <stdlib.h>

/* Ends the program where @held is false: libFuzzer and the replay of the corpus both see that. */
static inline void must(bool held)
{
    if (!held) {
        abort();
    }
}

#endif
