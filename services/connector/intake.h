/* intake: commands from Kafka, as a turn takes them. */
#ifndef CONNECTOR_INTAKE_H
#define CONNECTOR_INTAKE_H

#include "domain/message.h"

struct ledger_record;
struct turn;

enum {
    INTAKE_COMMAND_MAX = MESSAGE_TEXT_MAX + 65536, /* bytes; its events have little more */
    INTAKE_ID_MAX = 1024 /* bytes of what names something: such texts are keys of tables */
};

/* Decide one record of wa.session.cmd.v1 or wa.message.cmd.v1, and stage what it makes: events,
 * rows, the answer. A record that makes no sense becomes a dead letter. Messages wait for
 * intake_handed. */
void intake_record(struct turn *turn, const struct ledger_record *record);

/* Accept the messages of this turn, once the table has said which of them it knows; prepare those
 * that can be. */
void intake_handed(struct turn *turn);

#endif
