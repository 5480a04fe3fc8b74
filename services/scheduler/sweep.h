/* sweep: chunks of recipients that no blast needs go, some at a time: those of blasts that are
 * over, of another upload than the blast's, and, after a day, those that no blast ever named. */
#ifndef SCHEDULER_SWEEP_H
#define SCHEDULER_SWEEP_H

struct scheduler;

void sweep_start(struct scheduler *scheduler); /* until scheduler->sweep is stopped */

#endif
