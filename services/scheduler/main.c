/* scheduler: runs blasts. */
#include "base/err.h"
#include "scheduler/scheduler.h"
#include "svc/svc_exit.h"

int main(int argc, char **argv)
{
    struct scheduler_config config = {0};
    struct err err = {0};
    int rc = svc_config_load(&scheduler_config_table, argc, argv, &config, &err);

    if (rc > 0) {
        return SVC_EXIT_OK;
    }
    if (rc == 0) {
        rc = svc_start(&scheduler_config_table, &config.common, &err);
    }
    if (rc == 0) {
        rc = scheduler_run(&config, &err);
    }
    svc_config_done(&scheduler_config_table, &config);
    return rc < 0 ? svc_die("scheduler", &err) : rc;
}
