/* sandbox_net: puts a world on websockets and on the machine's clock. */
#ifndef SANDBOX_SANDBOX_NET_H
#define SANDBOX_SANDBOX_NET_H

#include <stdint.h>

#include "base/attr.h"

struct err;
struct loop;
struct sandbox_net;
struct sandbox_world;
struct ws_tls;

struct sandbox_net_config {
    const char *address;      /* numeric */
    uint16_t port;            /* 0: any, see sandbox_net_port */
    const struct ws_tls *tls; /* NULL: plain; must outlive it */
    int64_t (*clock)(void);   /* unix time in ms; NULL: the machine's */
};

/* Listen. Borrows @world until sandbox_net_close. Gives *@out. -ERR_SYSTEM: the port is taken. */
NODISCARD int sandbox_net_new(struct loop *loop, struct sandbox_world *world,
                              const struct sandbox_net_config *config, struct sandbox_net **out,
                              struct err *err);
uint16_t sandbox_net_port(const struct sandbox_net *net);

/* Others do something to the world between these two: before it the world's clock is set, which
 * stood still while nothing was due; after it what is due is done, and the next deadline watched.
 */
void sandbox_net_wake(struct sandbox_net *net);
void sandbox_net_touch(struct sandbox_net *net);
void sandbox_net_close(struct sandbox_net **net); /* cuts all connections */

#endif
