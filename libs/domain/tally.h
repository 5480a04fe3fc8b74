/* tally: the counters of one blast, moved by what happens to its messages (B1). */
#ifndef DOMAIN_TALLY_H
#define DOMAIN_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/message.h"

/* What a blast's events say. */
struct blast_counts {
    int32_t current_index; /* settled recipients; never decreases */
    int32_t sent;          /* accepted by WhatsApp, also delivered and read */
    int32_t failed;        /* the last try failed, also while another will come */
    int32_t skipped;
    int32_t delivered; /* also read */
    int32_t read;
};

/* Messages of a blast by state; those not counted are pending, on their way or cancelled. */
struct tally {
    int32_t sent;      /* SENT, DELIVERED and READ */
    int32_t delivered; /* DELIVERED and READ */
    int32_t read;
    int32_t retrying;
    int32_t failed; /* for good */
    int32_t skipped;
};

/* One message went from one state to another. A move that cannot be (out of a state that counts
 * nobody) changes nothing and returns false: the log contradicts itself. */
bool tally_move(struct tally *tally, enum message_state from, enum message_state to);

/* By the state_before of an event. False also for an event that is not a blast's, or names no
 * state. */
bool tally_event(struct tally *tally, const struct message_event *event);

struct blast_counts tally_counts(const struct tally *tally);

int32_t tally_settled(const struct tally *tally);

#endif
