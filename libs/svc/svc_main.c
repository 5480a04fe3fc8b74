#include "svc/svc_main.h"

#include "base/err.h"
#include "svc/svc_exit.h"

int svc_main(const struct svc_config_table *table, int argc, char **argv, struct svc_common *common,
             svc_run_fn *run, void *ctx)
{
    struct err err = {0};
    int rc = svc_config_load(table, argc, argv, common, &err);

    if (rc > 0) {
        return SVC_EXIT_OK;
    }
    if (rc == 0) {
        rc = svc_start(table, common, &err);
    }
    if (rc == 0) {
        rc = run(ctx, &err);
    }
    svc_config_done(table, common);
    return rc < 0 ? svc_die(table->service, &err) : rc;
}
