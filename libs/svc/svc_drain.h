/* svc_drain: SIGTERM and SIGINT end a service in order.
 *
 * The first signal calls the service back once, on the loop: it stops taking in work, finishes or
 * parks what it has, closes, and says loop_stop. A second signal a second later or more, or
 * DRAIN_TIMEOUT_MS, ends the process at once with SVC_EXIT_DRAIN_TIMEOUT: nothing is lost by that,
 * only slower to start. */
#ifndef SVC_SVC_DRAIN_H
#define SVC_SVC_DRAIN_H

#include <stdint.h>

struct loop;
struct svc_drain;
typedef void svc_drain_cb(void *ctx);

struct svc_drain *svc_drain_new(struct loop *loop, int64_t timeout_ms, svc_drain_cb *fn, void *ctx);
void svc_drain_begin(struct svc_drain *drain); /* as if a signal had come; again does nothing */
void svc_drain_free(struct svc_drain **drain); /* before loop_free, on its thread */

#endif
