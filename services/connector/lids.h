/* lids: which hidden id (LID) a phone number has, as this account has learnt it, and under which
 * Signal address a device is therefore kept: that of the LID where it is known.
 *
 * A pair that is new moves what is kept under the number to the LID, in the transaction that
 * stores the pair: so whoever knows the pair need not look under the number any more.
 *
 *     (not known) --lids_load--> known to have none, or stored
 *          `------lids_tell----> told --lids_load--> read --lids_run--> (commit) stored
 *
 * What is in memory is bounded and can be read again. Only plain numbers and LIDs are paired. */
#ifndef CONNECTOR_LIDS_H
#define CONNECTOR_LIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "sigstore/sigstore.h"
#include "wa/wa_jid.h"

struct account;
struct lids;
struct turn;

enum {
    LIDS_MAX = 512,      /* users in memory */
    LIDS_LOAD_MAX = 512, /* users of one lids_load */
};

struct lids *lids_new(struct account *account);
void lids_free(struct lids **lids);

/* The other form of @user (a number's LID, a LID's number), without a device; none when there is
 * none or it is not known. */
struct wa_jid lids_other(const struct lids *lids, const struct wa_jid *user);

/* Is @text the address of @device, in the form given or in the other one? */
bool lids_is_device(const struct lids *lids, const struct wa_jid *device, const char *text);

/* Somebody who must know says that @pn and @lid are one person. Others than these forms, and what
 * is known already, are passed over. */
void lids_tell(struct lids *lids, const struct wa_jid *pn, const struct wa_jid *lid);

/* Is everything known about @user that can be, and read what lids_run needs? */
bool lids_is_ready(const struct lids *lids, const struct wa_jid *user);

/* @tag is what lids_load was given. Not called when the account was taken away meanwhile. */
typedef void lids_loaded_fn(struct account *account, int rc, uint64_t tag);

/* True: lids_is_ready for all @n users (what is over LIDS_LOAD_MAX another time). Else they will be
 * when @fn is called, which is never before this returns. */
NODISCARD bool lids_load(struct account *account, const struct wa_jid *users, size_t n,
                         lids_loaded_fn *fn, uint64_t tag);

/* The Signal address of a device, for which lids_is_ready. */
void lids_addr(const struct lids *lids, const struct wa_jid *device, struct sigstore_addr *out);

/* In a turn, before the address of somebody new is used: move and store. */
void lids_run(struct turn *turn, struct account *account);
void lids_committed(struct lids *lids);

#endif
