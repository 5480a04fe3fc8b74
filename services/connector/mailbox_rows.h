/* mailbox_rows: one row: out of a command, out of the table, and back into it. */
#ifndef CONNECTOR_MAILBOX_ROWS_H
#define CONNECTOR_MAILBOX_ROWS_H

#include "connector/mailbox.h"

/* A row of @command, in no mailbox yet. Ended by mailbox_row_done, or with its mailbox. */
struct row *mailbox_row_of(const struct account *account, const struct message_command *command);
void mailbox_row_done(struct row *row);

void mailbox_row_add(struct mailbox *mailbox, struct row *row);
void mailbox_row_free(struct mailbox *mailbox, struct row *row);

enum row_phase mailbox_phase_of(const struct message *state, bool has_stanza);
bool mailbox_is_over(enum message_state state); /* settled, or back with its blast */

#endif
