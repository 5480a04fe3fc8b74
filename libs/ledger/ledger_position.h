/* ledger_position: may the event at this position be applied (L4)? Pure. */
#ifndef LEDGER_LEDGER_POSITION_H
#define LEDGER_LEDGER_POSITION_H

#include <stdbool.h>
#include <stdint.h>

enum ledger_place {
    LEDGER_PLACE_NEXT,   /* apply it */
    LEDGER_PLACE_REPEAT, /* it was applied: drop it */
    LEDGER_PLACE_EARLY,  /* one before it is missing, both come again: drop it */
    LEDGER_PLACE_NONE    /* no position at all: nothing that a ledger wrote */
};

/* @last: position of the event applied last, 0 for none yet. @begins_anywhere: the log does not
 * keep its beginning, so that a new reader starts with the first event that it finds. */
enum ledger_place ledger_place_of(int64_t last, int64_t position, bool begins_anywhere);

#endif
