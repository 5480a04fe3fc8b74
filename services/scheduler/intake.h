/* intake: records from Kafka, as a turn takes them. */
#ifndef SCHEDULER_INTAKE_H
#define SCHEDULER_INTAKE_H

#include <stdbool.h>

struct turn;

/* Handle turn->record: decide it, count it or keep it. False: what it needs is being read, and it
 * is to be handled again. One that makes no sense becomes a dead letter. */
bool intake_record(struct turn *turn);

#endif
