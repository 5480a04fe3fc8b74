/* blast_tester: blasts, facts and commands that the tests of the blast's decider begin with. */
#ifndef DOMAIN_BLAST_TESTER_H
#define DOMAIN_BLAST_TESTER_H

#include "domain/blast.h"

#define BLAST_TESTER_NOON_US INT64_C(1757246400000000) /* 2025-09-07 12:00 UTC */

enum { BLAST_TESTER_TOTAL = 10, BLAST_TESTER_REMOVED = BLAST_STATUS_COUNT };

/* An event of the one blast there is, an hour before noon; without sequence. */
struct blast_event blast_tester_fact(enum blast_event_kind kind);
/* Fold @event in as the next one. */
void blast_tester_fold(struct blast *blast, struct blast_event event);

/* A blast of BLAST_TESTER_TOTAL recipients that came into @status (of enum blast_status, or
 * BLAST_TESTER_REMOVED) the usual way. */
struct blast blast_tester_given(unsigned status);

struct blast_command blast_tester_command(enum blast_command_kind kind);

#endif
