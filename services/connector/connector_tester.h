/* connector_tester: what several unit tests of the connector stand in with. Not part of the
 * product. In its place stand too, for who does not link the real ones: records_begin, and a
 * ledger_room that is never used up. */
#ifndef CONNECTOR_CONNECTOR_TESTER_H
#define CONNECTOR_CONNECTOR_TESTER_H

#include "sigstore/sigstore.h"

/* A new account whose own keys are loaded (sigstore_account_free). */
struct sigstore_account *tester_signal_new(struct sigstore *store);

#endif
