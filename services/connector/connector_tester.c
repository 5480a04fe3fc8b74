#include "connector/connector_tester.h"

#include "connector/account.h"
#include "connector/records.h"
#include "connector/turn.h"

struct sigstore_account *tester_signal_new(struct sigstore *store)
{
    struct sigstore_ref meta = {.kind = SIGSTORE_META};
    struct sigstore_self self;
    struct sigstore_account *made;

    sigstore_self_make(&self);
    made = sigstore_account_new(store, &self, NULL);
    sigstore_fill(made, &meta, (struct bytes){NULL, 0}, 0);
    return made;
}

void records_begin(struct turn *turn, struct account *account)
{
    (void)turn;
    if (!sigstore_is_begun(account->signal)) {
        sigstore_begin(account->signal);
    }
}

size_t ledger_room(const struct ledger_tx *tx)
{
    (void)tx;
    return LEDGER_EVENTS_MAX;
}
