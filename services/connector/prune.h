/* prune: rows that nobody will ask for any more go, some at a time. */
#ifndef CONNECTOR_PRUNE_H
#define CONNECTOR_PRUNE_H

struct connector;

enum { PRUNE_EVERY_MS = 60000 };

/* Begin one round; does nothing while an earlier one is under way. */
void prune_run(struct connector *connector);

#endif
