/* Inside a message: what is known of it while it is handled, and what is checked before any device
 * gets it (sandbox_message_check.c). */
#ifndef SANDBOX_SANDBOX_MESSAGE_INTERNAL_H
#define SANDBOX_SANDBOX_MESSAGE_INTERNAL_H

#include "sandbox/sandbox_internal.h"
#include "wa/wa_message.h"

struct sandbox_letter {
    struct sandbox_world *world;
    struct sandbox_device *sender;
    const struct wa_node *node;
    struct wa_message_sent sent;
    struct sandbox_account *to; /* the other side of the chat */
    uint8_t hash[SANDBOX_HASH]; /* of its ciphertexts */
    char key[SANDBOX_ID_MAX];   /* by which it is remembered */
    bool is_retry;
    bool only_asked; /* a retry for all devices: those that did not ask get nothing */
};

/* The device that @jid names; NULL when it is gone, or the sender itself. */
struct sandbox_device *sandbox_message_target(const struct sandbox_letter *letter,
                                              const struct wa_jid *jid);

/* Did @target ask for this message again? */
bool sandbox_message_has_asked(const struct sandbox_letter *letter,
                               const struct sandbox_device *target);

/* Each counts what is wrong as violations, and says whether nothing is. */

/* A device gets another copy only when it asked for one. */
bool sandbox_message_check_asked(const struct sandbox_letter *letter,
                                 const struct sandbox_device *target);
/* A companion that begins a session shows that its phone vouches for it. */
bool sandbox_message_check_identity(const struct sandbox_letter *letter);
/* All targets, so that each thing that is wrong is counted; and every device that the sender was
 * told of is among them. */
bool sandbox_message_check_targets(const struct sandbox_letter *letter);

#endif
