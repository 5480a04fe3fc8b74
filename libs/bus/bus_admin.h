/* bus_admin: makes the topics of the table and looks whether they are as they should be. For tools:
 * the calls wait. */
#ifndef BUS_BUS_ADMIN_H
#define BUS_BUS_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct bus_admin;
struct err;

/* Gives *@out (bus_admin_free); connects by itself. -ERR_INVALID: @brokers is no list of addresses.
 */
NODISCARD int bus_admin_new(const char *brokers, struct bus_admin **out, struct err *err);
void bus_admin_free(struct bus_admin **admin); /* sets it to NULL; NULL is fine */

/* Wait until a broker answers, at most @timeout_ms. -ERR_TIMEOUT says what was last wrong. */
NODISCARD int bus_admin_wait(struct bus_admin *admin, int64_t timeout_ms, struct err *err);

/* Make the topics that are not there, each partition on @replicas brokers; appends a line to
 * @report for each that was made. What is there is left alone. */
NODISCARD int bus_admin_create(struct bus_admin *admin, int replicas, struct buf *report,
                               struct err *err);

/* Delete the topics of the table that are there: for tests, whose topics have a prefix of their
 * own. -ERR_REFUSED: there is no prefix (bus_set_topic_prefix), so these would be the real ones. */
NODISCARD int bus_admin_delete(struct bus_admin *admin, struct err *err);

/* Compare what is there with the table: -ERR_CONFLICT, and a line in @report for each difference; 0
 * and nothing when all is well. */
NODISCARD int bus_admin_check(struct bus_admin *admin, struct buf *report, struct err *err);

#endif
