/* prune: rows that nobody will ask for any more go, some at a time. */
#ifndef CONNECTOR_PRUNE_H
#define CONNECTOR_PRUNE_H

struct connector;

enum { PRUNE_EVERY_MS = 60000 };

/* From now on, until connector->prune is stopped. */
void prune_start(struct connector *connector);

#endif
