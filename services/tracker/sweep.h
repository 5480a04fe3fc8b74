/* sweep: recipients of uploads that no blast came to name go after a week, some at a time.
 *
 * A create is decided by its deadline, minutes after its recipients were written, so a week is long
 * enough for every BlastCreated to arrive here. Where one has been on its way for longer all the
 * same, the log still has the recipients, and a rebuild brings them back. */
#ifndef TRACKER_SWEEP_H
#define TRACKER_SWEEP_H

struct tracker;

/* After a commit: begin with those partitions that were not swept for a while. */
void sweep_if_due(struct tracker *tracker);

#endif
