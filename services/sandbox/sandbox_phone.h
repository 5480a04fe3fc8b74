/* sandbox_phone: what one virtual phone does and remembers. Made when it is first needed. */
#ifndef SANDBOX_SANDBOX_PHONE_H
#define SANDBOX_SANDBOX_PHONE_H

#include "sandbox/sandbox_internal.h"
#include "wa/wa_body.h"
#include "wa/wa_message.h"
#include "wa/wa_receipt.h"

struct sandbox_task;

/* A message that the phone wrote: kept to send it again, and to know what became of it. */
struct sandbox_written {
    struct sandbox_written *next;
    char id[SANDBOX_ID_MAX];
    struct sandbox_account *to;
    enum wa_server form; /* of the chat's address */
    struct buf plain;    /* without padding */
    uint32_t delivered;  /* receipts of other devices */
    uint32_t read;
};

struct sandbox_phone {
    struct sandbox_account *account;
    struct sigstore_account *signal;
    struct sandbox_task *tasks; /* receipts and replies still to be sent */
    size_t n_tasks;
    struct sandbox_map forms;   /* numbers that wrote to our PN -> anything; others use the LID */
    struct sandbox_map written; /* id -> struct sandbox_written */
    struct sandbox_written *written_first; /* oldest first */
    struct sandbox_written **written_last;
};

struct sandbox_phone *sandbox_phone_of(struct sandbox_account *account);
struct sigstore_addr sandbox_signal_addr(const struct sandbox_device *device);

/* The form of address in which this phone and @other write to each other. */
enum wa_server sandbox_phone_form(const struct sandbox_phone *phone,
                                  const struct sandbox_account *other);

/* ---- sandbox_phone_write.c ---- */

/* A ciphertext of @body (without padding) for @device, in the world's arena. Begins a session where
 * there is none. False: @device has no keys. */
bool sandbox_phone_encrypt(struct sandbox_phone *phone, struct sandbox_device *device,
                           struct bytes body, struct wa_enc *out);
/* @receipt asks for a message of ours again. */
void sandbox_phone_rewrite(struct sandbox_phone *phone, const struct wa_receipt *receipt,
                           const struct wa_node *node);
void sandbox_phone_forget_written(struct sandbox_phone *phone);

#endif
