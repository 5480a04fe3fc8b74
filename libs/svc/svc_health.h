/* svc_health: is this process well, may it get work, and what does it count.
 *
 * /healthz  200 {"status":"ok"} or 503 naming what fails: a dependency, or a loop that stands still
 * /readyz   the same, and also 503 before svc_health_set_ready(true) and while draining
 * /metrics  Prometheus text (base/metric.h)
 *
 * Served by a thread of its own, so that a loop that hangs shows. */
#ifndef SVC_SVC_HEALTH_H
#define SVC_SVC_HEALTH_H

#include <stdbool.h>

#include "base/attr.h"

struct buf;
struct err;
struct loop;
struct svc_common;
struct svc_health;

#define SVC_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8" /* Content-Type of /metrics */

/* Beats on @loop, on whose thread this is called. Gives the object (svc_health_free). */
struct svc_health *svc_health_new(struct loop *loop);

/* Serve the three paths on 127.0.0.1:@port (0: any free one). -ERR_SYSTEM: the port is taken. */
NODISCARD int svc_health_listen(struct svc_health *health, int port, struct err *err);
int svc_health_port(const struct svc_health *health); /* where it listens; 0: it does not */

/* State of the dependency @name ("kafka", "postgres", "redis", ...; a literal, at most 8 of them).
 * Any thread. @why (may be NULL) is copied; it must hold no secret. */
void svc_health_set(struct svc_health *health, const char *name, bool is_ok, const char *why);
void svc_health_set_ready(struct svc_health *health, bool is_ready); /* any thread */

/* For a service with a server of its own: the status (200 or 503) and the body of a path. */
int svc_health_answer(struct svc_health *health, bool with_ready, struct buf *body);
void svc_health_metrics(struct svc_health *health, struct buf *body);

void svc_health_free(struct svc_health **owner); /* on the loop's thread, before loop_free */

#endif
