/* link_prekeys: one-time keys for the server: made on a thread, kept in a turn, uploaded after its
 * commit. When that fails, the server is asked after a while how many it has, and the same keys go
 * out again if it lacks them: new ones each time would push those out of the table that it has. */
#ifndef CONNECTOR_LINK_PREKEYS_H
#define CONNECTOR_LINK_PREKEYS_H

#include <stdint.h>

struct link;
struct turn;

enum {
    LINK_PREKEYS_AGAIN_MS = 1000, /* after the first upload that failed; doubles */
    LINK_PREKEYS_AGAIN_MOST_MS = 600000,
};

/* Make and upload some, unless that is under way. @at_server: how many it has left; -1: unknown. */
void link_prekeys_want(struct link *link, int64_t at_server);
void link_prekeys_stage(struct turn *turn, struct link *link); /* in a turn: those that are made */
void link_prekeys_committed(struct link *link);                /* after it: upload them */
void link_prekeys_drop(struct link *link);                     /* nothing is under way any more */

#endif
