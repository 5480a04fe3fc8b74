/* link_prekeys: one-time keys for the server: made on a thread, kept in a turn, uploaded after its
 * commit. */
#ifndef CONNECTOR_LINK_PREKEYS_H
#define CONNECTOR_LINK_PREKEYS_H

#include <stdint.h>

struct link;
struct turn;

void link_prekeys_want(struct link *link, int64_t at_server); /* -1: unknown */
void link_prekeys_stage(struct turn *turn, struct link *link);
void link_prekeys_committed(struct link *link);
void link_prekeys_drop(struct link *link);

#endif
