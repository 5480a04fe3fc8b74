/* crash: end the process at a named point, so that tests can look at what a crash there leaves
 * behind.
 *
 * A point is "<service>.<before|after>.<what>": what is a commit, a publish, a socket write, an
 * ack, or a step between them after which memory knows more than the tables. (What is swept by its
 * age has none: the same statement comes again.) Any thread. tests/chaos/crash_points_test.py forces
 * each one of the tree, but for what crash_points.py names: a new one needs its line there. */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include "base/attr.h"

struct err;

/* Whether crash_setup would take @at: a point's name and, after "@", how often it is passed first.
 * -ERR_INVALID: no such form. */
NODISCARD int crash_check(const char *at, struct err *err);

/* Where to end: "connector.before.commit", or with "@3" behind it the third time that the point is
 * passed (KENTONGAN_CRASH_AT). NULL or "" for nowhere, as before the first call. Say it before
 * other threads start. -ERR_INVALID: no such form. */
NODISCARD int crash_setup(const char *at, struct err *err);

/* Ends the process with _exit(137) when @service "." @point is the one. */
void crash_point(const char *service, const char *point);

#endif
