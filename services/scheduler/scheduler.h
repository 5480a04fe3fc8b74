/* scheduler: what the files of this service share.
 *
 * One loop, one thread. Everything that lasts goes through a turn of the ledger. Memory is changed
 * within the turn: when it fails, the ledger has the partitions that it touched read again, so what
 * is in memory is either committed or thrown away, and no effect on the outside happens between.
 *
 *     blast commands -----.                                        .-> blast events
 *     recipients (chunks) -+-> intake -> run (decides) -> turn -----+-> SendMessage commands
 *     session events -----'              ^         |               '-> rows of schema scheduler
 *     message events ----> tally, window |         v
 *                           handover: window, rate, delays, hours <- feed <- chunks in PostgreSQL
 */
#ifndef SCHEDULER_SCHEDULER_H
#define SCHEDULER_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "domain/blast_config.h"
#include "ledger/ledger.h"
#include "loop/loop.h"
#include "scheduler/scheduler_config.h"

struct account;
struct ask;
struct cache;
struct metric;
struct run;
struct zone;

enum {
    SCHEDULER_ROOM_MIN = 16,       /* events that must fit before one more thing is taken up */
    SCHEDULER_IDLE_MAX = 1000,     /* blasts kept in memory that nothing waits for */
    SCHEDULER_TIMER_MAX_MS = 60000 /* longer waits look at the clock once in between */
};

/* Runs or accounts that want a turn, in order. */
struct run_list {
    struct run *first;
    size_t n;
};

struct account_list {
    struct account *first;
    size_t n;
};

struct scheduler_metrics {
    struct metric *handed_over;
    struct metric *left_out;
    struct metric *came_back;
    struct metric *blank_names; /* variables without a value */
    struct metric *chunks;
    struct metric *chunks_dropped;
    struct metric *strays; /* message events that fit no blast, or contradict it */
    struct metric *runs;
    struct metric *flights;
    struct metric *left; /* recipients */
    struct metric *parked;
};

struct scheduler {
    const struct scheduler_config *config;
    struct blast_config defaults;
    struct zone *zone; /* NULL: UTC */
    struct loop *loop;
    struct ledger *ledger;
    struct cache *cache;
    struct scheduler_metrics metrics;

    struct map runs;     /* struct run by uuid: all in memory */
    struct map accounts; /* struct account by uuid: sessions heard of */
    struct run_list ready_runs;
    struct account_list ready_accounts;
    struct run_list to_see;  /* whose account changed: before anything else is taken up */
    struct run_list waiting; /* with parked commands */
    struct run_list idle;    /* nothing waits for them: oldest first */
    struct ask *asks;        /* queries on their way */
    bool is_asking;          /* some have not been sent yet */
    size_t n_flights;

    struct loop_timer sweep;
    bool draining; /* nothing more is handed over */
};

/* The whole service: what main does. */
int scheduler_main(int argc, char **argv);

#endif
