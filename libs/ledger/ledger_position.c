#include "ledger/ledger_position.h"

enum ledger_place ledger_place_of(int64_t last, int64_t position, bool begins_anywhere)
{
    if (position < 1) {
        return LEDGER_PLACE_NONE;
    }
    if (position <= last) {
        return LEDGER_PLACE_REPEAT;
    }
    if (position == last + 1 || (last == 0 && begins_anywhere)) {
        return LEDGER_PLACE_NEXT;
    }
    return LEDGER_PLACE_EARLY;
}
