/* scheduler: runs blasts. */
#include "scheduler/scheduler.h"

int main(int argc, char **argv)
{
    return scheduler_main(argc, argv);
}
