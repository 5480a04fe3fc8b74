/* sigstore_provider: OpenSSL behind libsignal's crypto callbacks. One per thread. */
#ifndef SIGSTORE_SIGSTORE_PROVIDER_H
#define SIGSTORE_SIGSTORE_PROVIDER_H

#include "base/attr.h"

struct err;
struct signal_context;
struct sigstore_provider;

/* Fetches the algorithms once. Gives *@out (sigstore_provider_free). -ERR_EXTERNAL. */
NODISCARD int sigstore_provider_new(struct sigstore_provider **out, struct err *err);
void sigstore_provider_free(struct sigstore_provider **provider);

/* Set the callbacks of @context, which borrows @provider from then on. -ERR_EXTERNAL. */
NODISCARD int sigstore_provider_install(struct sigstore_provider *provider,
                                        struct signal_context *context, struct err *err);

#endif
