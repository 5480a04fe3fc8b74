/* svc_main: what main of every service does around its own work. */
#ifndef SVC_SVC_MAIN_H
#define SVC_SVC_MAIN_H

#include "svc/svc_config.h"

/* The service itself, until it has ended. Returns its exit status (of enum svc_exit), or a negative
 * error that kept it from starting or from going on. */
typedef int svc_run_fn(void *ctx, struct err *err);

/* Load the configuration by @table into @common, with which the service's own struct begins; start;
 * @run(@ctx); wipe the configuration. Returns the exit status for main: an error is logged and has
 * the one that fits it. */
int svc_main(const struct svc_config_table *table, int argc, char **argv, struct svc_common *common,
             svc_run_fn *run, void *ctx);

#endif
