/* opening: connections that are due, opened at a bounded rate: after a take-over thousands are, and
 * neither this core nor WhatsApp wants them all at once. First come, first served. */
#ifndef CONNECTOR_OPENING_H
#define CONNECTOR_OPENING_H

struct account;
struct connector;

void opening_add(struct account *account);  /* link_open when it is its turn; once */
void opening_drop(struct account *account); /* not any more; fine when it was not added */

#endif
