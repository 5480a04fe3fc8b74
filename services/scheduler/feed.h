/* feed: the recipients that a run hands over next, read from their chunks a few at a time. */
#ifndef SCHEDULER_FEED_H
#define SCHEDULER_FEED_H

#include <stdint.h>

struct letter;
struct run;

enum {
    FEED_MAX = 256, /* letters of one run in memory, beside those that came back */
    FEED_LOW = 128, /* fewer than that: read more */
    FEED_BYTES_MAX = 1 << 19
};

/* The next letter, or NULL; reads on when there are few. The account becomes ready when letters
 * come that were not there. */
const struct letter *feed_first(struct run *run);
struct letter *feed_take(struct run *run); /* yours (letter_free); there must be one */
void feed_clear(struct run *run);          /* begin again at what was not handed over */

#endif
