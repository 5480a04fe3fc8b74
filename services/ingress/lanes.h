/* lanes: so many threads at once may do something dear; a few more wait for a moment. Any thread.
 */
#ifndef INGRESS_LANES_H
#define INGRESS_LANES_H

#include <stdbool.h>
#include <stdint.h>

struct lanes;

/* @at_once may be inside, @waiting more may wait for one of them to leave. */
struct lanes *lanes_new(unsigned at_once, unsigned waiting);
void lanes_free(struct lanes **lanes); /* nobody is inside; NULL is fine */

/* True: inside, until lanes_leave. False: too many wait already, or @wait_ms were not enough. */
bool lanes_enter(struct lanes *lanes, int64_t wait_ms);
void lanes_leave(struct lanes *lanes);

#endif
