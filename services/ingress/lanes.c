#include "ingress/lanes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

struct lanes {
    pthread_mutex_t lock;
    pthread_cond_t left;
    unsigned at_once;
    unsigned inside;
    unsigned waiting_max;
    unsigned waiting;
};

struct lanes *lanes_new(unsigned at_once, unsigned waiting)
{
    struct lanes *lanes = mem_new0(sizeof(*lanes));
    pthread_condattr_t attributes;

    lanes->at_once = at_once;
    lanes->waiting_max = waiting;
    (void)pthread_mutex_init(&lanes->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lanes->left, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return lanes;
}

void lanes_free(struct lanes **lanes)
{
    if (*lanes != NULL) {
        (void)pthread_cond_destroy(&(*lanes)->left);
        (void)pthread_mutex_destroy(&(*lanes)->lock);
        free(*lanes);
        *lanes = NULL;
    }
}

/* The lock is held. */
static void wait_for_room(struct lanes *lanes, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    struct timespec until = {until_ms / 1000, (until_ms % 1000) * 1000000};

    lanes->waiting++;
    while (lanes->inside >= lanes->at_once &&
           pthread_cond_timedwait(&lanes->left, &lanes->lock, &until) != ETIMEDOUT) {
    }
    lanes->waiting--;
}

bool lanes_enter(struct lanes *lanes, int64_t wait_ms)
{
    bool has_room;

    (void)pthread_mutex_lock(&lanes->lock);
    if (lanes->inside >= lanes->at_once && lanes->waiting < lanes->waiting_max) {
        wait_for_room(lanes, wait_ms);
    }
    has_room = lanes->inside < lanes->at_once;
    lanes->inside += has_room ? 1 : 0;
    (void)pthread_mutex_unlock(&lanes->lock);
    return has_room;
}

void lanes_leave(struct lanes *lanes)
{
    (void)pthread_mutex_lock(&lanes->lock);
    lanes->inside--;
    (void)pthread_cond_signal(&lanes->left);
    (void)pthread_mutex_unlock(&lanes->lock);
}
