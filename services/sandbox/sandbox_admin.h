/* sandbox_admin: the HTTP interface with which tests and demos run the world: phones are made, scan
 * codes, write; and what they saw is asked for. README.md lists the paths. */
#ifndef SANDBOX_SANDBOX_ADMIN_H
#define SANDBOX_SANDBOX_ADMIN_H

#include "base/attr.h"

struct err;
struct loop;
struct sandbox_admin;
struct sandbox_net;
struct sandbox_world;
struct svc_health;

struct sandbox_admin_config {
    const char *bind; /* NULL: 127.0.0.1 */
    int port;         /* 0: any, see sandbox_admin_port */
    struct sandbox_world *world;
    struct sandbox_net *net;
    struct svc_health *health;
};

/* Serve. Handlers run on threads of the server, what they do to the world on @loop. Borrows all of
 * @config until sandbox_admin_close. -ERR_SYSTEM: the port is taken. */
NODISCARD int sandbox_admin_new(struct loop *loop, const struct sandbox_admin_config *config,
                                struct sandbox_admin **out, struct err *err);
int sandbox_admin_port(const struct sandbox_admin *admin);
void sandbox_admin_close(struct sandbox_admin **admin); /* requests under way are answered 503 */

#endif
