/* ask: queries outside of turns, about a run that may be gone when the answer comes. */
#ifndef SCHEDULER_ASK_H
#define SCHEDULER_ASK_H

#include <stdint.h>

struct err;
struct pg_rows;
struct pg_stmt;
struct run;
struct scheduler;

/* @rows NULL: it failed, @err says why. @number: as it was given to ask_run. */
typedef void ask_cb(struct run *run, int32_t number, const struct pg_rows *rows,
                    const struct err *err);

/* Takes @stmt. It sees what the open turn writes. @fn is called once, later, unless the run's
 * partition is read anew before. */
void ask_run(struct run *run, struct pg_stmt *stmt, int32_t number, ask_cb *fn);

void ask_free_all(struct scheduler *scheduler); /* once no answer can come any more */

#endif
